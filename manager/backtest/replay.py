"""Replays days period by period: the gate, the clearing, plugging in, driving away.

The strategy decides on views; here is the world it does not see: prices before they are published,
stays before they are plugged in. Energy is moved in whole Wh by the same rules that the promise
was calculated with.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from gridcord.protocols.jepx_csv import PERIODS_A_DAY
from manager.backtest.knowledge import GATE, PUBLICATION, Published, View
from manager.backtest.strategy import Strategy, StrategyRules, Task
from manager.domain.bidding.curves import Curve
from manager.domain.bidding.stay import Window
from manager.domain.dispatch.allocation import Ranking, allocate
from manager.domain.dispatch.bounds import Bounds
from manager.domain.dispatch.fleet_state import Floats
from manager.domain.dispatch.waterfill import Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """What happened, by period.

    Args:
        net_wh: Through all cables, Wh, + charging.
        contracted_wh: Bought less sold.
        discharged_wh: Sum of what single vehicles discharged, >= 0.
        stored_wh: In the batteries of plugged vehicles at the period's end.
        plugged: How many were plugged in.
        promises_broken: Departures with less than what was promised on plugging in.
    """

    net_wh: Ints
    contracted_wh: Ints
    discharged_wh: Ints
    stored_wh: Ints
    plugged: Ints
    promises_broken: int


@dataclass(slots=True, eq=False)
class _Plugged:
    """A vehicle on its outlet."""

    window: Window
    energy_wh: int

    def left(self, now: int) -> Window:
        """What is left of its stay."""
        return self.window.later(first=now, energy_wh=self.energy_wh)

    def transfer(self, energy_wh: int) -> None:
        """Energy through the cable, Wh, + charging."""
        self.energy_wh = self.window.battery.after(self.energy_wh, energy_wh)


@dataclass(slots=True)
class _Assignment:
    """A plan for some vehicles together, and the period it begins with."""

    vehicles: list[_Plugged]
    first: int
    net_wh: Floats


class Replay:
    """One strategy on one fleet over some days.

    Args:
        windows: All stays, in the order of plugging in, indices from the first replayed period.
        prices: Of all periods, whole days.
        rules: Of the strategy.
        on_day: Called with the number of days that are done.
    """

    def __init__(
        self,
        *,
        windows: Sequence[Window],
        prices: Ints,
        rules: StrategyRules,
        on_day: Callable[[int], None] = lambda _: None,
    ) -> None:
        periods = len(prices)
        self._published = Published(micros_per_kwh=prices)
        self._strategy = Strategy(rules)
        self._rules = rules
        self._on_day = on_day
        self._arriving: dict[int, list[Window]] = defaultdict(list)
        for window in windows:
            self._arriving[window.first].append(window)
        self._past: list[list[Window]] = [[] for _ in range(periods // PERIODS_A_DAY)]
        self._plugged: list[_Plugged] = []
        self._assignments: list[_Assignment] = []
        self._planned_at = 0
        self._curves: tuple[Curve, ...] = ()
        self._cleared = min(PERIODS_A_DAY, periods)  # nothing was bid for the first day
        self._broken = 0
        self._net, self._contracted, self._discharged, self._stored, self._count = (
            np.zeros(periods, np.int64) for _ in range(5)
        )

    def run(self) -> Track:
        """Replay all periods."""
        for now in range(len(self._net)):
            self._market(now)
            self._plan(now)
            self._receive(now)
            self._act(now)
            self._unplug(now)
            if (now + 1) % PERIODS_A_DAY == 0:
                self._on_day((now + 1) // PERIODS_A_DAY)
        return Track(
            net_wh=self._net,
            contracted_wh=self._contracted,
            discharged_wh=self._discharged,
            stored_wh=self._stored,
            plugged=self._count,
            promises_broken=self._broken,
        )

    def _view(self, now: int) -> View:
        return View(
            now=now,
            prices=self._published.known(now),
            plugged=[each.left(now) for each in self._plugged],
            past=self._past[: now // PERIODS_A_DAY + 1],
            contracted_wh=self._contracted[now : self._cleared],
        )

    def _market(self, now: int) -> None:
        """The gate closes, or the auction is cleared: prices of tomorrow meet the bids."""
        day, number = divmod(now, PERIODS_A_DAY)
        if day + 1 == len(self._past):
            return
        if number == GATE:
            self._curves = self._strategy.bid(self._view(now))
        elif number == PUBLICATION:
            first = (day + 1) * PERIODS_A_DAY
            for offset, curve in enumerate(self._curves):
                price = int(self._published.known(now)[first + offset])
                self._contracted[first + offset] = curve.contracted_wh(price)
            self._cleared = first + PERIODS_A_DAY

    def _plan(self, now: int) -> None:
        """Plan anew when something is known that the last plan did not know."""
        cleared = now % PERIODS_A_DAY == PUBLICATION
        if cleared:
            self._strategy.expect(self._view(now))
        arrived = any(each.window.first == now - 1 for each in self._plugged)
        if cleared or arrived or now - self._planned_at >= self._rules.replan_after:
            self._assign(self._strategy.plan(self._view(now)), self._plugged)
            self._planned_at = now

    def _assign(self, tasks: Sequence[Task], vehicles: Sequence[_Plugged]) -> None:
        self._assignments = [
            each for each in self._assignments if not set(each.vehicles) & set(vehicles)
        ]
        for task in tasks:
            members = [vehicles[index] for index in task.members]
            self._assignments.append(_Assignment(members, task.first, task.net_wh))

    def _receive(self, now: int) -> None:
        """Those who plug in during the period are known from then on, with a plan of their own."""
        windows = self._arriving.pop(now, [])
        if not windows:
            return
        view = self._view(now)
        vehicles = [_Plugged(window, window.energy_wh) for window in windows]
        self._assign(self._strategy.receive(view, windows), vehicles)
        self._plugged += vehicles
        self._past[view.today] += windows

    def _act(self, now: int) -> None:
        for each in self._assignments:
            wanted_wh = round(float(each.net_wh[now - each.first]))
            for vehicle, energy_wh in zip(
                each.vehicles, _shared(wanted_wh, each.vehicles, now), strict=True
            ):
                vehicle.transfer(energy_wh)
                self._net[now] += energy_wh
                self._discharged[now] += max(0, -energy_wh)

    def _unplug(self, now: int) -> None:
        self._stored[now] = sum(each.energy_wh for each in self._plugged)
        self._count[now] = len(self._plugged)
        leaving = {each for each in self._plugged if each.window.end == now + 1}
        self._broken += sum(each.energy_wh < each.window.promise_wh for each in leaving)
        self._plugged = [each for each in self._plugged if each not in leaving]
        for assignment in self._assignments:
            assignment.vehicles = [each for each in assignment.vehicles if each not in leaving]
        self._assignments = [each for each in self._assignments if each.vehicles]


def _shared(wanted_wh: int, vehicles: Sequence[_Plugged], now: int) -> list[int]:
    """What each does in the period, within what its driver's promise leaves."""
    bounds = [each.left(now).bounds_wh() for each in vehicles]
    if len(bounds) == 1:
        least, most = bounds[0]
        return [max(least, min(most, wanted_wh))]
    low, high = (np.array(ends, np.int64) for ends in zip(*bounds, strict=True))
    shared = allocate(
        target_w=wanted_wh, bounds=Bounds.of(low, high), ranking=Ranking.equal(len(bounds))
    )
    return [int(each) for each in shared.setpoint_w]
