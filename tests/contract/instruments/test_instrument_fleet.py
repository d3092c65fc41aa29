"""Ten houses full of instruments in one process, on a clock that runs sixty times as fast."""

from __future__ import annotations

import asyncio
import contextlib
import time
from pathlib import Path

from cable_node.drivers.echonet_hems import EchonetHems, HemsSettings
from cable_node.drivers.modbus_meter import ModbusMeter, ModbusMeterSettings
from cable_node.drivers.nmea_gps import GpsSettings, NmeaGps
from cable_node.drivers.p1 import P1Meter, P1Settings
from cable_node.drivers.rapi_contactor import RapiContactor, RapiSettings
from gridcord.chassis.clock import ScaledClock
from gridcord.metering.reading import Permission
from gridcord.simulation.instruments import p1_meter
from gridcord.simulation.instruments.gps_receiver import GpsReceiver
from gridcord.simulation.instruments.home_energy_node import HomeEnergyNode
from gridcord.simulation.instruments.rapi_board import RapiBoard
from gridcord.simulation.instruments.sdm230 import Sdm230
from gridcord.simulation.instruments.source import (
    SettablePlug,
    SettablePosition,
    SettableRegisters,
)
from gridcord.units import Position
from tests.contract.instruments.rigs import START_S, STRICT, run

pytestmark = STRICT

HOUSES = 10
SPEED = 60.0


class House:
    """All instruments of one house, and the drivers of the cable in it."""

    def __init__(self, number: int, folder: Path, clock: ScaledClock) -> None:
        self.number = number
        through_cable = SettableRegisters(1000 * number, 10 * number, -number)
        at_the_meter = SettableRegisters(77_000 * number + 1, 5 * number, 100 * number)
        used = SettableRegisters(33_000 * number + 3, 0, 7 * number)
        place = SettablePosition(Position(35.0 + number, 139.0))
        host, local = f"127.0.3.{number}", f"127.0.4.{number}"
        self.board = RapiBoard(SettablePlug(), clock, link=folder / f"board{number}", poll_s=30)
        self.twins = (
            Sdm230(through_cable, link=folder / f"meter{number}"),
            p1_meter.P1Meter(at_the_meter, clock, interval_s=10, link=folder / f"p1-{number}"),
            GpsReceiver(place, clock, interval_s=10, link=folder / f"gps{number}"),
            self.board,
            HomeEnergyNode(used, address=(host, 13_611)),
        )
        self.cable = ModbusMeter(ModbusMeterSettings(port=str(folder / f"meter{number}")), clock)
        self.site = P1Meter(P1Settings(port=str(folder / f"p1-{number}")))
        self.gps = NmeaGps(GpsSettings(port=str(folder / f"gps{number}")), clock)
        self.contactor = RapiContactor(RapiSettings(port=str(folder / f"board{number}")))
        self.hems = EchonetHems(
            HemsSettings(host=host, port=13_611, local_host=local, local_port=13_611), clock
        )

    async def start(self) -> None:
        for twin in self.twins:
            await twin.start()

    async def stop(self) -> None:
        for driver in (self.cable, self.site, self.gps, self.contactor, self.hems):
            await driver.close()
        for twin in self.twins:
            await twin.stop()

    async def check(self) -> None:
        """Every driver sees its own house and no other."""
        number = self.number
        reading = await self.cable.read()
        assert (reading.import_wh, reading.power_w) == (1000 * number, -number)
        assert (await self.site.power()).power_w == 100 * number
        assert (await self.hems.read()).import_wh == 33_000 * number + 3
        async with contextlib.aclosing(self.gps.fixes()) as fixes:
            assert round((await anext(fixes)).latitude_deg) == 35 + number
        await self.contactor.command(Permission.CHARGE_ONLY)
        assert self.board.closed


def test_ten_houses_at_sixty_times_the_speed(tmp_path: Path) -> None:
    async def scenario() -> None:
        clock = ScaledClock(SPEED, time.time(), START_S)
        houses = [House(number, tmp_path, clock) for number in range(1, HOUSES + 1)]
        for house in houses:
            await house.start()
        for _ in range(3):
            await asyncio.gather(*(house.check() for house in houses))
        for house in houses:
            await house.stop()

    run(scenario())
