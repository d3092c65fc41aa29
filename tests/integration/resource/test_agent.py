"""A manager and an agent as processes, and a simulated SunSpec battery behind real Modbus TCP."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gridcord.chassis.clock import SystemClock
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

Story = Callable[["Plant"], Awaitable[None]]


@dataclass
class Plant:
    """A manager, a battery and its agent."""

    manager: ManagerProcess
    database: Path
    battery: SunSpecBattery
    server: ModbusTcpServer
    agent: Program

    async def ask(self, power_w: int) -> None:
        """Have the market ask for a power of the area, in the running period and the next."""
        database = Database(f"sqlite:///{self.database}")
        demands = SqlDemands(database, default_area=AREA, now=time.time)
        running = Period.containing(time.time(), 1800)
        left_s = running.end_s - time.time()
        for period, seconds in ((running, left_s), (running.next(), 1800.0)):
            target_wh = round(power_w * seconds / 3600)
            demand = Demand(
                area_id=AREA, period=period, target_wh=target_wh, revision=int(time.time())
            )
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
    folder: Path, manager: ManagerProcess, plate: BatteryPlate, **resource: Any
) -> AsyncIterator[Plant]:
    battery = SunSpecBattery(plate, SystemClock(), stored_wh=plate.capacity_wh / 2)
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
            "log": {"format": "json"},
        },
        ready=False,
    )
    agent.start()
    try:
        yield Plant(manager, folder / "manager.db", battery, server, agent)
    finally:
        await asyncio.to_thread(agent.stop)
        await server.stop()


def play(folder: Path, story: Story, plate: BatteryPlate | None = None, **resource: Any) -> None:
    session: dict[str, object] = {"telemetry_interval_s": 0.2, "setpoint_lease_s": LEASE_S}
    dispatch: dict[str, object] = {"tick_s": 0.2}
    with running_manager(folder, "", session=session, dispatch=dispatch) as manager:

        async def run() -> None:
            async with plant(folder, manager, plate or BatteryPlate(), **resource) as made:
                await story(made)

        asyncio.run(run())


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
