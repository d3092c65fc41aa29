"""Derives the verdicts of a bundle again and compares."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise

from gridcord.evidence.bundle_archive import BundleFault
from gridcord.evidence.bundle_lines import BlockLine, RulingLine, SiteLine, VerdictLine
from gridcord.evidence.site_history import SiteHistory, site_periods
from gridcord.metering.matching import Match, MatchPolicy
from gridcord.metering.reading import Verdict
from gridcord.settlement.facts import Gathering
from gridcord.units import Period

MatchFunction = Callable[[SiteHistory, MatchPolicy], Iterable[Match]]
Numbered = tuple[int, VerdictLine]


def check_verdicts(
    *,
    sites: Iterable[tuple[int, SiteLine]],
    verdicts: Iterable[Numbered],
    rulings: Sequence[tuple[int, RulingLine]],
    known: Mapping[str, Mapping[Period, Gathering]],
    match: MatchFunction,
    policy: MatchPolicy,
) -> None:
    """Compare the last verdict of each site and period with what the facts give.

    Every period in which a cable was connected must have one. Earlier revisions are history: they
    were reached with less known and only explain reversals in the ledger.

    Args:
        sites: With the numbers of their lines.
        verdicts: With the numbers of their lines.
        rulings: With the numbers of their lines.
        known: Facts by site and period.
        match: Derives findings.
        policy: Under which they were reached.

    Raises:
        BundleFault: The first that does not follow.
    """
    _check_order(rulings)
    stated = _last(verdicts)
    for number, site in sites:
        site_id = site.terms.site_id
        gathered = known.get(site_id, {})
        history = SiteHistory(
            metered=site.metered,
            matcher=site.matcher,
            periods=site_periods(gathered),
            rulings=tuple(ruling for _, ruling in rulings if ruling.site_id == site_id),
        )
        found = _found(match, history, policy, number, site_id)
        for each, finding in zip(history.periods, found, strict=True):
            last = stated.pop((site_id, each.period), None)
            moved = bool(gathered[each.period].settleable)
            _compare(last, finding, f"{site_id}@{each.period}", must_be=moved)
    for number, line in stated.values():
        name = f"{line.verdict.site_id}@{line.verdict.period}"
        raise BundleFault("verdicts", number, "nothing is known of this site and period", name)


def _check_order(rulings: Sequence[tuple[int, RulingLine]]) -> None:
    for (_, before), (number, after) in pairwise(rulings):
        if (after.site_id, after.at_s) < (before.site_id, before.at_s):
            raise BundleFault("rulings", number, "comes after a later one", after.site_id)


def _found(
    match: MatchFunction, history: SiteHistory, policy: MatchPolicy, number: int, site_id: str
) -> list[Match]:
    try:
        return list(match(history, policy))
    except ValueError as failure:
        raise BundleFault("sites", number, f"cannot be matched: {failure}", site_id) from None


def _last(lines: Iterable[Numbered]) -> dict[tuple[str, Period], Numbered]:
    """The last revision of each; earlier ones are history and only explain the ledger."""
    last: dict[tuple[str, Period], Numbered] = {}
    for number, line in lines:
        stated = line.verdict
        name = (stated.site_id, stated.period)
        if name in last and stated.revision <= last[name][1].verdict.revision:
            raise BundleFault("verdicts", number, "its revision does not rise", str(name))
        last[name] = number, line
    return last


def _compare(stated: Numbered | None, match: Match, name: str, *, must_be: bool) -> None:
    if stated is None:
        if must_be:
            raise BundleFault("verdicts", 0, f"derived is {match.finding}, none is stated", name)
        return
    number, line = stated
    found = (match.verdict, match.finding, match.reason)
    if (line.verdict.verdict, line.finding, line.reason) != found:
        reason = f"does not follow from the inputs; derived is {match.finding}, {match.reason}"
        raise BundleFault("verdicts", number, reason, name)


def check_blocks(blocks: Iterable[tuple[int, BlockLine]], verdicts: Iterable[Numbered]) -> None:
    """A block for a mismatch must rest on verdicts that say so."""
    mismatched = {
        (line.verdict.site_id, line.verdict.period)
        for _, line in verdicts
        if line.verdict.verdict is Verdict.MISMATCHED
    }
    for number, block in blocks:
        named = {(block.site_id, period) for period in block.verdict_periods}
        if not named <= mismatched or (block.cause == "MISMATCH" and not named):
            raise BundleFault("blocks", number, "no such mismatch was found", block.site_id)
