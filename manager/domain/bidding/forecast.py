"""What tomorrow may bring, from what was: prices and arrivals of past days.

Deliberately plain: the recent past is taken as it was, nothing is fitted, so there is nothing to
fit to one year.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from manager.domain.bidding.stay import Window
from manager.domain.dispatch.fleet_state import Floats

DAYS_A_WEEK = 7
_WORKING_DAYS = 5
_MOST_CHANGE = 4.0  # of the level from one day to another that says something of a third


@dataclass(frozen=True, slots=True, kw_only=True)
class PastDays:
    """Stays of past days, day by day.

    Args:
        stays: Those that began on each day until now, the oldest day first, the running one last.
        weekday: Of the first day, Monday is 0.
        periods_a_day: Periods in a day.
    """

    stays: Sequence[Sequence[Window]]
    weekday: int
    periods_a_day: int

    @property
    def today(self) -> int:
        """Index of the running day."""
        return len(self.stays) - 1

    def arrivals(self, *, now: int, until: int, most_days: int) -> list[list[Window]]:
        """Who may still come until a day ends: each list is what past days of that kind brought.

        Args:
            now: Index of the running period; stays that would begin before it did not come.
            until: Index of the last day to imagine, >= today.
            most_days: How many past days of the same kind to take, newest first.
        """
        ways = [
            [self._moved(past, day) for past in self._alike(day, most_days)]
            for day in range(self.today, until + 1)
        ]
        return [
            [each for way in of_days for each in way if each.first >= now]
            for of_days in zip(*ways, strict=False)
        ]

    def _alike(self, day: int, most: int) -> list[int]:
        return alike(day, today=self.today, weekday=self.weekday, most=most)

    def _moved(self, past: int, day: int) -> list[Window]:
        return [each.moved((day - past) * self.periods_a_day) for each in self.stays[past]]


def one_place_each(plugged: Sequence[Window], coming: Sequence[Window]) -> list[Window]:
    """Of the stays that may come, those whose resource is not on an outlet at that time.

    Args:
        plugged: Who is on an outlet now, and until when.
        coming: Who may come; stays of nobody known all count.
    """
    until = {each.resource_id: each.end for each in plugged}
    found = []
    for each in sorted(coming, key=lambda each: each.first):
        if not each.resource_id or each.first >= until.get(each.resource_id, each.first):
            until[each.resource_id] = each.end
            found.append(each)
    return found


def after_newest(prices: Floats, *, periods_a_day: int, days: int) -> Floats:
    """Past days as if each came after the newest one: one row a day, newest first.

    A day's prices are taken by what they were of the level of the day before, so that a change of
    the level, as in a shortage of fuel, leaves neither all of tomorrow too dear to buy nor all of
    it too cheap to sell at what past days were.

    Args:
        prices: Known prices of whole days, at least one, oldest first.
        periods_a_day: Periods in a day.
        days: How many days to look back on.
    """
    table = prices.reshape(-1, periods_a_day)
    if len(table) == 1:
        return table
    levels = _levels(table)
    factors = np.clip(levels[-1] / levels[:-1], 1 / _MOST_CHANGE, _MOST_CHANGE)
    moved: Floats = (table[1:] * factors[:, np.newaxis])[::-1][:days]
    return moved


def usual_day(prices: Floats, *, periods_a_day: int, days: int = DAYS_A_WEEK) -> Floats:
    """The shape of the last days, at a level half-way to the newest: what a day beyond may cost.

    Half-way (the geometric mean): a level that jumped stays for some days more often than not, and
    a single windy or sunny day does not.

    Args:
        prices: Known prices of whole days, at least one, oldest first.
        periods_a_day: Periods in a day.
        days: How many days to look back on for the shape.
    """
    table = prices.reshape(-1, periods_a_day)[-days:]
    levels = _levels(table)
    shape: Floats = (table / levels[:, np.newaxis]).mean(axis=0)
    return shape * float(np.sqrt(levels[-1] * levels.mean()))


def _levels(table: Floats) -> Floats:
    """Mean price of each day; no less than a tenth of the mean, where prices are about nothing."""
    floor = 0.1 * float(np.abs(table).mean()) or 1.0
    levels: Floats = np.maximum(table.mean(axis=1), floor)
    return levels


def alike(day: int, *, today: int, weekday: int, most: int) -> list[int]:
    """The last complete days of the same kind, newest first: working days, or weekends.

    Args:
        day: Index of the day to imagine, >= today.
        today: Index of the running day; days before it are complete.
        weekday: Weekday of day 0, Monday is 0.
        most: How many at most.
    """

    def works(index: int) -> bool:
        return (index + weekday) % DAYS_A_WEEK < _WORKING_DAYS

    found = [past for past in range(today - 1, -1, -1) if works(past) == works(day)]
    return found[:most]


def expected_wh(
    plans: Sequence[tuple[Window, Floats]], *, share: float, first: int, periods: int
) -> Floats:
    """Net energy of stays that may come, Wh, + charging, by period.

    Args:
        plans: Stays and what each would do from its first period on.
        share: Weight of each (1 / number of past days that they were taken from).
        first: Index of the first period wanted; stays that begin before it did not come.
        periods: How many periods.
    """
    net_wh = np.zeros(periods)
    for window, planned in plans:
        start = window.first - first
        if 0 <= start < periods:
            part = planned[: periods - start]
            net_wh[start : start + len(part)] += part * share
    return net_wh
