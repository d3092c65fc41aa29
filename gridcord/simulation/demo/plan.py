"""What a demonstration plays: houses, cheats, times; everything follows from a seed."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from gridcord.simulation.house import Cheat, HouseModel
from gridcord.simulation.vehicle import VehicleModel
from gridcord.units import Position

DOMAIN = "demo.example"
AREA = "tokyo"
MARKET = "jepx.dayahead"
ZONE = "Asia/Tokyo"
PERIOD_S = 1800
DAY_START_S = int(datetime(2026, 5, 31, 15, tzinfo=UTC).timestamp())  # 1 June, midnight in Tokyo
FIRST_PERIOD = 32  # of that day: the afternoon, before the evening's peak
HISTORY_DAYS = 28
SURE_PERIODS = 10  # to be sure that energy does not arrive
SURE_OF_ANOTHER_METER_PERIODS = 24  # its own house's noise is in it


class Scenario(StrEnum):
    """What is played."""

    HONEST = "honest"  # everybody is
    FRAUD = "fraud"  # more cheats, one of them without an energy manager
    OUTAGE = "outage"  # the manager is killed and links are cut during the run
    STORM = "storm"  # everything reconnects at a period boundary
    DAY = "day"  # a few cheating houses, no faults


class SiteMeterKind(StrEnum):
    """What a house's smart meter speaks."""

    P1 = "p1"
    ROUTE_B = "route_b"


@dataclass(frozen=True, slots=True, kw_only=True)
class HousePlan:
    """One house.

    Args:
        house: The house.
        vehicle: The vehicle that parks there.
        soc_percent: Its state of charge at the start.
        meter: What its smart meter speaks.
        has_hems: It has a home energy manager.
        arrives: Period, from 0, in whose course the vehicle is plugged in.
        absent: Periods [from, to) in which it is away; None for never.
        shown: Number of the house whose meter the cable is shown; its own when honest.
    """

    house: HouseModel
    vehicle: VehicleModel
    soc_percent: float
    meter: SiteMeterKind
    has_hems: bool
    arrives: int
    absent: tuple[int, int] | None
    shown: int

    @property
    def number(self) -> int:
        """From 0."""
        return self.house.number


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoPlan:
    """A whole demonstration.

    Args:
        scenario: What is played.
        houses: Who lives there, each with a cable.
        neighbours: Houses without a cable; whoever lies about the meter shows one of theirs.
        periods: How many half hours, >= 3.
        speed: Simulated seconds per real second.
        seed: Everything random follows from it.
    """

    scenario: Scenario
    houses: tuple[HousePlan, ...]
    neighbours: tuple[HousePlan, ...]
    periods: int
    speed: float
    seed: int

    @property
    def all_houses(self) -> tuple[HousePlan, ...]:
        """With a cable or without, by number."""
        return self.houses + self.neighbours

    @property
    def start_s(self) -> int:
        """First second of the first period, seconds since 1970 UTC."""
        return DAY_START_S + FIRST_PERIOD * PERIOD_S

    @property
    def end_s(self) -> int:
        """First second after the last period."""
        return self.start_s + self.periods * PERIOD_S


def site_id_of(number: int, meter: SiteMeterKind) -> str:
    """Identity of a house's metering point, as its own smart meter tells it."""
    if meter is SiteMeterKind.P1:
        return f"obis:{equipment_id(number).encode().hex().upper()}"
    return f"jp.0288:000016-{serial_number(number)}"


def equipment_id(number: int) -> str:
    """What a P1 meter says of itself (OBIS 96.1.1)."""
    return f"E00430075000{number:05d}"


def serial_number(number: int) -> str:
    """What a route-B meter says of itself (EPC 8D)."""
    return f"S13Y{number:08d}"


def make_plan(
    *, scenario: Scenario, houses: int, periods: int, speed: float, seed: int
) -> DemoPlan:
    """Draw a demonstration.

    Args:
        scenario: What is played.
        houses: How many, >= 2.
        periods: How many half hours, >= 3.
        speed: Simulated seconds per real second, > 0.
        seed: Everything random follows from it.

    Raises:
        ValueError: Too few houses or periods.
    """
    if houses < 2 or periods < 3 or speed <= 0:
        message = "a demonstration needs 2 houses, 3 periods and a speed above 0"
        raise ValueError(message)
    r = random.Random(f"demo {seed}")
    cheats = _cheats(scenario, houses, periods)
    plans = tuple(
        _house(number, cheats.get(number, Cheat.NONE), houses, r) for number in range(houses)
    )
    shown = next((n for n, cheat in cheats.items() if cheat is Cheat.OTHER_METER), houses)
    neighbours = (_house(houses, Cheat.NONE, houses, r, meter=_meter_of(shown)),)
    return DemoPlan(
        scenario=scenario,
        houses=plans,
        neighbours=neighbours,
        periods=periods,
        speed=speed,
        seed=seed,
    )


def _cheats(scenario: Scenario, houses: int, periods: int) -> dict[int, Cheat]:
    """Which houses cheat, from the last one down; at least one stays honest.

    A wrong place shows at once. That energy does not arrive is certain after five half hours of
    it, that it arrives behind another meter much later (`docs/trust.md`): in a shorter run nobody
    tries.
    """
    another = periods >= SURE_OF_ANOTHER_METER_PERIODS
    third = Cheat.OTHER_METER if another else Cheat.WRONG_PLACE
    kinds = [Cheat.WRONG_PLACE, *([Cheat.DIVERTED, third] if periods >= SURE_PERIODS else [])]
    count = {
        Scenario.HONEST: 0,
        Scenario.FRAUD: max(1, houses // 2),
    }.get(scenario, 2 if houses >= 6 else 1)
    most = min(count, len(kinds), houses - 1)
    return {houses - 1 - index: kinds[index] for index in range(most)}


def _meter_of(number: int) -> SiteMeterKind:
    return SiteMeterKind.ROUTE_B if number % 4 == 1 else SiteMeterKind.P1


def _house(
    number: int,
    cheat: Cheat,
    neighbour: int,
    r: random.Random,
    *,
    meter: SiteMeterKind | None = None,
) -> HousePlan:
    meter = meter or _meter_of(number)
    place = Position(35.6 + 0.01 * number + r.uniform(0, 0.002), 139.7 + r.uniform(0, 0.05))
    absent_from = r.randrange(4, 9)
    leaves = cheat is Cheat.NONE and r.random() < 0.35
    return HousePlan(
        house=HouseModel(
            number=number,
            site_id=site_id_of(number, meter),
            registered=place,
            load_seed=r.randrange(10_000),
            cheat=cheat,
            day_start_s=DAY_START_S,
        ),
        vehicle=VehicleModel(capacity_wh=r.choice((40_000, 60_000))),
        soc_percent=r.uniform(55, 85),
        meter=meter,
        has_hems=number % 2 == 0 or cheat is Cheat.DIVERTED,
        arrives=0,
        absent=(absent_from, absent_from + r.randrange(2, 4)) if leaves else None,
        shown=neighbour if cheat is Cheat.OTHER_METER else number,
    )
