"""SunSpec: models of storage and generation in Modbus registers, as values.

A device holds "SunS" at register 40000, 0 or 50000, behind it one model after the other (id,
length, points) until the id 0xFFFF. Read here are models for IEEE 1547-2018 (SunSpec DER
Information Model 1.0): 701 AC measurement, 702 capacity, 704 AC controls, 713 storage capacity.

SunSpec counts power from the device to the grid positive; here, as everywhere in Gridcord, + is
charging.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import IntEnum

BASES = (40_000, 0, 50_000)
MARK = (0x5375, 0x6E53)  # "SunS"
END = 0xFFFF
HEADER = 2  # registers of a model before its points: id and length
MOST_AT_ONCE = 125  # registers of one Modbus request

MEASUREMENT, CAPACITY, CONTROLS, STORAGE = 701, 702, 704, 713

_MOST_SCALE = 10  # a scale factor is -10 to 10


class SunSpecError(ValueError):
    """Registers are not what the models say."""


class Type(IntEnum):
    """Types of points; the value is their number of registers."""

    INT16 = -1
    UINT16 = 1
    INT32 = -2
    UINT32 = 2

    @property
    def registers(self) -> int:
        """How many registers it takes."""
        return abs(self.value)

    @property
    def is_signed(self) -> bool:
        """Whether it may be negative."""
        return self.value < 0


@dataclass(frozen=True, slots=True)
class Point:
    """Where a value stands in its model.

    Args:
        offset: Register from the model's id on.
        type: How it is written.
        scale: Register of its scale factor; None without one.
    """

    offset: int
    type: Type
    scale: int | None = None


# Model 701
STATE, CONNECTION = Point(3, Type.UINT16), Point(5, Type.UINT16)
POWER = Point(10, Type.INT16, 116)
# Model 702: settings, each with the rating that holds where it is not given
CHARGE_RATE, CHARGE_RATING = Point(34, Type.UINT16, 45), Point(10, Type.UINT16, 45)
DISCHARGE_RATE, DISCHARGE_RATING = Point(35, Type.UINT16, 45), Point(11, Type.UINT16, 45)
# Model 704
SET_ENABLED, SET_MODE = Point(22, Type.UINT16), Point(23, Type.UINT16)
SET_POWER, REVERT_POWER = Point(24, Type.INT32, 55), Point(26, Type.INT32, 55)
REVERT_ENABLED, REVERT_TIME = Point(30, Type.UINT16), Point(31, Type.UINT32)
# Model 713
CHARGE = Point(4, Type.UINT16, 8)
STORAGE_STATE = Point(6, Type.UINT16)

READ_THROUGH: Mapping[int, int] = {MEASUREMENT: 123, CAPACITY: 52, CONTROLS: 59, STORAGE: 9}
"""Registers of each model that are needed, from its id on."""

ON, CONNECTED, STORAGE_ERROR, WATTS, ENABLED = 1, 1, 2, 1, 1


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceState:
    """What a device says of itself.

    Args:
        is_ready: It is on, connected to the grid and reports no fault of its storage.
        power_w: Power now, W, + charging.
        charge_limit_w: Most it charges with, W, >= 0.
        discharge_limit_w: Most it discharges with, W, >= 0.
        soc_percent: State of charge, in [0, 100]; None where the device does not know.
    """

    is_ready: bool
    power_w: int
    charge_limit_w: int
    discharge_limit_w: int
    soc_percent: float | None


def read_state(models: Mapping[int, Sequence[int]]) -> DeviceState:
    """What the models say.

    Args:
        models: Registers of models 701, 702 and, where there is one, 713, from the id on.

    Raises:
        SunSpecError: A value that must be there is missing or cannot be.
    """
    measured, capacity = models[MEASUREMENT], models[CAPACITY]
    storage = models.get(STORAGE)
    soc = None if storage is None else value_of(CHARGE, storage)
    if soc is not None and not 0 <= soc <= 100:
        message = f"a state of charge of {soc} %"
        raise SunSpecError(message)
    return DeviceState(
        is_ready=_is_ready(measured, storage),
        power_w=-round(_required(POWER, measured, "the power")),
        charge_limit_w=_limit(CHARGE_RATE, CHARGE_RATING, capacity),
        discharge_limit_w=_limit(DISCHARGE_RATE, DISCHARGE_RATING, capacity),
        soc_percent=None if soc is None else float(soc),
    )


def setpoint_registers(power_w: int, *, controls: Sequence[int]) -> list[int]:
    """Registers from SET_ENABLED on that set a power.

    One write of neighbours, so that no other value is in force in between.

    Args:
        power_w: W, + charging. What the device's scale cannot express is cut towards 0.
        controls: Registers of model 704.
    """
    return [ENABLED, WATTS, *encode(SET_POWER, -power_w, controls)]


def reversion_registers(seconds: int, *, controls: Sequence[int]) -> list[int]:
    """Registers from REVERT_ENABLED on: after so many seconds of silence REVERT_POWER is in force.

    The standard leaves open whether the timer begins anew with this write or with that of
    SET_ENABLED, and devices differ (sunspec/models issue 215); make both each time.
    """
    return [ENABLED, *encode(REVERT_TIME, seconds, controls)]


def value_of(point: Point, model: Sequence[int]) -> Decimal | None:
    """A point's value in its unit; None where the device does not implement it.

    Raises:
        SunSpecError: The model is too short, or its scale factor is none.
    """
    if len(model) < point.offset + point.type.registers:
        message = f"model {model[0]} ends before register {point.offset}"
        raise SunSpecError(message)
    number = 0
    for register in model[point.offset : point.offset + point.type.registers]:
        number = number << 16 | register
    bits = 16 * point.type.registers
    if number == _not_implemented(point.type):
        return None
    if point.type.is_signed and number >> (bits - 1):
        number -= 1 << bits
    return Decimal(number).scaleb(_scale(point, model))


def encode(point: Point, value: int, model: Sequence[int]) -> list[int]:
    """Registers of a value; what the scale cannot express is cut towards 0.

    Raises:
        SunSpecError: It does not fit, or the scale factor is none.
    """
    number = int(Decimal(value).scaleb(-_scale(point, model)))
    bits = 16 * point.type.registers
    least, most = (-(1 << bits - 1) + 1, (1 << bits - 1) - 1)
    if not point.type.is_signed:
        least, most = 0, (1 << bits) - 2
    if not least <= number <= most:
        message = f"{value} does not fit {point.type.name} with scale 10^{_scale(point, model)}"
        raise SunSpecError(message)
    return [number >> shift & 0xFFFF for shift in range(bits - 16, -1, -16)]


def _is_ready(measured: Sequence[int], storage: Sequence[int] | None) -> bool:
    """A state that the device does not tell is taken for a good one."""
    is_on = value_of(STATE, measured) in (ON, None)
    is_connected = value_of(CONNECTION, measured) in (CONNECTED, None)
    failed = storage is not None and value_of(STORAGE_STATE, storage) == STORAGE_ERROR
    return is_on and is_connected and not failed


def _limit(rate: Point, rating: Point, capacity: Sequence[int]) -> int:
    """The setting, or where there is none the rating; a device with neither cannot."""
    found = value_of(rate, capacity)
    if found is None:
        found = value_of(rating, capacity)
    return 0 if found is None else int(found)


def _required(point: Point, model: Sequence[int], name: str) -> Decimal:
    value = value_of(point, model)
    if value is None:
        message = f"model {model[0]} does not tell {name}"
        raise SunSpecError(message)
    return value


def _not_implemented(kind: Type) -> int:
    bits = 16 * kind.registers
    return 1 << bits - 1 if kind.is_signed else (1 << bits) - 1


def _scale(point: Point, model: Sequence[int]) -> int:
    if point.scale is None:
        return 0
    if len(model) <= point.scale:
        message = f"model {model[0]} ends before its scale factor {point.scale}"
        raise SunSpecError(message)
    factor = model[point.scale]
    factor -= (factor & 0x8000) << 1
    if abs(factor) > _MOST_SCALE:
        message = f"model {model[0]}: scale factor {factor} at register {point.scale}"
        raise SunSpecError(message)
    return factor
