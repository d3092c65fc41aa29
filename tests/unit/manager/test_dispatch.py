"""The dispatcher: counts what was done, survives its end, replaces who vanishes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import pytest

from gridcord.metering.reading import Permission
from gridcord.metering.records import AssetLoading
from gridcord.settlement.departure import Expectation
from gridcord.units import Period
from manager.domain.dispatch.demand import Demand, DemandReport, Progress
from manager.domain.dispatch.steering import SteeringRules
from manager.domain.records.resource import ResourceState
from manager.ports import Expectations, SiteSituation, StoreFull
from manager.usecases.dispatch import Dispatcher, DispatchPolicy
from tests.unit.manager.test_steering import PERIOD, car, demand

NEXT = PERIOD.next(1)


@dataclass(eq=False)
class Car:
    """A car that does what it is told."""

    resource: ResourceState
    reasons: list[str] = field(default_factory=list)
    silent: bool = False

    @property
    def device_id(self) -> str:
        return self.resource.resource_id

    @property
    def power_w(self) -> int:
        return self.resource.power_w

    def state(self) -> ResourceState | None:
        return None if self.silent else self.resource

    def steer(self, power_w: int, *, lease_s: float, reason: str) -> None:
        self.resource = replace(self.resource, power_w=power_w)
        self.reasons.append(reason)


class KnownDemands:
    """`manager.ports.Demands` in memory."""

    def __init__(self, *wanted: Demand) -> None:
        self.wanted = list(wanted)
        self.noted: dict[tuple[str, Period], Progress] = {}

    async def cursor(self) -> str:
        return ""

    async def take(self, demand: Demand, cursor: str) -> None:
        self.wanted.append(demand)

    async def of_period(self, period: Period) -> list[Demand]:
        return [each for each in self.wanted if each.period == period]

    async def note(self, area_id: str, period: Period, progress: Progress) -> None:
        self.noted[area_id, period] = progress

    async def progress(self, area_id: str, period: Period) -> Progress:
        return self.noted.get((area_id, period), Progress())

    async def reports(
        self, *, start_s: int | None, end_s: int | None, area_id: str, after: str, limit: int
    ) -> list[DemandReport]:
        return []


class Loadings:
    """`manager.ports.SiteRules` in memory."""

    def __init__(self, loadings: Mapping[str, Sequence[AssetLoading]]) -> None:
        self._loadings = loadings

    async def situation(self, site_ids: Sequence[str]) -> SiteSituation:
        return SiteSituation(blocks={}, loadings=self._loadings)


@dataclass
class Street:
    """Cars, a clock, and the dispatcher that steers them."""

    demands: KnownDemands
    cars: list[Car]
    now_s: float = float(PERIOD.start_s)
    loadings: Mapping[str, Sequence[AssetLoading]] = field(default_factory=dict)
    kept: Expectations | None = None

    def dispatcher(self, sleep: Callable[[float], Awaitable[None]] | None = None) -> Dispatcher:
        async def passing(seconds: float) -> None:
            self.now_s += seconds

        return Dispatcher(
            demands=self.demands,
            rules=Loadings(self.loadings),
            sessions=lambda: self.cars,
            now=lambda: self.now_s,
            sleep=sleep or passing,
            tick_s=2.0,
            policy=DispatchPolicy(
                steering=SteeringRules(horizon_s=30.0),
                efficiency_permille=1_000,
                loading_limit_percent=100.0,
                note_s=10.0,
                period_s=PERIOD.length_s,
            ),
            kept=self.kept,
        )

    def ticks(self, dispatcher: Dispatcher, count: int) -> None:
        async def run() -> None:
            for _ in range(count):
                await dispatcher.step()
                self.now_s += 2.0

        asyncio.run(run())

    @property
    def power_w(self) -> int:
        return sum(each.power_w for each in self.cars)


@pytest.fixture
def street() -> Street:
    cars = [Car(car(name, site_id=f"site-{name}")) for name in ("a", "b", "c")]
    return Street(demands=KnownDemands(demand(-1_500)), cars=cars)


def test_a_period_ends_with_what_was_asked(street: Street) -> None:
    dispatcher = street.dispatcher()
    street.ticks(dispatcher, 901)
    noted = street.demands.noted["3", PERIOD]
    assert abs(noted.telemetry_wh + 1_500) <= 3
    assert abs(noted.allocated_wh + 1_500) <= 3
    assert set(street.cars[0].reasons[:-1]) == {"CONTRACT"}


def test_after_the_period_nothing_is_asked_and_nothing_flows(street: Street) -> None:
    dispatcher = street.dispatcher()
    street.ticks(dispatcher, 905)
    assert street.power_w == 0
    assert street.cars[0].reasons[-1] == "IDLE"
    assert street.demands.noted.get(("3", NEXT), Progress()) == Progress()


def test_a_round_is_made_when_a_period_begins(street: Street) -> None:
    """What a contract asked for ends with its period, not with the tick after it."""
    street.now_s = NEXT.start_s - 1.5
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)
        street.now_s += seconds
        if len(waited) == 2:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(street.dispatcher(sleep).run())
    assert waited == [1.5, 2.0]
    assert street.cars[0].reasons == ["CONTRACT", "IDLE"]


def test_energy_is_counted_to_the_end_of_its_period(street: Street) -> None:
    """A tick that comes late does not give the next period what flowed in the old one."""
    street.demands.wanted.append(replace(demand(0), period=NEXT))
    dispatcher = street.dispatcher()
    street.ticks(dispatcher, 1)
    street.now_s = NEXT.start_s + 60.0
    street.ticks(dispatcher, 1)
    assert street.demands.noted["3", PERIOD].telemetry_wh == -1_500
    assert dispatcher.delivered_wh["3"] == pytest.approx(-3_000 * 60 / 3600)


def test_who_vanishes_is_replaced_at_the_next_tick(street: Street) -> None:
    dispatcher = street.dispatcher()
    street.ticks(dispatcher, 2)
    before = street.power_w
    street.cars[0].silent = True
    street.ticks(dispatcher, 1)
    assert sum(each.power_w for each in street.cars[1:]) <= before
    street.cars.pop(0)
    street.ticks(dispatcher, 1)
    assert street.power_w == pytest.approx(before, rel=0.01)


def test_a_block_of_one_site_moves_its_share_to_the_others(street: Street) -> None:
    dispatcher = street.dispatcher()
    street.ticks(dispatcher, 2)
    blocked = street.cars[0]
    blocked.resource = replace(blocked.resource, permission=Permission.NONE)
    street.ticks(dispatcher, 1)
    assert blocked.power_w == 0
    assert street.power_w == pytest.approx(-3_000, rel=0.01)


def test_a_manager_that_is_killed_goes_on_where_it_noted(street: Street) -> None:
    street.ticks(street.dispatcher(), 450)
    noted = street.demands.noted["3", PERIOD]
    assert abs(noted.telemetry_wh + 750) <= 10
    street.ticks(street.dispatcher(), 451)
    final = street.demands.noted["3", PERIOD]
    assert abs(final.telemetry_wh + 1_500) <= 15  # it noted within the last ten seconds


def test_loaded_equipment_limits_what_hangs_on_it(street: Street) -> None:
    pole = AssetLoading(asset_id="pole", loading_percent=-99.0, rated_va=50_000, measured_s=0.0)
    street.loadings = {"site-a": (pole,), "site-b": (pole,)}
    dispatcher = street.dispatcher()
    street.ticks(dispatcher, 1)
    a, b, c = (each.power_w for each in street.cars)
    assert a + b == -500
    assert c == -2_500


def test_areas_do_not_share(street: Street) -> None:
    street.demands.wanted.append(replace(demand(500), area_id="6"))
    street.cars.append(Car(car("far", area_id="6")))
    street.ticks(street.dispatcher(), 1)
    assert street.cars[-1].power_w == 1_000
    assert sum(each.power_w for each in street.cars[:-1]) == -3_000


class Kept:
    """`manager.ports.Expectations` in memory."""

    def __init__(self) -> None:
        self.all: list[Expectation] = []

    async def keep(self, expectations: Sequence[Expectation]) -> None:
        self.all += expectations


def counting_street() -> tuple[Street, Kept]:
    """Two hours sold; each car hangs on a cable."""
    kept = Kept()
    cars = [Car(car(name, cable_id=f"cable-{name}", cabled=True)) for name in ("a", "b", "c")]
    wanted = (demand(-1_500), replace(demand(-1_500), period=NEXT))
    return Street(demands=KnownDemands(*wanted), cars=cars, kept=kept), kept


def test_what_cables_are_counted_on_is_kept_once_when_a_period_begins() -> None:
    street, kept = counting_street()
    dispatcher = street.dispatcher()
    street.ticks(dispatcher, 900)
    assert kept.all == [], "who started in its middle does not know how a period began"
    street.ticks(dispatcher, 100)
    assert {each.cable_id: each.power_w for each in kept.all} == dict.fromkeys(
        ("cable-a", "cable-b", "cable-c"), -1_000
    )
    assert {(each.area, each.period, each.until_s) for each in kept.all} == {
        ("3", NEXT, NEXT.end_s)
    }


def test_nobody_is_counted_on_who_refuses_is_blocked_or_had_said_to_leave() -> None:
    street, kept = counting_street()
    dispatcher = street.dispatcher()
    street.ticks(dispatcher, 899)
    a, b, c = street.cars
    a.resource = replace(a.resource, refused=True)
    b.resource = replace(b.resource, permission=Permission.NONE)
    c.resource = replace(c.resource, departure_s=NEXT.start_s + 600.5)
    street.cars.append(Car(car("uncabled")))
    street.ticks(dispatcher, 10)
    assert [(each.cable_id, each.until_s) for each in kept.all] == [("cable-c", NEXT.start_s + 600)]


def test_where_nothing_is_asked_nobody_is_counted_on() -> None:
    street, kept = counting_street()
    street.demands.wanted.pop()
    street.ticks(street.dispatcher(), 950)
    assert kept.all == []


def test_a_store_that_fails_is_told_at_the_next_tick() -> None:
    street, kept = counting_street()
    dispatcher = street.dispatcher()
    street.ticks(dispatcher, 899)

    async def full(expectations: Sequence[Expectation]) -> None:
        raise StoreFull("no space")

    working, kept.keep = kept.keep, full  # type: ignore[method-assign]
    with pytest.raises(StoreFull):
        street.ticks(dispatcher, 2)
    kept.keep = working  # type: ignore[method-assign]
    street.ticks(dispatcher, 2)
    assert len(kept.all) == 3
