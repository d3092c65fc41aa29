"""From facts of a site to what its matcher takes in, period by period."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from gridcord.evidence.bundle_lines import RulingLine
from gridcord.metering import matcher_state
from gridcord.metering.matcher import Matcher, observe, open_matcher
from gridcord.metering.matching import (
    Match,
    MatchPolicy,
    MeteredSite,
    SitePeriod,
    sum_of_cables,
)
from gridcord.metering.reading import ReadingQuality, ReadingSource, SiteReading
from gridcord.metering.site_matcher import SiteMatcher, with_proof
from gridcord.settlement.facts import Gathering
from gridcord.units import Period


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteHistory:
    """All that is known of a site, for a match.

    Args:
        metered: Its instruments.
        matcher: Plain state of the matcher before the first period; empty for none.
        periods: By period, in order.
        rulings: What settled the site's evidence, in order of time.
    """

    metered: MeteredSite
    matcher: str
    periods: tuple[SitePeriod, ...]
    rulings: tuple[RulingLine, ...] = ()


def site_periods(gathered: Mapping[Period, Gathering]) -> tuple[SitePeriod, ...]:
    """What a matcher takes in, from the facts of each period of one site.

    Every period from the first to the last, also those of which nothing is known. A session is a
    run of periods with a cable; its number is the start of its first period, so that it is the
    same wherever a history begins. The sum of the cables is not known where one of them lacks its
    time or a measured value.
    """
    if not gathered:
        return ()
    periods: list[SitePeriod] = []
    session: int | None = None
    period, last = min(gathered), max(gathered)
    while period <= last:
        facts = gathered.get(period, _NOTHING)
        running = period.start_s if session is None else session
        session = running if facts.transfers else None
        periods.append(_site_period(period, facts, session))
        period = period.next()
    return tuple(periods)


def _site_period(period: Period, facts: Gathering, session: int | None) -> SitePeriod:
    meter = _newest(facts, ReadingSource.UTILITY) or _newest(facts, ReadingSource.SMART_METER)
    hems = _newest(facts, ReadingSource.HEMS)
    moved = sum_of_cables(
        each.record.moved if each.settleable else None for each in facts.transfers
    )
    return SitePeriod(
        period=period,
        transferred_wh=None if moved is None else moved.wh,
        import_wh=None if meter is None else meter.import_wh,
        export_wh=None if meter is None else meter.export_wh,
        consumption_wh=None if hems is None else hems.consumption_wh,
        session=session,
        uncertain_wh=0 if moved is None else moved.uncertain_wh,
    )


def _newest(facts: Gathering, source: ReadingSource) -> SiteReading | None:
    """The highest revision of a source; of a meter only where it measured the whole period.

    What was estimated was not measured at all.
    """
    of_source = [each for each in facts.readings if each.source is source]
    newest = max(of_source, key=lambda each: (each.revision, str(each)), default=None)
    if newest is None or source is ReadingSource.HEMS:
        return newest
    poor = (ReadingQuality.PARTIAL, ReadingQuality.ESTIMATED)
    return newest if newest.quality not in poor and newest.import_wh is not None else None


def matches(history: SiteHistory, policy: MatchPolicy) -> Iterable[Match]:
    """What the matcher finds after each period of a history.

    What comes before the first session is learnt from, unless a state is given that has.

    Raises:
        ValueError: The state before it is none of this version, or periods are out of order.
    """
    for _, match in _steps(history, policy):
        yield match


def matcher_after(history: SiteHistory, policy: MatchPolicy) -> str:
    """The plain state of the matcher behind a history, for one that goes on from there.

    Raises:
        ValueError: As in `matches`.
    """
    last = _matcher(history, policy)
    for matcher, _ in _steps(history, policy):
        last = matcher
    return json.dumps(matcher_state.to_plain(matcher=last), separators=(",", ":"))


def _steps(history: SiteHistory, policy: MatchPolicy) -> Iterator[tuple[Matcher, Match]]:
    matcher, learning = _matcher(history, policy), not history.matcher
    after_s = _taken_s(history)
    for period in history.periods:
        start_s = period.period.start_s
        matcher = _ruled(matcher, history.rulings, after_s, start_s)
        after_s, learning = start_s, learning and period.session is None
        matcher, match = observe(
            matcher=matcher, observation=period, policy=policy, learning=learning
        )
        yield matcher, match


def _taken_s(history: SiteHistory) -> float:
    """Until when rulings are in the matcher's state, seconds since 1970 UTC."""
    if not (history.matcher and history.periods):
        return -math.inf
    first = history.periods[0].period
    return first.start_s - first.length_s


def _ruled(
    matcher: Matcher, rulings: Iterable[RulingLine], after_s: float, until_s: int
) -> Matcher:
    """The matcher with what was settled meanwhile; the patent's rule keeps no evidence."""
    for each in rulings:
        if isinstance(matcher, SiteMatcher) and after_s < each.at_s <= until_s:
            matcher = with_proof(matcher=matcher, accepted=each.accepted, nats=each.nats)
    return matcher


def _matcher(history: SiteHistory, policy: MatchPolicy) -> Matcher:
    if history.matcher:
        return matcher_state.from_plain(json.loads(history.matcher))
    return open_matcher(site=history.metered, policy=policy)


_NOTHING = Gathering()
