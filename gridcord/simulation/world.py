"""The simulated world of a demonstration: houses, their instruments, drivers, vehicles, a utility.

Everything lives in one event loop, on the clock that the programs are given. What the programs talk
to are real serial lines, real datagrams and real sessions.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import grpc
import structlog

from gridcord.chassis.clock import Clock, SystemClock
from gridcord.clients.resource import ResourceClient
from gridcord.session.backoff import Backoff
from gridcord.session.resource import ResourcePolicy
from gridcord.simulation.demo.plan import (
    HISTORY_DAYS,
    PERIOD_S,
    DemoPlan,
    HousePlan,
    SiteMeterKind,
    equipment_id,
    serial_number,
)
from gridcord.simulation.house import House
from gridcord.simulation.instruments.gps_receiver import GpsReceiver
from gridcord.simulation.instruments.home_energy_node import HomeEnergyNode
from gridcord.simulation.instruments.p1_meter import P1Meter
from gridcord.simulation.instruments.rapi_board import RapiBoard
from gridcord.simulation.instruments.route_b_meter import MeterPlate, RouteBMeter
from gridcord.simulation.instruments.sdm230 import Sdm230
from gridcord.simulation.instruments.wisun_adapter import WisunAdapter
from gridcord.simulation.load_profile import half_hourly_profile
from gridcord.simulation.loopback import house_hosts
from gridcord.simulation.sunspec.battery import BatteryPlate, SunSpecBattery
from gridcord.simulation.sunspec.modbus_tcp import ModbusTcpServer
from gridcord.simulation.vehicle import Vehicle
from gridcord.wire.resource import DepartureNeed, ResourceIntroduction, ResourceKind, Telemetry

TELEGRAM_S = 30.0  # between two P1 telegrams: real meters send more than a fast clock can carry
FIX_S = 60.0  # between two positions
FEED_DELAY_S = 180  # after a period's end the utility has its values
RESERVE_PERCENT = 30.0
BATTERY_WH, BATTERY_W = 1_000_000, 250_000  # what the exchange's smallest volume needs
BATTERY_STORED = 0.8  # share at the start

log = structlog.get_logger()


@dataclass(slots=True)
class Outlet:
    """A house with its instruments, the vehicle that parks there, and its controller."""

    plan: HousePlan
    house: House
    cable_meter: Sdm230
    board: RapiBoard
    gps: GpsReceiver
    site_port: str
    instruments: list[Sdm230 | RapiBoard | GpsReceiver | P1Meter | WisunAdapter]
    route_b: RouteBMeter | None
    hems: HomeEnergyNode | None
    controller: ResourceClient | None = None

    @property
    def hems_hosts(self) -> tuple[str, str]:
        """Addresses of the house's energy manager and of the cable, on this machine."""
        return house_hosts(self.plan.number)


class World:
    """All houses.

    Args:
        plan: What is played.
        clock: The demonstration's clock.
        folder: Where links to serial ports are put.
    """

    def __init__(self, plan: DemoPlan, clock: Clock, folder: Path) -> None:
        self.plan = plan
        self._clock = clock
        self._folder = folder
        self._houses = [self._house(each) for each in plan.all_houses]
        plate = BatteryPlate(
            capacity_wh=BATTERY_WH, charge_w=BATTERY_W, discharge_w=BATTERY_W, scale=1
        )
        battery = SunSpecBattery(plate, clock, stored_wh=BATTERY_STORED * BATTERY_WH)
        self.battery = ModbusTcpServer(battery)
        self.outlets: list[Outlet] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._drivers: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Plug all instruments in."""
        self._folder.mkdir(parents=True, exist_ok=True)
        await self.battery.start()
        for plan in self.plan.houses:
            outlet = self._outlet(plan)
            for instrument in outlet.instruments:
                await instrument.start()
            if outlet.route_b is not None:
                await outlet.route_b.start()
            if outlet.hems is not None:
                await outlet.hems.start()
            self.outlets.append(outlet)

    def live(self, connect: Callable[[str], Callable[[], grpc.aio.Channel]], inbox: Path) -> None:
        """Let drivers come and go, controllers connect, and the utility tell its readings.

        Args:
            connect: Gives a resource's way to the manager.
            inbox: The utility adapter's folder.
        """
        for outlet in self.outlets:
            self._drivers.append(self._do(self._drive(outlet)))
            outlet.controller = self._controller(outlet, connect)
            self._do(outlet.controller.run())
        self._do(self._feed(inbox))

    async def stop(self) -> None:
        """End everything."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.battery.stop()
        for outlet in self.outlets:
            if outlet.hems is not None:
                await outlet.hems.stop()
            if outlet.route_b is not None:
                await outlet.route_b.stop()
            for instrument in outlet.instruments:
                await instrument.stop()

    async def everybody_leaves(self) -> None:
        """All vehicles are unplugged and stay away: every cable closes its running period."""
        for task in self._drivers:
            task.cancel()
        await asyncio.gather(*self._drivers, return_exceptions=True)
        for outlet in self.outlets:
            self._plug(outlet, plugged=False)

    def _do(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(_tell)
        return task

    def _house(self, plan: HousePlan) -> House:
        stored_wh = plan.soc_percent / 100 * plan.vehicle.capacity_wh
        vehicle = Vehicle(plan.vehicle, stored_wh, reserve_percent=RESERVE_PERCENT)
        return House(plan.house, vehicle, self._clock.now)

    def _outlet(self, plan: HousePlan) -> Outlet:
        number, house = plan.number, self._houses[plan.number]
        shown, shown_plan = self._houses[plan.shown], self.plan.all_houses[plan.shown]
        cable_meter = Sdm230(
            house.cable, serial_number=23_100_000 + number, link=self._link(plan, "meter")
        )
        board = RapiBoard(house, SystemClock(), link=self._link(plan, "board"))
        gps = GpsReceiver(house, self._clock, interval_s=FIX_S, link=self._link(plan, "gps"))
        house.contactor_closed = lambda: board.closed
        route_b: RouteBMeter | None = None
        if plan.meter is SiteMeterKind.P1:
            site: P1Meter | WisunAdapter = P1Meter(
                shown.meter,
                self._clock,
                equipment_id=equipment_id(shown_plan.number),
                interval_s=TELEGRAM_S,
                link=self._link(plan, "site"),
            )
        else:
            plate = MeterPlate(serial_number=serial_number(shown_plan.number), unit=2)
            route_b = RouteBMeter(shown.meter, self._clock, plate=plate)
            site = WisunAdapter(route_b, link=self._link(plan, "site"))
        outlet = Outlet(
            plan=plan,
            house=house,
            cable_meter=cable_meter,
            board=board,
            gps=gps,
            site_port=str(self._link(plan, "site")),
            instruments=[cable_meter, board, gps, site],
            route_b=route_b,
            hems=None,
        )
        if plan.has_hems:
            identifier = bytes.fromhex("fe000016") + number.to_bytes(12, "big") + b"\x01"
            address = (outlet.hems_hosts[0], 3610)
            outlet.hems = HomeEnergyNode(house.appliances, address=address, identifier=identifier)
        return outlet

    def _link(self, plan: HousePlan, name: str) -> Path:
        return self._folder / f"house-{plan.number:02d}-{name}"

    async def _drive(self, outlet: Outlet) -> None:
        """A driver's day: come, perhaps go and come back."""
        plan, house = outlet.plan, outlet.house
        at = self.plan.start_s + plan.arrives * PERIOD_S + 400 + 37 * plan.number
        await self._clock.sleep_until(at)
        self._plug(outlet, plugged=True)
        if plan.absent is None or plan.absent[0] >= self.plan.periods:
            return
        await self._clock.sleep_until(self.plan.start_s + plan.absent[0] * PERIOD_S + 700)
        self._plug(outlet, plugged=False)
        house.vehicle.drive(used_wh=3_000)
        await self._clock.sleep_until(self.plan.start_s + plan.absent[1] * PERIOD_S + 200)
        self._plug(outlet, plugged=True)

    def _plug(self, outlet: Outlet, *, plugged: bool) -> None:
        outlet.house.advance()
        outlet.house.plugged = plugged
        if outlet.controller is not None:
            outlet.controller.limits_changed()

    def _controller(
        self, outlet: Outlet, connect: Callable[[str], Callable[[], grpc.aio.Channel]]
    ) -> ResourceClient:
        house, number = outlet.house, outlet.plan.number

        def telemetry() -> Telemetry:
            house.advance()
            vehicle = house.vehicle
            ready = house.plugged
            return Telemetry(
                measured_s=self._clock.now(),
                transfer_permitted=ready,
                power_w=house.cable.watts,
                charge_limit_w=vehicle.charge_limit_w if ready else 0,
                discharge_limit_w=vehicle.discharge_limit_w if ready else 0,
                soc_percent=vehicle.soc_percent,
            )

        def set_power(power_w: int) -> None:
            house.advance()
            house.vehicle.setpoint_w = power_w

        return ResourceClient(
            introduction=ResourceIntroduction(
                resource_id=f"vehicle-{number:02d}",
                kind=ResourceKind.VEHICLE,
                cable_id=f"cable-{number:02d}",
                capacity_wh=outlet.plan.vehicle.capacity_wh,
                need=DepartureNeed(reserve_percent=RESERVE_PERCENT),
            ),
            connect=connect(f"vehicle-{number:02d}"),
            clock=self._clock,
            policy=self._policy(),
            telemetry=telemetry,
            set_power=set_power,
        )

    def _policy(self) -> ResourcePolicy:
        speed = self.plan.speed
        return ResourcePolicy(
            backoff=Backoff(base_s=0.5 * speed, cap_s=5.0 * speed),
            welcome_within_s=10.0 * speed,
            stable_after_s=10.0 * speed,
        )

    async def _feed(self, inbox: Path) -> None:
        """The utility's own readings of each period, some minutes after its end."""
        start_s = self.plan.start_s
        while True:
            end_s = start_s + PERIOD_S
            await self._clock.sleep_until(end_s + FEED_DELAY_S)
            rows = [self._reading(house, start_s, end_s) for house in self._houses]
            write_readings(inbox / f"readings-{start_s}.csv", rows)
            start_s = end_s

    def _reading(self, house: House, start_s: int, end_s: int) -> str:
        house.advance()
        meter = house.meter
        imported = meter.imported.wh(end_s) - meter.imported.wh(start_s)
        exported = meter.exported.wh(end_s) - meter.exported.wh(start_s)
        return f"{house.model.site_id},{_utc(start_s)},{imported},{exported}"

    def history(self) -> list[str]:
        """The utility's readings of the weeks before: the house alone."""
        days_before = HISTORY_DAYS
        rows = []
        first_s = self.plan.houses[0].house.day_start_s - days_before * 86_400
        for plan in self.plan.all_houses:
            profile = half_hourly_profile(
                seed=plan.house.load_seed, days=days_before + 1, first_day=-days_before
            )
            for number, energy_wh in enumerate(profile):
                start_s = first_s + number * PERIOD_S
                if start_s < self.plan.start_s:
                    rows.append(f"{plan.house.site_id},{_utc(start_s)},{energy_wh},0")
        return rows


def write_readings(path: Path, rows: Iterable[str]) -> None:
    """Write a file of readings for the utility adapter's inbox."""
    write_table(path, "site_id,period_start,import_wh,export_wh", rows)


def write_table(path: Path, header: str, rows: Iterable[str]) -> None:
    """Write a canonical CSV file beside its place and move it there whole."""
    body = list(rows)
    draft = path.with_name(f".{path.name}")
    draft.write_text("\n".join([header, *body, f"end,{len(body)}"]) + "\n", "utf-8")
    draft.replace(path)


def _utc(at_s: int) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _tell(task: asyncio.Task[None]) -> None:
    with contextlib.suppress(asyncio.CancelledError):
        if (error := task.exception()) is not None:
            log.error("world.broken", exc_info=error)
