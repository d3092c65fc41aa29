"""Recorded sessions become the stays of a fleet in the replayed year.

A vehicle is one series (user or station) of the file. Its history is cut into weeks from Monday;
week after week of the replayed year takes the next one, from a random one on and around again, so
that every session keeps its weekday and its time of day.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from random import Random

from manager.backtest.failures import InputError
from manager.backtest.sessions import RecordedSession
from manager.domain.bidding.stay import PERMILLE, Battery, Stay

FEWEST_WEEKS = 4
"""A series with a shorter history says too little of a year; such are left out."""

_WEEK = timedelta(days=7)


@dataclass(frozen=True, slots=True, kw_only=True)
class VehicleRules:
    """What the sessions do not tell.

    Args:
        capacity_wh: Battery, Wh.
        reserve_percent: State of charge that is never sold.
        target_percent: Promised at departure; a car arrives with that less what it charged.
        least_percent: With how much it arrives at least, whatever it charged.
        outlet_w: Limit of the outlet, both ways, W.
        efficiency_percent: One way, between outlet and battery.
        discharge: It can discharge; False for charging only.
    """

    capacity_wh: int = 60_000
    reserve_percent: int = 20
    target_percent: int = 90
    least_percent: int = 5
    outlet_w: int = 3_000
    efficiency_percent: float = 92.0
    discharge: bool = True

    def __post_init__(self) -> None:
        levels = (self.least_percent, self.reserve_percent, self.target_percent)
        if not 0 <= min(levels) <= max(levels) <= 100:
            message = "states of charge are in [0, 100] percent"
            raise InputError(message)
        if self.least_percent > self.target_percent:
            message = "the state of charge on arrival is above the one promised at departure"
            raise InputError(message)
        if self.capacity_wh <= 0 or self.outlet_w <= 0 or not 0 < self.efficiency_percent <= 100:
            message = "capacity, outlet and efficiency are above 0, efficiency at most 100 percent"
            raise InputError(message)

    @property
    def permille(self) -> int:
        """The efficiency."""
        return max(1, round(self.efficiency_percent * PERMILLE / 100))

    def battery(self) -> Battery:
        """The battery of each vehicle."""
        return Battery(
            ceiling_wh=self.capacity_wh,
            reserve_wh=self.capacity_wh * self.reserve_percent // 100,
            charge_w=self.outlet_w,
            discharge_w=self.outlet_w if self.discharge else 0,
            charge_permille=self.permille,
            discharge_permille=self.permille,
        )


def stays_of_fleet(
    sessions: Sequence[RecordedSession],
    *,
    vehicles: int,
    first_day: date,
    days: int,
    seed: int,
    rules: VehicleRules,
) -> tuple[Stay, ...]:
    """The stays of a fleet that begin and end within the days, in the order of plugging in.

    Their times are seconds from the midnight of the first day.

    Args:
        sessions: As recorded.
        vehicles: How many; when there are fewer series some are taken again from another week on.
        first_day: First replayed day.
        days: How many.
        seed: Of the draw of series and weeks.
        rules: What the sessions do not tell.

    Raises:
        InputError: No series is long enough.
    """
    histories = _histories(sessions)
    if not histories or vehicles < 1:
        message = f"no vehicle with sessions in {FEWEST_WEEKS} weeks or more"
        raise InputError(message)
    random = Random(seed)
    order = random.sample(sorted(histories), len(histories))
    stays: list[Stay] = []
    for vehicle in range(vehicles):
        weeks = histories[order[vehicle % len(order)]]
        offset = random.randrange(len(weeks))
        found = _replayed(weeks, offset, first_day, days, rules)
        stays += [replace(each, resource_id=f"{vehicle:06}") for each in found]
    return tuple(sorted(stays, key=lambda each: (each.start_s, each.resource_id)))


Week = list[tuple[timedelta, RecordedSession]]


def _histories(sessions: Sequence[RecordedSession]) -> Mapping[str, list[Week]]:
    """By series: its weeks, each with sessions and their distance from Monday's midnight."""
    by_series: dict[str, list[RecordedSession]] = defaultdict(list)
    for session in sessions:
        by_series[session.series].append(session)
    histories = {}
    for series, found in by_series.items():
        found.sort(key=lambda each: (each.plug_in, each.unplug))
        first = _monday(found[0].plug_in.date())
        weeks: list[Week] = [[] for _ in range((found[-1].plug_in - first) // _WEEK + 1)]
        for session in found:
            week = (session.plug_in - first) // _WEEK
            weeks[week].append((session.plug_in - first - week * _WEEK, session))
        if len(weeks) >= FEWEST_WEEKS:
            histories[series] = weeks
    return histories


def _monday(day: date) -> datetime:
    return datetime.combine(day - timedelta(days=day.weekday()), time())


def _replayed(
    weeks: list[Week], offset: int, first_day: date, days: int, rules: VehicleRules
) -> list[Stay]:
    start = datetime.combine(first_day, time())
    monday = _monday(first_day)
    stays: list[Stay] = []
    for number in range(-(-(start - monday + timedelta(days=days)) // _WEEK)):
        for into_week, session in weeks[(offset + number) % len(weeks)]:
            plug_in = monday + number * _WEEK + into_week - start
            unplug = plug_in + (session.unplug - session.plug_in)
            free = stays[-1].departure_s if stays else 0  # two weeks may overlap where they meet
            if plug_in.total_seconds() >= free and unplug <= timedelta(days=days):
                stays.append(_stay(plug_in, unplug, session.energy_wh, rules))
    return stays


def _stay(plug_in: timedelta, unplug: timedelta, energy_wh: int, rules: VehicleRules) -> Stay:
    target_wh = rules.capacity_wh * rules.target_percent // 100
    stored_wh = energy_wh * rules.permille // PERMILLE
    least_wh = rules.capacity_wh * rules.least_percent // 100
    return Stay(
        battery=rules.battery(),
        start_s=round(plug_in.total_seconds()),
        departure_s=round(unplug.total_seconds()),
        energy_wh=max(least_wh, target_wh - stored_wh),
        target_wh=target_wh,
    )
