"""The simulated SunSpec device: its bytes, its models as the standard's own library reads them."""

from __future__ import annotations

import asyncio
import logging
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from io import StringIO
from typing import Any, Literal

import pytest
import structlog
from sunspec2.modbus.client import SunSpecModbusClientDeviceTCP

from gridcord.chassis.logging import configure_logging
from gridcord.chassis.sections import LogSettings
from gridcord.clients.sunspec_device import DeviceAddress, DeviceUnavailable, SunSpecDevice
from gridcord.protocols.sunspec import DeviceState
from gridcord.simulation.sunspec.battery import BASE, BatteryPlate, SunSpecBattery
from gridcord.simulation.sunspec.modbus_tcp import ModbusTcpServer
from gridcord.testing.clock import ManualClock

CONTROLS = BASE + 2 + 68 + 155 + 52  # model 704
ENABLE = CONTROLS + 22

Story = Callable[["Rig"], Awaitable[None]]


class Rig:
    """A battery that is served, and a client of ours."""

    def __init__(self, plate: BatteryPlate) -> None:
        self.clock = ManualClock()
        self.battery = SunSpecBattery(plate, self.clock, stored_wh=plate.capacity_wh / 2)
        self.server = ModbusTcpServer(self.battery)

    @asynccontextmanager
    async def serving(self, *, timeout_s: float = 30.0) -> AsyncIterator[None]:
        await self.server.start()
        self.device = SunSpecDevice(
            DeviceAddress(host="127.0.0.1", port=self.server.port, timeout_s=timeout_s), revert_s=30
        )
        try:
            yield
        finally:
            await self.device.close()
            await self.server.stop()

    async def say(self, request: bytes) -> bytes:
        """The answer to a frame."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        writer.write(request)
        answer = await reader.readexactly(6)
        answer += await reader.readexactly(struct.unpack(">H", answer[4:])[0])
        writer.close()
        return answer

    async def library(self, work: Callable[[Any], Any]) -> Any:
        """What the SunSpec Alliance's own library finds."""

        def ask() -> Any:
            client = SunSpecModbusClientDeviceTCP(
                slave_id=1, ipaddr="127.0.0.1", ipport=self.server.port, timeout=30
            )
            client.scan()
            try:
                return work(client)
            finally:
                client.close()

        return await asyncio.to_thread(ask)


def play(story: Story, plate: BatteryPlate | None = None, *, timeout_s: float = 30.0) -> None:
    async def run() -> None:
        rig = Rig(plate or BatteryPlate())
        async with rig.serving(timeout_s=timeout_s):
            await story(rig)

    asyncio.run(run())


def frame(unit: int, pdu: str) -> bytes:
    body = bytes.fromhex(pdu)
    return struct.pack(">HHHB", 0x1234, 0, len(body) + 1, unit) + body


@pytest.mark.parametrize(
    ("request_pdu", "answer_pdu"),
    [
        ("03 9c40 0002", "03 04 53756e53"),  # "SunS"
        ("03 9c42 0002", "03 04 0001 0042"),  # model 1, 66 registers
        ("03 9c3f 0001", "83 02"),  # before the map
        ("03 9c40 0000", "83 03"),
        ("03 9c40 007e", "83 03"),  # 126 registers
        ("03 9c40", "83 03"),
        ("04 9c40 0001", "84 01"),  # no input registers
        (f"06 {ENABLE:04x} 0001", f"06 {ENABLE:04x} 0001"),
        (f"06 {ENABLE:04x} 0002", "86 03"),
        (f"06 {ENABLE + 1:04x} 0000", "86 03"),  # percent is not implemented
        (f"06 {ENABLE + 2:04x} 0000", "86 02"),  # half of a long value
        (f"06 {BASE:04x} 0000", "86 02"),  # read only
        (f"10 {ENABLE:04x} 0004 08 0001 0001 0000 04d2", f"10 {ENABLE:04x} 0004"),
        (f"10 {ENABLE:04x} 0004 06 0001 0001 0000", "90 03"),
    ],
)
def test_bytes(request_pdu: str, answer_pdu: str) -> None:
    async def story(rig: Rig) -> None:
        assert await rig.say(frame(1, request_pdu)) == frame(1, answer_pdu)

    play(story)


def test_another_unit_is_not_there_and_what_is_no_modbus_ends_the_connection() -> None:
    async def story(rig: Rig) -> None:
        assert await rig.say(frame(2, "03 9c40 0002")) == frame(2, "83 0b")
        with pytest.raises(asyncio.IncompleteReadError):
            await rig.say(b"GET / HTTP/1.1\r\n\r\n")

    play(story)


@pytest.mark.parametrize("scale", [0, 1])
def test_the_standards_library_reads_and_sets_it(scale: int) -> None:
    def read(client: Any) -> dict[str, Any]:
        measured, capacity = client.models[701][0], client.models[702][0]
        storage = client.models[713][0]
        return {
            "serial": client.models[1][0].SN.value,
            "W": measured.W.cvalue,
            "others": [
                name
                for name, point in measured.points.items()
                if point.value is not None and not name.endswith("_SF")
            ],
            "charge": capacity.WChaRteMax.cvalue,
            "discharge": capacity.WDisChaRteMaxRtg.cvalue,
            "SoC": storage.SoC.cvalue,
            "WHRtg": storage.WHRtg.cvalue,
        }

    def steer(client: Any) -> float:
        controls = client.models[704][0]
        controls.WSetMod.value = controls.WSetEna.value = 1
        controls.WSet.cvalue = 1500
        controls.write()
        controls.read()
        return float(controls.WSet.cvalue)

    async def story(rig: Rig) -> None:
        assert await rig.library(steer) == 1500
        assert rig.battery.power_w == -1500
        assert await rig.library(read) == {
            "serial": "GC-0001",
            "W": 1500,
            "others": ["ID", "L", "ACType", "St", "InvSt", "ConnSt", "Alrm", "DERMode", "W"],
            "charge": 5000,
            "discharge": 4000,
            "SoC": 50,
            "WHRtg": 10_000,
        }

    play(story, BatteryPlate(discharge_w=4000, scale=scale))


def test_a_container_of_batteries_tells_its_charge_too() -> None:
    """A megawatt-hour fits into no register of 10 Wh a count."""

    async def story(rig: Rig) -> None:
        state = await rig.device.read()
        assert state.soc_percent == 50.0
        assert (state.charge_limit_w, state.discharge_limit_w) == (250_000, 250_000)

        def capacity(client: Any) -> tuple[float, float]:
            (model,) = client.models[713]
            model.read()
            return model.WHRtg.cvalue, model.WHAvail.cvalue

        assert await rig.library(capacity) == (1_000_000, 500_000)

    play(story, BatteryPlate(capacity_wh=1_000_000, charge_w=250_000, discharge_w=250_000, scale=1))


@pytest.mark.parametrize("scale", [0, 1])
def test_our_client_reads_and_sets_it(scale: int) -> None:
    async def story(rig: Rig) -> None:
        await rig.device.set_power(2000)
        assert rig.battery.power_w == 2000
        await rig.clock.advance(1800)  # the reversion timer ends it after 30 s of them
        await rig.device.set_power(-2000)
        assert await rig.device.read() == DeviceState(
            is_ready=True,
            power_w=-2000,
            charge_limit_w=5000,
            discharge_limit_w=5000,
            soc_percent=50.2,  # 2 kW for 30 s at 95 %
        )

        def timers(client: Any) -> tuple[int, int, int]:
            controls = client.models[704][0]
            return controls.WSetRvrtTms.value, controls.WSetEnaRvrt.value, controls.WSetRvrt.value

        assert await rig.library(timers) == (30, 1, 0)

    play(story, BatteryPlate(scale=scale))


@pytest.mark.parametrize("timer_starts_with", ["enable", "time"])
def test_silence_ends_at_nothing_and_each_word_counts_anew(
    timer_starts_with: Literal["enable", "time"],
) -> None:
    async def story(rig: Rig) -> None:
        for _ in range(3):
            await rig.device.set_power(1000)
            await rig.clock.advance(29)
            assert rig.battery.power_w == 1000
        await rig.clock.advance(1)
        assert rig.battery.power_w == 0
        await rig.device.set_power(-500)
        assert rig.battery.power_w == -500

    play(story, BatteryPlate(timer_starts_with=timer_starts_with))


def test_a_full_and_an_empty_battery_stop() -> None:
    async def story(rig: Rig) -> None:
        for power_w, soc_percent in ((5000, 100.0), (-5000, 0.0)):
            for _ in range(300):
                await rig.device.set_power(power_w)
                await rig.clock.advance(29)
            assert rig.battery.power_w == 0
            assert rig.battery.soc_percent == soc_percent

    play(story)


def test_a_cable_that_is_pulled_is_named_and_the_next_call_connects_anew() -> None:
    async def story(rig: Rig) -> None:
        await rig.device.read()
        rig.server.drop_connections()
        with pytest.raises(DeviceUnavailable, match=r"127\.0\.0\.1:\d+ unit 1"):
            await rig.device.read()
        assert (await rig.device.read()).is_ready
        rig.battery.is_on = False
        assert not (await rig.device.read()).is_ready

    play(story, timeout_s=1.0)  # a request into a pulled cable waits for so long


def test_a_device_without_sunspec_or_without_a_model_is_refused() -> None:
    class Nothing:
        """Registers that are all alike."""

        def __init__(self, image: list[int]) -> None:
            self.image = image

        def read(self, address: int, count: int) -> list[int]:
            at = address % 10_000
            return (self.image + [0] * 200)[at : at + count]

        def write(self, address: int, registers: Any) -> None:
            raise AssertionError

    async def ask(image: list[int]) -> None:
        server = ModbusTcpServer(Nothing(image))
        await server.start()
        device = SunSpecDevice(DeviceAddress(host="127.0.0.1", port=server.port), revert_s=30)
        try:
            await device.read()
        finally:
            await device.close()
            await server.stop()

    mark = [0x5375, 0x6E53]
    with pytest.raises(DeviceUnavailable, match="no SunSpec device"):
        asyncio.run(ask([]))
    with pytest.raises(DeviceUnavailable, match=r"without SunSpec models \[701, 702, 704\]"):
        asyncio.run(ask([*mark, 1, 1, 0, 0xFFFF, 0]))


@contextmanager
def logging_to(out: StringIO, level: Literal["info", "debug"]) -> Iterator[None]:
    """Log as a program does; afterwards as before."""
    root = logging.getLogger()
    handlers, before = root.handlers[:], root.level
    configure_logging(LogSettings(level=level), program="resource", stream=out)
    try:
        yield
    finally:
        structlog.reset_defaults()
        structlog.contextvars.clear_contextvars()
        root.handlers[:] = handlers
        root.setLevel(before)
        logging.getLogger("pymodbus").setLevel(logging.NOTSET)


@pytest.mark.parametrize("level", ["info", "debug"])
def test_a_broken_device_is_one_failure_and_no_dump(level: Literal["info", "debug"]) -> None:
    """The library's log of bytes is for who looks for a fault in it, at level debug."""
    out = StringIO()

    async def rubbish(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(12)
        writer.write(bytes.fromhex("0001 0000 0003 01 83 02 ffff ffff"))
        writer.close()

    async def scenario() -> None:
        server = await asyncio.start_server(rubbish, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        device = SunSpecDevice(DeviceAddress(host="127.0.0.1", port=port), revert_s=30)
        async with server:
            with pytest.raises(DeviceUnavailable, match=f"127.0.0.1:{port} unit 1") as told:
                await device.read()
        with pytest.raises(DeviceUnavailable, match="no connection"):
            await device.read()
        await device.close()
        assert "\n" not in str(told.value)

    with logging_to(out, level):
        asyncio.run(scenario())
    assert bool(out.getvalue()) == (level == "debug")
