"""Household load, appliance by appliance, repeatable from a seed.

A household has habits (when it gets up, how it cooks, whether it cools or heats with electricity)
and each day is a list of runs: an appliance draws a power from one second to another. Half-hourly
energies and second-by-second power come from the same runs, so a simulated meter and a simulated
half hour agree. Calibrated by eye to the published shape of European and Japanese homes (median
about 7.5 kWh a day, a few times that in the largest, evening peak, 5 to 15 minute appliances on top
of a persistent base); it stands in for real homes and is no substitute for them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate, pairwise
from random import Random
from typing import NamedTuple

DAY_S = 86_400
HOUR_S = 3600
HALF_HOUR_S = 1800


class Run(NamedTuple):
    """An appliance draws a power.

    Args:
        start_s: Seconds since the profile's first midnight.
        end_s: First second after it.
        power_w: Watts, > 0.
    """

    start_s: float
    end_s: float
    power_w: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Household:
    """Habits of one home, all drawn from its seed.

    Hours are of the local day; powers are W; chances are per day.
    """

    seed: int
    standby_w: float
    fridge_w: float
    activity: float  # how much of everything, 1 = typical
    wake_hour: float
    evening_hour: float
    bed_hour: float
    at_home_by_day: float  # chance
    away: float  # chance that a day belongs to an absence
    oven_w: float
    duty: float  # share of the time a hob is on while it cooks
    climate_w: float  # air conditioner or heater; 0: none
    climate_need: float  # how readily it is switched on, 0..1
    night_heater_w: float  # water heater on a night tariff; 0: none
    washes: float  # chance
    dryer: bool


def household(seed: int) -> Household:
    """The home of a seed."""
    r = Random(f"household {seed}")
    return Household(
        seed=seed,
        standby_w=60 * r.lognormvariate(0, 0.65),
        fridge_w=r.uniform(60, 130),
        activity=r.lognormvariate(0.15, 0.6),
        wake_hour=r.gauss(6.8, 0.8),
        evening_hour=r.gauss(18.0, 0.9),
        bed_hour=r.gauss(23.3, 0.8),
        at_home_by_day=r.betavariate(1.2, 1.5),
        away=r.choice((0.0, 0.02, 0.05, 0.12)),
        oven_w=r.uniform(1000, 3000),
        duty=r.uniform(0.25, 0.6),
        climate_w=350 * r.lognormvariate(0.8, 0.6) if r.random() < 0.45 else 0.0,
        climate_need=r.random(),
        night_heater_w=r.uniform(800, 3000) if r.random() < 0.12 else 0.0,
        washes=r.uniform(0.15, 0.8),
        dryer=r.random() < 0.25,
    )


def runs_of_day(home: Household, day: int) -> Iterator[Run]:
    """What runs begin on a day (0 = the profile's first); some end on the next."""
    r = Random(f"{home.seed} day {day}")
    midnight = float(day * DAY_S)
    yield Run(midnight, midnight + DAY_S, home.standby_w)
    yield from _fridge(home, r, midnight)
    if home.night_heater_w and r.random() < 0.85:
        start = midnight + r.uniform(1.0, 3.0) * HOUR_S
        yield Run(start, start + r.uniform(1.0, 3.5) * HOUR_S, home.night_heater_w)
    if _away(home, day):
        return
    yield from _living(home, r, midnight)
    yield from _cooking(home, r, midnight)
    yield from _chores(home, r, midnight)
    yield from _climate(home, r, midnight, day)


def half_hourly_profile(*, seed: int, days: int, first_day: int = 0) -> list[int]:
    """Energy of each half hour, Wh, >= 0, 48 a day from local midnight.

    Args:
        seed: Which home.
        days: How many, > 0.
        first_day: Day of the profile to begin with.
    """
    joules = interval_joules(seed=seed, days=days, first_day=first_day, interval_s=HALF_HOUR_S)
    registers = [0, *(int(total) for total in accumulate(j / HOUR_S for j in joules))]
    return [after - before for before, after in pairwise(registers)]


def interval_joules(*, seed: int, days: int, interval_s: int, first_day: int = 0) -> list[float]:
    """Energy of each interval, J, >= 0, from local midnight.

    Args:
        seed: Which home.
        days: How many, > 0.
        interval_s: Seconds of an interval; divides a day.
        first_day: Day of the profile to begin with.
    """
    home, origin = household(seed), first_day * DAY_S
    joules = [0.0] * (days * DAY_S // interval_s)
    for day in range(first_day - 1, first_day + days):
        for run in runs_of_day(home, day):
            _spread(joules, interval_s, run.start_s - origin, run.end_s - origin, run.power_w)
    return joules


def second_profile(*, seed: int, start_s: int, seconds: int) -> list[int]:
    """Power of each second, W, >= 0, with the flicker of real loads.

    Args:
        seed: Which home.
        start_s: Seconds since the profile's first midnight, >= 0.
        seconds: How many.
    """
    home, power = household(seed), [0.0] * (seconds + 1)
    for day in range(start_s // DAY_S - 1, (start_s + seconds - 1) // DAY_S + 1):
        for run in runs_of_day(home, day):
            first = min(max(round(run.start_s) - start_s, 0), seconds)
            last = min(max(round(run.end_s) - start_s, 0), seconds)
            power[first] += run.power_w
            power[last] -= run.power_w
    r = Random(f"{seed} flicker {start_s}")
    return [
        max(0, round(level + r.gauss(0, 1.5 + 0.006 * abs(level))))
        for level in accumulate(power[:seconds])
    ]


def _spread(
    joules: list[float], interval_s: int, start_s: float, end_s: float, power_w: float
) -> None:
    start_s, end_s = max(start_s, 0.0), min(end_s, len(joules) * float(interval_s))
    while start_s < end_s:
        slot = int(start_s // interval_s)
        until_s = min(end_s, (slot + 1) * float(interval_s))
        joules[slot] += power_w * (until_s - start_s)
        start_s = until_s


def _away(home: Household, day: int) -> bool:
    """Absences last for days: a day is away when one began within its length."""
    for before in range(4):
        r = Random(f"{home.seed} trip {day - before}")
        if r.random() < home.away / 2 and r.randrange(1, 5) > before:
            return True
    return False


def _fridge(home: Household, r: Random, midnight: float) -> Iterator[Run]:
    at = midnight + r.uniform(0, 2400)
    while at < midnight + DAY_S:
        on_s = r.uniform(600, 1300)
        yield Run(at, at + on_s, home.fridge_w * r.uniform(0.9, 1.1))
        at += on_s + r.uniform(1200, 2600)


def _block(r: Random, midnight: float, hour: float, hours: float, power_w: float) -> Iterator[Run]:
    """Lights, screens: steady in pieces of some minutes."""
    at = midnight + hour * HOUR_S
    end = at + max(0.0, hours) * HOUR_S
    while at < end:
        until = min(end, at + r.uniform(600, 3600))
        yield Run(at, until, power_w * r.uniform(0.6, 1.4))
        at = until


def _cycled(r: Random, start: float, seconds: float, power_w: float, duty: float) -> Iterator[Run]:
    """A thermostat or hob: on and off within a minute or so."""
    at, end = start, start + seconds
    while at < end:
        period = r.uniform(20, 70)
        yield Run(at, min(end, at + period * duty), power_w)
        at += period


def _living(home: Household, r: Random, midnight: float) -> Iterator[Run]:
    wake, evening, bed = (
        r.gauss(hour, spread)
        for hour, spread in (
            (home.wake_hour, 0.4),
            (home.evening_hour, 0.7),
            (home.bed_hour, 0.5),
        )
    )
    yield from _block(r, midnight, wake, 1.5, 120 * home.activity)
    yield from _block(r, midnight, evening, bed - evening, 190 * home.activity)
    if r.random() < home.at_home_by_day:
        yield from _block(r, midnight, wake + 1.5, evening - wake - 1.5, 100 * home.activity)
        kettle_hours = [r.uniform(wake, bed) for _ in range(r.randrange(2, 7))]
    else:
        kettle_hours = [r.uniform(wake, wake + 1.2), r.uniform(evening, bed)]
    for hour in kettle_hours:
        start = midnight + hour * HOUR_S
        yield Run(start, start + r.uniform(80, 260), r.uniform(1000, 2000))
    if r.random() < 0.6:
        start = midnight + (wake if r.random() < 0.5 else bed - 1) * HOUR_S
        yield Run(start, start + r.uniform(180, 600), r.uniform(700, 1400))


def _cooking(home: Household, r: Random, midnight: float) -> Iterator[Run]:
    meals = (
        (home.wake_hour + 0.4, 0.6, 900.0),
        (12.2, 0.7 * home.at_home_by_day, 1400.0),
        (home.evening_hour + 0.6, 0.85, 2400.0),
    )
    for hour, chance, seconds in meals:
        if r.random() < chance:
            start = midnight + r.gauss(hour, 0.5) * HOUR_S
            length = seconds * r.uniform(0.4, 1.7) * min(2.0, home.activity**0.5)
            yield from _cycled(r, start, length, home.oven_w, home.duty)
            yield Run(start + length, start + length + r.uniform(60, 300), 1300.0)


def _chores(home: Household, r: Random, midnight: float) -> Iterator[Run]:
    if r.random() < home.washes:
        start = midnight + r.choice((home.wake_hour + 1.0, 11.0, home.evening_hour + 1.5)) * HOUR_S
        start += r.gauss(0, 2400)
        yield Run(start, start + r.uniform(300, 1200), r.choice((150.0, 2000.0)))
        yield from _cycled(r, start + 1200, 2400, 280, 0.5)
        if home.dryer:
            yield from _cycled(r, start + 4000, r.uniform(2400, 6000), 1900, 0.7)
    for _ in range(round(r.expovariate(1.2 / home.activity))):
        start = midnight + r.uniform(9, 21) * HOUR_S
        yield Run(start, start + r.uniform(300, 2400), r.uniform(600, 2400))


def _climate(home: Household, r: Random, midnight: float, day: int) -> Iterator[Run]:
    if not home.climate_w:
        return
    weather = math.sin(day / 4.3 + home.seed % 7) + math.sin(day / 1.7) * 0.5 + r.gauss(0, 0.4)
    if weather < 1.2 - 2.0 * home.climate_need:
        return
    start = r.gauss(home.evening_hour + 0.3, 1.0)
    if home.at_home_by_day > 0.5 and r.random() < 0.4:
        start = r.uniform(9.0, 15.0)
    for piece in _pieces(r, start, home.bed_hour + r.gauss(0, 0.5)):
        level = home.climate_w * r.uniform(0.35, 1.0)
        yield Run(midnight + piece[0] * HOUR_S, midnight + piece[1] * HOUR_S, level)


def _pieces(r: Random, start: float, end: float) -> Iterable[tuple[float, float]]:
    while start < end:
        until = min(end, start + r.uniform(0.08, 0.5))
        yield start, until
        start = until
