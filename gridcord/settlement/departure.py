"""Who left before they had said: the one deviation of a driver that a cable's own signature proves.

What a setpoint asked would not do as a measure: who does not follow is soon taken for what it does,
and of who leaves nothing is asked any more. Hence a cable is held to what it was counted on for
when the period began, and only for the time after it was unplugged. Who stays plugged in never
deviates, whatever flows: it may be blocked, full, at its limit, or stopped for a proof.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gridcord.settlement.rounding import half_even
from gridcord.settlement.transfer import Transfer
from gridcord.units import Period

_SECONDS_AN_HOUR = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """What a cable was counted on for when a period began.

    Args:
        cable_id: The cable.
        area: Of the market.
        period: The period.
        power_w: What dispatch asked of it then, W, + charging.
        until_s: The end of the period, or when its driver had said to leave, whichever is first,
            seconds since 1970 UTC.
    """

    cable_id: str
    area: str
    period: Period
    power_w: int
    until_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Withholding:
    """A time in which the aggregator withheld something from a site or a cable.

    Args:
        site_id: The site; empty for wherever the cable is.
        cable_id: The only cable; empty for the whole site.
        start_s: From then, seconds since 1970 UTC.
        end_s: Until then; None while it holds.
    """

    site_id: str
    cable_id: str = ""
    start_s: int
    end_s: int | None

    def concerns(self, transfer: Transfer, at_s: int) -> bool:
        """Whether it held for the cable of a record, where that was, at a time."""
        there = self.site_id in ("", transfer.record.site_id)
        meant = self.cable_id in ("", transfer.key.cable_id)
        return (
            there and meant and self.start_s <= at_s and (self.end_s is None or at_s < self.end_s)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Departure:
    """A cable that left before its driver had said.

    Args:
        transfer: Its last record, that says when.
        deviation_wh: Given to the grid beyond what it was counted on for, Wh; negative is a
            shortfall.
    """

    transfer: Transfer
    deviation_wh: int


def departure(
    *,
    expectation: Expectation,
    transfers: Iterable[Transfer],
    withheld: Iterable[Withholding],
) -> Departure | None:
    """How far a cable that left is away from what it was counted on for.

    Args:
        expectation: Of the cable and period.
        transfers: Its records of the period, those that are known.
        withheld: What was withheld of sites.

    Returns:
        None for one that stayed as long as its driver had said, came back, has not told when it
        ended, or left while something was withheld from it.
    """
    settleable = (each for each in transfers if each.settleable)
    last = max(settleable, key=lambda each: (each.record.end_s, each.key), default=None)
    if last is None or not last.record.final:
        return None
    left_s = last.record.end_s
    if any(each.concerns(last, left_s) for each in withheld):
        return None
    away_s = expectation.until_s - left_s
    deviation_wh = half_even(expectation.power_w * max(0, away_s), _SECONDS_AN_HOUR)
    return Departure(transfer=last, deviation_wh=deviation_wh) if deviation_wh else None


def same_way(departures: Iterable[Departure], *, deviation_wh: int) -> list[Departure]:
    """Those who deviate the same way as their area, by cable.

    Args:
        departures: All of the area and period.
        deviation_wh: Of the area, Wh.
    """
    found = (each for each in departures if each.deviation_wh * deviation_wh > 0)
    return sorted(found, key=lambda each: each.transfer.key)
