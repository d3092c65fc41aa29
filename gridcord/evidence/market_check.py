"""Derives again what a bundle says of the market: deliveries, early departures, their shares."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from gridcord.evidence.area_figures import area_figures
from gridcord.evidence.bundle_archive import BundleFault
from gridcord.evidence.bundle_lines import MarketLine, ShareLine
from gridcord.settlement.departure import (
    Departure,
    Expectation,
    Withholding,
    departure,
    same_way,
)
from gridcord.settlement.imbalance import MarketResult
from gridcord.settlement.imbalance_share import AreaFigures, ImbalanceShare
from gridcord.settlement.posting_rules import driver_account
from gridcord.settlement.transfer import Transfer
from gridcord.units import Period


class NumberedTransfer(NamedTuple):
    """A record with its place in the order of knowing."""

    number: int
    transfer: Transfer


_Value = TypeVar("_Value")
_ByCable = dict[int, dict[str, _Value]]


class MarketTrust(NamedTuple):
    """What of the market only the aggregator vouches for.

    Args:
        hidden: Results of which shares quote figures, but which the bundle does not show.
        by_telemetry: Results that count energy which no cable recorded.
    """

    hidden: int = 0
    by_telemetry: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """What results and shares are derived from.

    Args:
        transfers: Records, by the start of their period and their cable.
        expectations: By the start of their period and their cable.
        withheld: What was withheld of sites.
    """

    transfers: _ByCable[list[NumberedTransfer]]
    expectations: _ByCable[Expectation]
    withheld: Sequence[Withholding]

    def recorded_wh(self, period: Period, before: int) -> int:
        """Given to the grid by all records that were known before a number, Wh."""
        return sum(
            -each.transfer.record.transferred_wh
            for records in self.transfers.get(period.start_s, {}).values()
            for each in records
            if each.number < before
        )

    def departures(self, result: MarketResult, before: int) -> list[Departure]:
        """Who left early the same way as the area, by the records known before a number."""
        expected = self.expectations.get(result.period.start_s, {})
        of_area = (each for each in expected.values() if each.area == result.area)
        found = (self._departure(each, before) for each in of_area)
        left = (each for each in found if each is not None)
        return same_way(left, deviation_wh=result.deviation_wh)

    def departure_of(self, share: ImbalanceShare, before: int) -> Departure | None:
        """How the cable of a share left early the same way as its area; None when it did not."""
        figures = share.figures
        expected = self.expectations.get(figures.period.start_s, {}).get(share.cable_id)
        if expected is None or expected.area != figures.area:
            return None
        found = self._departure(expected, before)
        same = same_way([] if found is None else [found], deviation_wh=figures.deviation_wh)
        return same[0] if same else None

    def _departure(self, expected: Expectation, before: int) -> Departure | None:
        of_period = self.transfers.get(expected.period.start_s, {})
        records = of_period.get(expected.cable_id, ())
        return departure(
            expectation=expected,
            transfers=[each.transfer for each in records if each.number < before],
            withheld=self.withheld,
        )


_Revision = tuple[str, int, int]  # area, start of the period, revision


@dataclass(slots=True)
class _Stated:
    """What the results of a bundle say; empty where it shows none.

    Args:
        figures: Of each result.
        owing: Cables that must have a share of it.
    """

    figures: dict[_Revision, AreaFigures] = field(default_factory=dict)
    owing: dict[_Revision, set[str]] = field(default_factory=dict)


def check_market(
    *,
    transfers: Iterable[NumberedTransfer],
    expectations: Iterable[tuple[int, Expectation]],
    withheld: Sequence[Withholding],
    results: Sequence[tuple[int, MarketLine]],
    shares: Iterable[tuple[int, ShareLine]],
) -> MarketTrust:
    """Derive deliveries, early departures and shares again, of every revision.

    Each is compared with what was known when it was made: records with a lower number.

    Args:
        transfers: All records of the bundle.
        expectations: With the numbers of their lines.
        withheld: What was withheld of the sites of the bundle.
        results: With the numbers of their lines; none in a bundle about a site or driver.
        shares: With the numbers of their lines.

    Raises:
        BundleFault: The first that does not follow.
    """
    known = _Known(
        transfers=_by_cable(transfers), expectations=_expected(expectations), withheld=withheld
    )
    stated = _results(results, known)
    quoted = _shares(shares, known, stated if results else None)
    told = (line.result for _, line in results)
    return MarketTrust(
        hidden=len(quoted.keys() - stated.figures.keys()),
        by_telemetry=sum(bool(each.telemetry_wh) for each in told),
    )


def _by_cable(transfers: Iterable[NumberedTransfer]) -> _ByCable[list[NumberedTransfer]]:
    found: _ByCable[list[NumberedTransfer]] = {}
    for each in transfers:
        of_period = found.setdefault(each.transfer.period.start_s, {})
        of_period.setdefault(each.transfer.key.cable_id, []).append(each)
    return found


def _expected(lines: Iterable[tuple[int, Expectation]]) -> _ByCable[Expectation]:
    found: _ByCable[Expectation] = {}
    for number, each in lines:
        of_period = found.setdefault(each.period.start_s, {})
        if each.cable_id in of_period:
            name = f"{each.cable_id}/{each.period}"
            raise BundleFault("expectations", number, "a second one of a cable and period", name)
        of_period[each.cable_id] = each
    return found


def _results(lines: Iterable[tuple[int, MarketLine]], known: _Known) -> _Stated:
    stated = _Stated()
    last: dict[tuple[str, int], int] = {}
    for number, line in lines:
        result = line.result
        name = f"{result.area}/{result.period}"
        place = result.area, result.period.start_s
        if result.revision != last.get(place, -1) + 1:
            raise BundleFault("market", number, "a revision is missing before it", name)
        last[place] = result.revision
        found = known.departures(result, line.number)
        if reason := _wrong(result, known, line.number, found):
            raise BundleFault("market", number, reason, name)
        stated.figures[*place, result.revision] = area_figures(result)
        stated.owing[*place, result.revision] = {str(d.transfer.key.cable_id) for d in found}
    return stated


def _wrong(result: MarketResult, known: _Known, before: int, found: list[Departure]) -> str:
    """Why a result does not follow; empty when it does."""
    recorded_wh = known.recorded_wh(result.period, before)
    if result.recorded_wh not in (None, recorded_wh):
        return f"does not follow from the inputs; records give {recorded_wh} Wh"
    left_wh = sum(abs(each.deviation_wh) for each in found)
    if result.left_early_wh != left_wh:
        return f"does not follow from the inputs; {left_wh} Wh left early"
    return ""


def _shares(
    lines: Iterable[tuple[int, ShareLine]], known: _Known, stated: _Stated | None
) -> dict[_Revision, AreaFigures]:
    """Check shares; returns the figures that they quote."""
    quoted: dict[_Revision, AreaFigures] = {}
    owing = {} if stated is None else {name: set(each) for name, each in stated.owing.items()}
    before: set[tuple[str, int]] = set()
    for number, line in lines:
        share, figures = line.share, line.share.figures
        revision = figures.area, figures.period.start_s, figures.revision
        right = quoted.get(revision) if stated is None else stated.figures.get(revision)
        if right != figures and (stated is not None or right is not None):
            reason = f"its figures are not those of the area; right are {right or 'none'}"
            raise BundleFault("shares", number, reason, _name(share))
        quoted[revision] = figures
        _check_share(number, line, known, again=(share.cable_id, revision[1]) in before)
        before.add((share.cable_id, revision[1]))
        owing.get(revision, set()).discard(share.cable_id)
    for (area, start_s, _), cables in owing.items():
        for cable_id in sorted(cables):
            name = f"{cable_id}/{area}/{Period(start_s, 1)}"
            raise BundleFault("shares", 0, "it left early, no share is stated", name)
    return quoted


def _check_share(number: int, line: ShareLine, known: _Known, *, again: bool) -> None:
    share, figures = line.share, line.share.figures
    own = known.departure_of(share, line.number)
    right = 0 if own is None else own.deviation_wh
    if share.deviation_wh != right or (own is None and not again):
        reason = f"does not follow from the inputs; derived is {right} Wh"
        raise BundleFault("shares", number, reason, _name(share))
    if abs(right) > figures.left_early_wh:
        reason = f"is more than all who left early together: {figures.left_early_wh} Wh"
        raise BundleFault("shares", number, reason, _name(share))
    if own is not None and (share.site_id, share.driver, share.record) != _whose(own):
        right_name = "/".join(_whose(own))
        raise BundleFault("shares", number, f"is of {right_name}", _name(share))


def _whose(own: Departure) -> tuple[str, str, str]:
    transfer = own.transfer
    return transfer.record.site_id, driver_account(transfer).owner, str(transfer.key)


def _name(share: ImbalanceShare) -> str:
    return f"{share.cable_id}/{share.period}"
