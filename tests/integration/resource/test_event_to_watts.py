"""Demand response heard by a market adapter becomes power of a battery: every process is real."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gridcord.chassis.clock import SystemClock
from gridcord.chassis.identity import Kind, Principal
from gridcord.simulation.processes import Program
from gridcord.simulation.sunspec.battery import BatteryPlate
from gridcord.simulation.vtn import Vtn, setpoint_event
from gridcord.units import Period
from tests.integration.adapters import DOMAIN, Adapter, new_authority, running_adapter
from tests.integration.manager.conftest import ManagerProcess
from tests.integration.resource.test_agent import AREA, plant


@contextmanager
def manager_of(adapter: Adapter, folder: Path) -> Iterator[ManagerProcess]:
    """A manager that follows the adapter's demand."""
    files = adapter.pki.files(Principal(domain=DOMAIN, kind=Kind.MANAGER, id="main"))
    program = Program(
        "manager",
        folder,
        {
            "tls": {"certificate": files.certificate, "key": files.key, "roots": files.roots},
            "database": {"file": "manager.db"},
            "market": {"target": adapter.address, "server_name": f"market.{DOMAIN}"},
            "session": {"telemetry_interval_s": 0.2},
            "dispatch": {"tick_s": 0.2},
            "log": {"format": "json"},
        },
    )
    program.start()
    try:
        yield ManagerProcess(program, adapter.pki, str(program.wait_ready()["grpc"]))
    finally:
        program.stop()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_an_event_discharges_a_battery_and_its_end_stops_it(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hush\n", "utf-8")

    async def story() -> None:
        vtn = Vtn(clock=SystemClock(), clients={"ven-7": "hush"})
        await vtn.start()
        program = vtn.put("programs", {"programName": "flexibility"})
        openadr = {
            "url": vtn.url,
            "client_id": "ven-7",
            "secret_file": str(tmp_path / "secret"),
            "programs": ["flexibility"],
            "area": AREA,
            "look_s": 0.2,
        }
        pki = new_authority(tmp_path / "pki")
        tables = {"openadr": openadr}
        with running_adapter(Kind.MARKET, tmp_path / "market", tables, pki=pki) as adapter:
            await asyncio.to_thread(adapter.program.wait_ready)
            with manager_of(adapter, tmp_path / "manager") as manager:
                async with plant(tmp_path, manager, BatteryPlate()) as made:
                    running = Period.containing(time.time(), 1800)
                    event = setpoint_event(
                        program_id=program, first=running, kilowatts=[-3.0, -3.0]
                    )
                    event_id = vtn.put("events", event)
                    # What is left of the period makes up for what was missed of it.
                    await made.follows(lambda power_w: power_w <= -2_700)
                    del vtn.objects["events"][event_id]
                    await made.follows(lambda power_w: power_w > -500)
        await vtn.stop()

    asyncio.run(story())
