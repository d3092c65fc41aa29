"""A battery behind SunSpec registers: it follows setpoints and forgets them by itself.

Models 1, 701, 702, 704 and 713 at register 40000 (SunSpec DER Information Model Specification 1.0).
Points that it does not implement hold the standard's marks for that.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from gridcord.chassis.clock import Clock
from gridcord.simulation.sunspec.modbus_tcp import ILLEGAL_ADDRESS, ILLEGAL_VALUE, ModbusRefused

BASE = 40_000
_NONE16, _NONE_SIGNED, _NONE_SCALE = 0xFFFF, 0x8000, 0x8000
_COMMON_LENGTH, _MEASUREMENT_LENGTH, _CAPACITY_LENGTH = 66, 153, 50
_CONTROLS_LENGTH, _STORAGE_LENGTH = 65, 7
_OFF, _ON = 0, 1
_RUNNING = 3
_WATTS = 1
_FIXED_POWER = 1 << 1  # CtrlModes: FIXED_W


@dataclass(frozen=True, slots=True, kw_only=True)
class BatteryPlate:
    """What is fixed.

    Args:
        capacity_wh: Usable energy, Wh.
        charge_w: Most it charges with, W.
        discharge_w: Most it discharges with, W; 0 for a charging station.
        efficiency: Of one way, in (0, 1].
        has_storage: Whether it tells its state of charge (model 713).
        scale: Powers of ten of its registers of power, such as 1 for steps of 10 W.
        serial: As engraved, at most 32 characters.
        timer_starts_with: Which write begins the reversion timer anew, the enabling or the time:
            the standard leaves it open.
    """

    capacity_wh: int = 10_000
    charge_w: int = 5_000
    discharge_w: int = 5_000
    efficiency: float = 0.95
    has_storage: bool = True
    scale: int = 0
    serial: str = "GC-0001"
    timer_starts_with: Literal["enable", "time"] = "enable"

    @property
    def energy_scale(self) -> int:
        """Power of ten of its registers of energy: what lets the capacity fit into one, >= 1."""
        scale = 1
        while self.capacity_wh >= _NONE16 * 10**scale:
            scale += 1
        return scale


@dataclass(slots=True)
class _Controls:
    """Points of model 704 that may be written; power is + towards the grid, W."""

    enabled: int = _OFF
    mode: int = _WATTS
    power_w: int = 0
    revert_power_w: int = 0
    revert_enabled: int = _OFF
    revert_s: int = 0


class SunSpecBattery:
    """The battery.

    Args:
        plate: What is fixed.
        clock: Its energy and its reversion timer run on it.
        stored_wh: Energy in it at first, Wh.
    """

    def __init__(self, plate: BatteryPlate, clock: Clock, *, stored_wh: float) -> None:
        self.plate = plate
        self.is_on = True
        self.writes = 0
        self._clock = clock
        self._stored_wh = stored_wh
        self._controls = _Controls()
        self._revert_at_s: float | None = None
        self._seen_s = clock.monotonic()

    @property
    def power_w(self) -> int:
        """Power now, W, + charging."""
        self._advance()
        return self._flow_w()

    @property
    def stored_wh(self) -> float:
        """Energy in it now, Wh."""
        self._advance()
        return self._stored_wh

    @property
    def soc_percent(self) -> float:
        """State of charge now, in [0, 100]."""
        return 100 * self.stored_wh / self.plate.capacity_wh

    def read(self, address: int, count: int) -> Sequence[int]:
        """See `RegisterMap.read`."""
        self._advance()
        image = self._image()
        first = address - BASE
        if first < 0 or first + count > len(image):
            raise ModbusRefused(ILLEGAL_ADDRESS)
        return image[first : first + count]

    def write(self, address: int, registers: Sequence[int]) -> None:
        """See `RegisterMap.write`: points of model 704 about a fixed power."""
        self._advance()
        first = address - BASE - self._controls_at
        values = {first + n: register for n, register in enumerate(registers)}
        changed = _Written(self._controls, scale=self.plate.scale).with_values(values)
        self._controls = changed
        self.writes += 1
        starts_timer = {"enable": values.get(22) == _ON, "time": 31 in values}
        if starts_timer[self.plate.timer_starts_with]:
            revert_s = changed.revert_s
            self._revert_at_s = self._clock.monotonic() + revert_s if revert_s else None

    def _advance(self) -> None:
        now_s = self._clock.monotonic()
        if self._revert_at_s is not None and now_s >= self._revert_at_s:
            self._pass(self._revert_at_s)
            controls = self._controls
            controls.power_w, controls.enabled = controls.revert_power_w, controls.revert_enabled
            self._revert_at_s = None
        self._pass(now_s)

    def _pass(self, until_s: float) -> None:
        outlet_wh = self._flow_w() * max(0.0, until_s - self._seen_s) / 3600
        gain = self.plate.efficiency if outlet_wh > 0 else 1 / self.plate.efficiency
        stored = self._stored_wh + outlet_wh * gain
        self._stored_wh = max(0.0, min(float(self.plate.capacity_wh), stored))
        self._seen_s = max(self._seen_s, until_s)

    def _flow_w(self) -> int:
        if not self.is_on or self._controls.enabled != _ON:
            return 0
        charges = self.plate.charge_w if self._stored_wh < self.plate.capacity_wh else 0
        discharges = self.plate.discharge_w if self._stored_wh > 0 else 0
        return max(-discharges, min(charges, -self._controls.power_w))

    @property
    def _controls_at(self) -> int:
        lengths = (_COMMON_LENGTH, _MEASUREMENT_LENGTH, _CAPACITY_LENGTH)
        return 2 + sum(2 + length for length in lengths)

    def _image(self) -> list[int]:
        storage = self._storage() if self.plate.has_storage else []
        models = [self._common(), self._measurement(), self._capacity(), self._control(), storage]
        return [*_registers("4s", b"SunS"), *(r for model in models for r in model), 0xFFFF, 0]

    def _common(self) -> list[int]:
        texts = ("Gridcord", "Simulated battery", "", "1.0", self.plate.serial)
        return _registers(
            ">HH32s32s16s16s32sHH", 1, _COMMON_LENGTH, *(t.encode() for t in texts), 1, 0x8000
        )

    def _measurement(self) -> list[int]:
        model = [_NONE16] * (2 + _MEASUREMENT_LENGTH)
        model[0:6] = [701, _MEASUREMENT_LENGTH, 0, int(self.is_on), _RUNNING, int(self.is_on)]
        model[6:10] = [0, 0, 0, 1]  # no alarm; it follows the grid
        for at in (10, 11, 12, 13, 14, *range(35, 46), *range(64, 69), *range(87, 92)):
            model[at] = _NONE_SIGNED
        model[10] = self._scaled(-self._flow_w()) & 0xFFFF
        model[113:123] = [_NONE_SCALE] * 10
        model[116] = self.plate.scale & 0xFFFF
        model[123:155] = [0] * 32
        return model

    def _capacity(self) -> list[int]:
        model = [_NONE16] * (2 + _CAPACITY_LENGTH)
        model[0:2] = [702, _CAPACITY_LENGTH]
        charges, discharges = (
            self._scaled(self.plate.charge_w),
            self._scaled(self.plate.discharge_w),
        )
        model[2] = max(charges, discharges)
        model[10:12] = [charges, discharges]
        model[23:25] = [0, _FIXED_POWER]
        model[26] = max(charges, discharges)
        model[34:36] = [charges, discharges]
        model[45:52] = [self.plate.scale & 0xFFFF, *[_NONE_SCALE] * 6]
        return model

    def _control(self) -> list[int]:
        controls = self._controls
        remaining_s = 0
        if self._revert_at_s is not None:
            remaining_s = round(self._revert_at_s - self._clock.monotonic())
        model = [_NONE16] * (2 + _CONTROLS_LENGTH)
        model[0:2] = [704, _CONTROLS_LENGTH]
        model[22:24] = [controls.enabled, controls.mode]
        powers = (self._scaled(controls.power_w), self._scaled(controls.revert_power_w))
        model[24:28] = _registers(">ii", *powers)
        model[28:30] = [_NONE_SIGNED] * 2
        model[30] = controls.revert_enabled
        model[31:35] = _registers(">II", controls.revert_s, remaining_s)
        model[38:44] = [_NONE_SIGNED, 0, _NONE_SIGNED, 0, _NONE_SIGNED, _NONE_SIGNED]
        model[53:59] = [_NONE_SCALE] * 6
        model[55] = self.plate.scale & 0xFFFF
        return model

    def _storage(self) -> list[int]:
        soc = 100 * self._stored_wh / self.plate.capacity_wh
        scale = self.plate.energy_scale
        energies = [round(wh / 10**scale) for wh in (self.plate.capacity_wh, self._stored_wh)]
        percents = [round(soc * 10), 1000]  # 0.1 %
        return [713, _STORAGE_LENGTH, *energies, *percents, 0, scale, -1 & 0xFFFF]

    def _scaled(self, value_w: int) -> int:
        return int(value_w / 10**self.plate.scale)


class _Written:
    """Controls with registers of model 704 changed, checked point by point.

    Args:
        before: As they are.
        scale: Of the powers.
    """

    def __init__(self, before: _Controls, *, scale: int) -> None:
        self._before = before
        self._scale = scale

    def with_values(self, values: dict[int, int]) -> _Controls:
        """The controls after a write.

        Raises:
            ModbusRefused: A register is not to be written, a long value is written by half, or a
                value is none.
        """
        if not values.keys() <= {22, 23, 24, 25, 26, 27, 30, 31, 32}:
            raise ModbusRefused(ILLEGAL_ADDRESS)
        if any((first in values) != (first + 1 in values) for first in (24, 26, 31)):
            raise ModbusRefused(ILLEGAL_ADDRESS)
        before = self._before
        if any(values.get(at, _ON) not in (_OFF, _ON) for at in (22, 23, 30)):
            raise ModbusRefused(ILLEGAL_VALUE)
        return _Controls(
            enabled=values.get(22, before.enabled),
            mode=self._mode(values.get(23, before.mode)),
            power_w=self._power(values, 24, before.power_w),
            revert_power_w=self._power(values, 26, before.revert_power_w),
            revert_enabled=values.get(30, before.revert_enabled),
            revert_s=values[31] << 16 | values[32] if 31 in values else before.revert_s,
        )

    def _mode(self, mode: int) -> int:
        """Watts alone; percent is not implemented."""
        if mode != _WATTS:
            raise ModbusRefused(ILLEGAL_VALUE)
        return mode

    def _power(self, values: dict[int, int], at: int, before: int) -> int:
        if at not in values:
            return before
        power = values[at] << 16 | values[at + 1]
        power -= (power & 1 << 31) << 1
        return power * int(10**self._scale)


def _registers(layout: str, *values: object) -> list[int]:
    data = struct.pack(layout, *values)
    return list(struct.unpack(f">{len(data) // 2}H", data))
