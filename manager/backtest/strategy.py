"""The strategy that is replayed: bids before the gate, plans after it, both by linear program.

Nothing here sees more than a `View`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gridcord.protocols.jepx_csv import PERIODS_A_DAY
from manager.backtest.knowledge import View
from manager.domain.bidding.clusters import clustered, thinned
from manager.domain.bidding.curves import BidRules, Curve, curves, imagine
from manager.domain.bidding.forecast import (
    PastDays,
    after_newest,
    expected_wh,
    one_place_each,
    usual_day,
)
from manager.domain.bidding.horizon import Obligation, Outlook, plan
from manager.domain.bidding.stay import PERMILLE, Window
from manager.domain.dispatch.fleet_state import Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyRules:
    """What is decided once.

    Args:
        bidding: How scenarios become bids.
        wear_micros_per_kwh: Cost of each kWh discharged.
        imbalance_permille: What a deviation costs, of the period's price.
        weekday: Of the first day, Monday is 0.
        price_days: How many past days are taken as scenarios of tomorrow's prices.
        fleets_a_price: How many of the imagined fleets meet each of them.
        fleet_days: How many past days of the same kind as scenarios of arrivals.
        horizon_days: How far plans look beyond known prices.
        most_arrivals: More stays than that are represented by so many.
        most_clusters: More plugged stays than that are planned in clusters.
        replan_after: Periods after which a plan is made anew though nothing happened.
    """

    bidding: BidRules
    wear_micros_per_kwh: int
    imbalance_permille: int
    weekday: int
    price_days: int = 20
    fleets_a_price: int = 3
    fleet_days: int = 8
    horizon_days: int = 4
    most_arrivals: int = 200
    most_clusters: int = 200
    replan_after: int = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What some stays do together.

    Args:
        members: Their indices in what was given.
        first: Index of the period the plan begins with.
        net_wh: Energy through their cables, Wh, + charging, by period.
    """

    members: tuple[int, ...]
    first: int
    net_wh: Floats


class Strategy:
    """Decides for a fleet.

    Args:
        rules: What is decided once.
    """

    def __init__(self, rules: StrategyRules) -> None:
        self._rules = rules
        self._arrivals: list[tuple[Window, Floats]] = []
        self._share = 1.0

    def bid(self, view: View) -> tuple[Curve, ...]:
        """Bids for tomorrow, at the gate; none while the past is too short to imagine it."""
        tomorrow = view.today + 1
        fleets = [[*view.plugged, *coming] for coming in self._coming(view, tomorrow)]
        if not fleets:
            return ()
        first = tomorrow * PERIODS_A_DAY
        outlooks = []
        for day_prices in after_newest(
            view.prices, periods_a_day=PERIODS_A_DAY, days=self._rules.price_days
        ):
            prices = self._believed(view)
            prices[first - view.now :][:PERIODS_A_DAY] = day_prices
            outlooks += [self._outlook(view, prices)] * self._rules.fleets_a_price
        scenarios = imagine(fleets=fleets, outlooks=outlooks, first=first, periods=PERIODS_A_DAY)
        return curves(scenarios=scenarios, rules=self._rules.bidding)

    def plan(self, view: View) -> tuple[Task, ...]:
        """What the plugged stays do from now on, next to those that may still come."""
        prices = self._believed(view)
        contracted = len(view.contracted_wh)
        others = expected_wh(self._arrivals, share=self._share, first=view.now, periods=contracted)
        obligation = Obligation(
            net_wh=view.contracted_wh - others,
            deviation_micros_per_kwh=np.abs(prices[:contracted])
            * (self._rules.imbalance_permille / PERMILLE),
        )
        clusters = clustered(view.plugged, most=self._rules.most_clusters)
        outlook = self._outlook(view, prices, obligation)
        planned = plan([each.window for each in clusters], outlook).net_wh
        return tuple(
            Task(members=cluster.members, first=view.now, net_wh=net_wh)
            for cluster, net_wh in zip(clusters, planned, strict=True)
        )

    def receive(self, view: View, arrived: Sequence[Window]) -> tuple[Task, ...]:
        """What stays do that are plugged in during the period: their own optimum, for the time."""
        planned = plan(arrived, self._outlook(view, self._believed(view))).net_wh
        return tuple(
            Task(members=(index,), first=view.now, net_wh=net_wh)
            for index, net_wh in enumerate(planned)
        )

    def expect(self, view: View) -> None:
        """Imagine who will still come until the last cleared day ends."""
        last = (view.now + len(view.contracted_wh) - 1) // PERIODS_A_DAY
        found = self._coming(view, last)
        outlook = self._outlook(view, self._believed(view))
        windows = [window for coming in found for window in coming]
        self._arrivals = list(zip(windows, plan(windows, outlook).net_wh, strict=True))
        self._share = 1 / max(1, len(found))

    def _coming(self, view: View, until: int) -> list[tuple[Window, ...]]:
        """Who may come until a day ends, as on past days."""
        rules = self._rules
        past = PastDays(stays=view.past, weekday=rules.weekday, periods_a_day=PERIODS_A_DAY)
        return [
            thinned(one_place_each(view.plugged, coming), most=rules.most_arrivals)
            for coming in past.arrivals(now=view.now, until=until, most_days=rules.fleet_days)
        ]

    def _believed(self, view: View) -> Floats:
        """Prices from now on: the known ones, then the usual day of now again and again."""
        usual = usual_day(view.prices, periods_a_day=PERIODS_A_DAY)
        return np.concatenate([view.prices[view.now :], np.tile(usual, self._rules.horizon_days)])

    def _outlook(self, view: View, prices: Floats, obligation: Obligation | None = None) -> Outlook:
        return Outlook(
            first=view.now,
            price_micros_per_kwh=prices,
            wear_micros_per_kwh=self._rules.wear_micros_per_kwh,
            obligation=obligation,
        )
