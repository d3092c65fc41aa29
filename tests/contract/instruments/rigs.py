"""Each driver with its simulated twin, on a real pseudo-terminal or UDP socket."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Coroutine
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import pytest

from cable_node.drivers.echonet_hems import EchonetHems, HemsSettings
from cable_node.drivers.modbus_meter import ModbusMeter, ModbusMeterSettings
from cable_node.drivers.nmea_gps import GpsSettings, NmeaGps
from cable_node.drivers.p1 import P1Meter, P1Settings
from cable_node.drivers.rapi_contactor import RapiContactor, RapiSettings
from cable_node.drivers.route_b import RouteB
from cable_node.drivers.route_b_session import RouteBCredentials, RouteBSettings
from cable_node.ports import CableMeter, Contactor, HomeEnergy, Positioning, SiteMeter
from gridcord.protocols.skstack import Dialect
from gridcord.simulation.instruments import p1_meter
from gridcord.simulation.instruments.gps_receiver import GpsReceiver
from gridcord.simulation.instruments.home_energy_node import HomeEnergyNode
from gridcord.simulation.instruments.rapi_board import RapiBoard
from gridcord.simulation.instruments.route_b_meter import MeterPlate, RouteBMeter
from gridcord.simulation.instruments.sdm230 import Sdm230
from gridcord.simulation.instruments.serial_instrument import SerialInstrument
from gridcord.simulation.instruments.source import (
    SettablePlug,
    SettablePosition,
    SettableRegisters,
)
from gridcord.simulation.instruments.wisun_adapter import WisunAdapter
from gridcord.testing.clock import ManualClock
from gridcord.units import Position

T = TypeVar("T")

START_S = 1_800_000_000.0  # 2027-01-15 17:00:00 JST, a half hour
TIMEOUT_S = 0.4  # of the wire; generous for a pseudo-terminal on a busy machine
_LAST_OCTETS = itertools.count(2)
_NODE_PORT = 13_610  # not 3610, so that the tests do not meet a real node


def run(scenario: Coroutine[Any, Any, T]) -> T:
    """Run a scenario to its end, and see that it has left no descriptor open."""
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    result = asyncio.run(scenario)
    assert len(os.listdir("/proc/self/fd")) <= before, "descriptors were left open"  # noqa: PTH208
    return result


class Rig(ABC):
    """A twin and its driver; `async with` starts and stops both."""

    def __init__(self, folder: Path) -> None:
        self.clock = ManualClock(START_S)
        self.link = folder / "by-id-instrument"

    async def __aenter__(self) -> Any:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @abstractmethod
    async def start(self) -> None:
        """Start the twin and make the driver."""

    @abstractmethod
    async def stop(self) -> None:
        """Close the driver and stop the twin."""


class CableMeterRig(Rig):
    """`ModbusMeter` on `Sdm230`."""

    driver: CableMeter

    def __init__(self, folder: Path, *, model: str = "SDM230", step_wh: int = 1) -> None:
        super().__init__(folder)
        self.source = SettableRegisters(1_234_567, 89_123, 222)
        self.twin = Sdm230(self.source, link=self.link, step_wh=step_wh)
        self.settings = ModbusMeterSettings(
            port=str(self.link), model=model, step_wh=step_wh, timeout_s=TIMEOUT_S
        )

    async def start(self) -> None:
        await self.twin.start()
        self.driver = ModbusMeter(self.settings, self.clock)

    async def stop(self) -> None:
        await self.driver.close()
        await self.twin.stop()


class SiteMeterRig(Rig):
    """A `SiteMeter` on its twin."""

    driver: SiteMeter
    source: SettableRegisters
    serial: SerialInstrument
    step_wh: ClassVar[int]
    has_history: ClassVar[bool]

    @abstractmethod
    async def next_telling(self) -> float:
        """Let time pass until the meter tells its registers anew; returns their instant."""

    @abstractmethod
    def site_ids(self) -> tuple[str, ...]:
        """What the meter calls itself, the best first."""


class P1Rig(SiteMeterRig):
    """`P1Meter` on its simulated namesake."""

    step_wh = 1
    has_history = False

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.source = SettableRegisters(2_375_582, 89_001, -1503)
        self.meter = p1_meter.P1Meter(self.source, self.clock, link=self.link)
        self.serial = self.meter

    async def start(self) -> None:
        await self.meter.start()
        self.driver = P1Meter(P1Settings(port=str(self.link)))

    async def stop(self) -> None:
        await self.driver.close()
        await self.meter.stop()

    async def next_telling(self) -> float:
        await self.clock.advance(1)
        return self.clock.now()

    def site_ids(self) -> tuple[str, ...]:
        return (f"obis:{self.meter.equipment_id.encode().hex().upper()}",)


class RouteBRig(SiteMeterRig):
    """`RouteB` on a simulated module and meter."""

    step_wh = 100
    has_history = True
    dialect: ClassVar[Dialect] = Dialect.BP35C2

    def __init__(self, folder: Path, plate: MeterPlate | None = None) -> None:
        super().__init__(folder)
        self.source = SettableRegisters(1_780_650, 2_150, -1962)
        self.meter = RouteBMeter(self.source, self.clock, plate=plate)
        self.adapter = WisunAdapter(self.meter, dialect=self.dialect, link=self.link)
        self.serial = self.adapter
        self.credentials = RouteBCredentials.from_mapping(
            {
                "route_b_id": self.meter.plate.route_b_id,
                "password": self.meter.plate.password,
            }
        )
        self.settings = RouteBSettings(
            port=str(self.link),
            answer_s=1.0,
            settle_s=0.0,
            listen_s=0.05,
            airtime_wait_s=5.0,
            attempts=2,
            scans=2,
            joins=2,
        )

    async def start(self) -> None:
        await self.meter.start()
        await self.adapter.start()
        self.driver = RouteB(self.settings, self.credentials, self.clock)

    async def stop(self) -> None:
        await self.driver.close()
        await self.adapter.stop()
        await self.meter.stop()

    async def next_telling(self) -> float:
        half_hour_s = self.clock.now() // 1800 * 1800 + 1800
        await self.clock.advance(half_hour_s + self.meter.push_delay_s - self.clock.now())
        return half_hour_s

    def site_ids(self) -> tuple[str, ...]:
        plate = self.meter.plate
        found = (f"jp.0288:{plate.manufacturer.hex()}-{plate.serial_number}",)
        if plate.domain_id is not None:
            return (f"jp.routeb:{plate.domain_id[1:].hex()}", *found)
        return found


class OldDialectRig(RouteBRig):
    """The same with the older module."""

    dialect = Dialect.BP35A1


class HomeEnergyRig(Rig):
    """`EchonetHems` on `HomeEnergyNode`, at addresses of its own."""

    driver: HomeEnergy

    def __init__(self, folder: Path, *, channels: tuple[int, ...] = (), unit: int = 0x03) -> None:
        super().__init__(folder)
        octet = next(_LAST_OCTETS)
        self.source = SettableRegisters(345_678, 0, 480)
        self.circuits = {n: SettableRegisters(1000 * n + 9) for n in (1, 2, 3)}
        self.twin = HomeEnergyNode(
            self.source,
            address=(f"127.0.1.{octet}", _NODE_PORT),
            unit=unit,
            channels=self.circuits,
        )
        self.settings = HemsSettings(
            host=f"127.0.1.{octet}",
            port=_NODE_PORT,
            local_host=f"127.0.2.{octet}",
            local_port=_NODE_PORT,
            channels=channels,
            timeout_s=TIMEOUT_S,
        )

    async def start(self) -> None:
        await self.twin.start()
        self.driver = EchonetHems(self.settings, self.clock)

    async def stop(self) -> None:
        await self.driver.close()
        await self.twin.stop()


class PositioningRig(Rig):
    """`NmeaGps` on `GpsReceiver`."""

    driver: Positioning

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.source = SettablePosition(Position(35.681236, 139.767125))
        self.twin = GpsReceiver(self.source, self.clock, link=self.link)

    async def start(self) -> None:
        await self.twin.start()
        self.driver = NmeaGps(GpsSettings(port=str(self.link), silence_s=30.0), self.clock)

    async def stop(self) -> None:
        await self.driver.close()
        await self.twin.stop()


class ContactorRig(Rig):
    """`RapiContactor` on `RapiBoard`."""

    driver: Contactor

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.source = SettablePlug()
        self.twin = RapiBoard(self.source, self.clock, link=self.link)

    async def start(self) -> None:
        await self.twin.start()
        self.driver = RapiContactor(RapiSettings(port=str(self.link), timeout_s=TIMEOUT_S))

    async def stop(self) -> None:
        await self.driver.close()
        await self.twin.stop()


@contextlib.asynccontextmanager
async def listening(
    values: AsyncGenerator[T, None],
) -> AsyncGenerator[asyncio.Queue[T | Exception], None]:
    """Collect what an iterator tells, in the background; the last thing may be its error."""
    queue: asyncio.Queue[T | Exception] = asyncio.Queue()

    async def collect() -> None:
        try:
            async with contextlib.aclosing(values):
                async for value in values:
                    queue.put_nowait(value)
        except Exception as failure:
            queue.put_nowait(failure)

    task = asyncio.create_task(collect())
    try:
        yield queue
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


STRICT = [
    pytest.mark.filterwarnings("error"),
    pytest.mark.timeout(60),
]
