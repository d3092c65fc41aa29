"""Driver and twin against an independent Modbus implementation, over a null modem of two ptys."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from pymodbus import FramerType
from pymodbus.client import AsyncModbusSerialClient
from pymodbus.server import ModbusSerialServer
from pymodbus.simulator import DataType, SimData, SimDevice

from cable_node.drivers.modbus_meter import ModbusMeter, ModbusMeterSettings
from gridcord.simulation.instruments.sdm230 import Sdm230
from gridcord.simulation.instruments.source import SettableRegisters
from gridcord.simulation.pty import PtyPort
from gridcord.testing.clock import ManualClock
from tests.contract.instruments.rigs import run

pytestmark = pytest.mark.timeout(60)

VALUES = {0x0000: 230.0, 0x000C: -1234.0, 0x0048: 1234.567, 0x004A: 89.123}


def words(value: float) -> tuple[int, int]:
    high, low = struct.unpack(">HH", struct.pack(">f", value))
    return high, low


@contextlib.asynccontextmanager
async def null_modem(folder: Path) -> AsyncGenerator[tuple[str, str], None]:
    """Two ports; what is written to one comes out of the other."""

    def from_left(data: bytes) -> None:
        right.write(data)

    left = PtyPort(from_left, folder / "left")
    right = PtyPort(left.write, folder / "right")
    left.plug()
    right.plug()
    try:
        yield left.path, right.path
    finally:
        left.unplug()
        right.unplug()


async def fill(
    function: int, start: int, address: int, count: int, registers: list[int], _: object
) -> None:
    """Called by the server before it answers."""
    for at, value in VALUES.items():
        if start <= at <= start + len(registers) - 2:
            registers[at - start : at - start + 2] = words(value)


def test_driver_reads_another_server(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with null_modem(tmp_path) as (ours, theirs):
            blocks = [
                SimData(0, count=0x160, values=0, datatype=DataType.REGISTERS),
                SimData(0xFC00, count=2, values=7, datatype=DataType.REGISTERS),
            ]
            server = ModbusSerialServer(
                SimDevice(id=1, simdata=blocks, action=fill),
                framer=FramerType.RTU,
                port=theirs,
                baudrate=9600,
            )
            await server.serve_forever(background=True)
            driver = ModbusMeter(ModbusMeterSettings(port=ours), ManualClock())
            identity = await driver.identify()
            assert identity.serial_number == str(7 * 0x10000 + 7)
            reading = await driver.read()
            assert (reading.import_wh, reading.export_wh) == (1_234_567, 89_123)
            assert reading.power_w == -1234
            await driver.close()
            await server.shutdown()  # type: ignore[no-untyped-call]

    run(scenario())


def test_another_client_reads_the_twin(tmp_path: Path) -> None:
    async def scenario() -> None:
        twin = Sdm230(SettableRegisters(1_234_567, 89_123, -1234), link=tmp_path / "meter")
        await twin.start()
        client = AsyncModbusSerialClient(twin.path, framer=FramerType.RTU, baudrate=9600, timeout=1)
        assert await client.connect()
        for at, value in ((0x000C, -1234.0), (0x0048, 1234.567), (0x004A, 89.123)):
            answer = await client.read_input_registers(at, count=2, device_id=1)
            got = struct.unpack(">f", struct.pack(">HH", *answer.registers))[0]
            assert got == pytest.approx(value, rel=1e-6)
        refused = await client.read_input_registers(0x0000, count=3, device_id=1)
        assert refused.isError()
        client.close()
        await twin.stop()

    run(scenario())
