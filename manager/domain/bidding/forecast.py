"""What tomorrow may bring, from what was: prices and arrivals of past days.

Deliberately plain: the recent past is taken as it was, nothing is fitted, so there is nothing to
fit to one year.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from manager.domain.bidding.stay import Window
from manager.domain.dispatch.fleet_state import Floats

DAYS_A_WEEK = 7
_WORKING_DAYS = 5


def usual_day(prices: Floats, *, periods_a_day: int, days: int = DAYS_A_WEEK) -> Floats:
    """The mean price of each period of the day over the last days.

    Args:
        prices: Known prices of whole days, at least one, oldest first.
        periods_a_day: Periods in a day.
        days: How many days to look back on.
    """
    mean: Floats = prices.reshape(-1, periods_a_day)[-days:].mean(axis=0)
    return mean


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
