"""The cable's own meter: an Eastron SDM230 or SDM120 on Modbus RTU.

Source: Eastron "SDM230Modbus Protocol", input registers 0000 to 004F, holding register FC00.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import cycle

from cable_node.drivers.modbus_client import ModbusClient
from cable_node.drivers.register_guard import RegisterGuard
from cable_node.drivers.serial_line import SerialSettings
from cable_node.ports import FrameError, InstrumentRefused, MeterIdentity
from gridcord.chassis.clock import Clock
from gridcord.metering.reading import Registers
from gridcord.protocols import modbus_rtu as rtu
from gridcord.protocols.modbus_rtu import ReadRequest

_ACTIVE_POWER, _IMPORT_ENERGY, _EXPORT_ENERGY = 0x000C, 0x0048, 0x004A
_SERIAL_NUMBER = 0xFC00
# A block that holds power and both registers of one moment: first register and how many. The length
# varies so that a late answer to any of the last eight requests has the wrong number of bytes.
_END = _EXPORT_ENERGY + 2
_BLOCKS = (
    *((start, _END - start) for start in range(_ACTIVE_POWER, -2, -2)),
    (0, _END + 2),
    (0, _END + 4),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterModel:
    """What the maker says of a meter.

    Args:
        name: Maker and type.
        has_export: It counts energy in both directions.
        has_signed_power: Its power says which way.
        step_wh: One count of its energy registers, Wh.
    """

    name: str
    has_export: bool
    has_signed_power: bool
    step_wh: int


MODELS: dict[str, MeterModel] = {
    "SDM230": MeterModel(name="Eastron SDM230", has_export=True, has_signed_power=True, step_wh=1),
    "SDM120": MeterModel(name="Eastron SDM120", has_export=True, has_signed_power=True, step_wh=1),
    # Often sold for this use and unfit for it: it counts every flow as import.
    "PZEM-004T": MeterModel(
        name="Peacefair PZEM-004T", has_export=False, has_signed_power=False, step_wh=1
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModbusMeterSettings:
    """How to reach the meter.

    Args:
        port: A stable name of the serial port.
        unit: Modbus address, 1 to 247.
        baudrate: As set at the meter.
        model: A key of `MODELS`.
        step_wh: One count of its registers if it differs from the model's, Wh.
        max_power_w: More than the cable can carry, W; readings beyond it are doubted.
        timeout_s: Real seconds that the meter has for an answer.
    """

    port: str
    unit: int = 1
    baudrate: int = 9600
    model: str = "SDM230"
    step_wh: int | None = None
    max_power_w: int = 25_000
    timeout_s: float = 1.0


class ModbusMeter:
    """Implements `cable_node.ports.CableMeter`.

    Args:
        settings: How to reach it.
        clock: Stamps the readings.
    """

    def __init__(self, settings: ModbusMeterSettings, clock: Clock) -> None:
        line = SerialSettings(port=settings.port, baudrate=settings.baudrate)
        self._settings = settings
        self._clock = clock
        self._client = ModbusClient(line, timeout_s=settings.timeout_s)
        self._blocks = cycle(_BLOCKS)
        self._guard = RegisterGuard(max_power_w=settings.max_power_w)

    async def identify(self) -> MeterIdentity:
        """Read the serial number, and refuse a meter that cannot tell in from out."""
        model = MODELS.get(self._settings.model)
        if model is None:
            raise InstrumentRefused(f"no meter of model {self._settings.model!r} is known")
        if not (model.has_export and model.has_signed_power):
            raise InstrumentRefused(f"{model.name} does not measure both directions")
        number = await self._client.read(self._request(rtu.READ_HOLDING, _SERIAL_NUMBER, 2))
        registers = await self._read_block()
        return MeterIdentity(
            model=model.name,
            serial_number=str(int.from_bytes(number, "big")),
            step_wh=registers.step_wh,
        )

    async def read(self) -> Registers:
        """Read power and both registers in one block."""
        registers = await self._read_block()
        self._guard, doubt = self._guard.check(registers)
        if doubt is not None:
            raise doubt
        return registers

    async def close(self) -> None:
        """Release the line."""
        await self._client.close()

    async def _read_block(self) -> Registers:
        start, count = next(self._blocks)
        asked_s = self._clock.now()
        values = await self._client.read(self._request(rtu.READ_INPUT, start, count))
        half_s = (self._clock.now() - asked_s) / 2  # it has no clock: read somewhere between
        return replace(
            registers_of(values, start=start, at_s=asked_s + half_s, step_wh=self._step_wh()),
            time_error_s=abs(half_s),
        )

    def _step_wh(self) -> int:
        return self._settings.step_wh or MODELS[self._settings.model].step_wh

    def _request(self, function: int, address: int, count: int) -> ReadRequest:
        return ReadRequest(
            unit=self._settings.unit, function=function, address=address, count=count
        )


def registers_of(values: bytes, *, at_s: float, step_wh: int, start: int = 0) -> Registers:
    """Read one block of input registers.

    The energy comes as a 32-bit float of kWh: above 8 MWh its own step exceeds 1 Wh, and the step
    told is the larger of both.

    Args:
        values: Registers from `start` to the export register at least.
        at_s: When they were read.
        step_wh: One count of the meter's registers, Wh.
        start: Address of the first register.

    Raises:
        FrameError: A value is no finite number, or a register is negative.
    """
    power_w = _finite(values, _ACTIVE_POWER - start)
    imported_kwh = _finite(values, _IMPORT_ENERGY - start)
    exported_kwh = _finite(values, _EXPORT_ENERGY - start)
    if imported_kwh < 0 or exported_kwh < 0:
        raise FrameError("an energy register is negative")
    float_step_wh = math.ceil(1000 * float_step(max(imported_kwh, exported_kwh)))
    return Registers(
        at_s=at_s,
        import_wh=round(imported_kwh * 1000),
        export_wh=round(exported_kwh * 1000),
        step_wh=max(step_wh, float_step_wh),
        power_w=round(power_w),
    )


def float_step(value: float) -> float:
    """Distance from a value to the next 32-bit float (IEEE 754): 24 bits hold the number."""
    _, exponent = math.frexp(value)
    return math.ldexp(1.0, exponent - 24)


def _finite(values: bytes, register: int) -> float:
    try:
        value = rtu.float_at(values, register)
    except rtu.ModbusFrameError as failure:
        raise FrameError(str(failure)) from failure
    if not math.isfinite(value):
        raise FrameError(f"value {register} of the block is {value}")
    return value
