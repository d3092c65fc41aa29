"""A manager and an agent as processes, and a simulated SunSpec battery behind real Modbus TCP."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gridcord.chassis.clock import Clock, ScaledClock, SystemClock
from gridcord.chassis.exit_codes import ExitCode
from gridcord.chassis.identity import Kind
from gridcord.simulation.processes import Program
from gridcord.simulation.sunspec.battery import BatteryPlate, SunSpecBattery
from gridcord.simulation.sunspec.modbus_tcp import ModbusTcpServer
from gridcord.units import Period
from manager.domain.dispatch.demand import Demand
from manager.storage.engine import Database
from manager.storage.market.demands import SqlDemands
from tests.integration.manager.conftest import DOMAIN, ManagerProcess, running_manager

AREA = "tokyo"
POWER_W = 3000
PATIENCE_S = 90.0
LEASE_S, REVERT_S = 2.0, 2
INTO_S = 60.0  # of a half hour, when a story begins: near its end what was missed weighs much

Story = Callable[["Plant"], Awaitable[None]]


@dataclass
class Plant:
    """A manager, a battery and its agent."""

    manager: ManagerProcess
    database: Path
    battery: SunSpecBattery
    server: ModbusTcpServer
    agent: Program
    clock: Clock

    async def ask(self, power_w: int) -> None:
        """Have the market ask for a power of the area, in the running period and the next."""
        database = Database(f"sqlite:///{self.database}")
        demands = SqlDemands(database, default_area=AREA, now=self.clock.now)
        now_s = self.clock.now()
        running = Period.containing(now_s, 1800)
        left_s = running.end_s - now_s
        for period, seconds in ((running, left_s), (running.next(), 1800.0)):
            target_wh = round(power_w * seconds / 3600)
            demand = Demand(area_id=AREA, period=period, target_wh=target_wh, revision=int(now_s))
            await demands.take(demand, "")
        database.close()

    async def follows(self, holds: Callable[[int], bool]) -> int:
        """Wait until the battery's power is as wanted, W."""
        async with asyncio.timeout(PATIENCE_S):
            while not holds(power_w := self.battery.power_w):  # noqa: ASYNC110  other processes
                await asyncio.sleep(0.05)
        return power_w

    async def in_thread(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """Do what blocks, while the battery goes on answering."""
        return await asyncio.to_thread(work, *arguments)


@asynccontextmanager
async def plant(
    folder: Path,
    manager: ManagerProcess,
    plate: BatteryPlate,
    clock: Clock | None = None,
    **resource: Any,
) -> AsyncIterator[Plant]:
    clock = clock or SystemClock()
    battery = SunSpecBattery(plate, clock, stored_wh=plate.capacity_wh / 2)
    server = ModbusTcpServer(battery)
    await server.start()
    files = manager.identity(Kind.RESOURCE, "battery-0001")
    agent = Program(
        "gridcord.cli.resource",
        folder / "agent",
        {
            "tls": {"certificate": files.certificate, "key": files.key, "roots": files.roots},
            "manager": {"target": manager.address, "server_name": f"manager.{DOMAIN}"},
            "resource": {
                "area_id": AREA,
                "capacity_wh": plate.capacity_wh,
                "fence_file": "fence",
                **resource,
            },
            "device": {
                "host": "127.0.0.1",
                "port": server.port,
                "every_s": 0.2,
                "revert_s": REVERT_S,
                "timeout_s": 5.0,
            },
            "clock": clock_table(clock),
            "log": {"format": "json"},
        },
        ready=False,
    )
    agent.start()
    try:
        yield Plant(manager, folder / "manager.db", battery, server, agent, clock)
    finally:
        await asyncio.to_thread(agent.stop)
        await server.stop()


def play(folder: Path, story: Story, plate: BatteryPlate | None = None, **resource: Any) -> None:
    session: dict[str, object] = {"telemetry_interval_s": 0.2, "setpoint_lease_s": LEASE_S}
    dispatch: dict[str, object] = {"tick_s": 0.2}
    now_s = time.time()
    clock = ScaledClock(1.0, now_s, Period.containing(now_s, 1800).start_s + INTO_S)
    tables = {"session": session, "dispatch": dispatch, "clock": clock_table(clock)}
    with running_manager(folder, "", **tables) as manager:

        async def run() -> None:
            async with plant(folder, manager, plate or BatteryPlate(), clock, **resource) as made:
                await story(made)

        asyncio.run(run())


def clock_table(clock: Clock) -> dict[str, object]:
    """`[clock]` of programs that live by a clock."""
    if not isinstance(clock, ScaledClock):
        return {}
    return {
        "speed": clock.speed,
        "origin": datetime.fromtimestamp(clock.origin_real_s, UTC).isoformat(),
        "simulated_origin": datetime.fromtimestamp(clock.origin_simulated_s, UTC).isoformat(),
    }


def is_about(power_w: int) -> Callable[[int], bool]:
    """Within a tenth: the manager's share of a period moves with the time that is left."""
    return lambda now_w: abs(now_w - power_w) <= abs(power_w) / 10


def is_zero(power_w: int) -> bool:
    return power_w == 0


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_battery_follows_and_every_silence_ends_at_nothing(tmp_path: Path) -> None:
    async def story(plant: Plant) -> None:
        await plant.ask(-POWER_W)
        await plant.follows(is_about(-POWER_W))
        await plant.ask(POWER_W)
        await plant.follows(is_about(POWER_W))

        plant.manager.program.send(signal.SIGSTOP)  # it says nothing more: the lease ends
        await plant.follows(is_zero)
        plant.manager.program.send(signal.SIGCONT)
        await plant.follows(is_about(POWER_W))

        await plant.in_thread(plant.agent.kill)  # nobody is left to end it: the device does
        await plant.follows(is_zero)
        fence = int((plant.agent.folder / "fence").read_text())
        plant.agent.start()
        await plant.follows(is_about(POWER_W))
        assert int((plant.agent.folder / "fence").read_text()) > fence

        words = plant.battery.writes
        plant.server.drop_connections()  # a moment without the device is made good
        await plant.follows(lambda now_w: now_w != 0 and plant.battery.writes > words)

        plant.agent.send(signal.SIGINT)  # and once more, as by somebody who cannot wait
        assert await plant.in_thread(plant.agent.stop) == ExitCode.OK
        assert plant.battery.power_w == 0
        assert "device.rests" in plant.agent.log.read_text("utf-8")

    play(tmp_path, story)


def test_a_station_charges_and_never_discharges(tmp_path: Path) -> None:
    plate = BatteryPlate(charge_w=7400, discharge_w=7400, has_storage=False)

    async def story(plant: Plant) -> None:
        await plant.ask(POWER_W)
        await plant.follows(is_about(POWER_W))
        await plant.ask(-POWER_W)
        await plant.follows(is_zero)

    play(tmp_path, story, plate, kind="STATION")
