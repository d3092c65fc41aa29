"""Route-B values as momonga gives them, and what they are: floats back to counts, JST to UTC. Pure.

momonga multiplies counts by a float (17806 x 0.1 = 1780.6000000000001) and gives times without a
zone, in the meter's own: Japanese time, which has no summer time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from fractions import Fraction
from typing import Any

from cable_node.ports import FrameError
from gridcord.metering.reading import Registers
from gridcord.protocols.echonet_energy import MAX_COUNT

JST = timezone(timedelta(hours=9))
HALF_HOUR_S = 1800  # the grid of the meter's registers, by its standard

FIXED_IMPORT, FIXED_EXPORT = 0xEA, 0xEB

_TIME, _ENERGY = "timestamp", "cumulative energy"
_FORWARD, _REVERSE = "normal direction", "reverse direction"
_OFF_COUNT = 1e-3  # a float of a count is this close to it, in counts
_WRAPPED = Fraction(9, 10)  # of its range a register falls by when it begins again


@dataclass(frozen=True, slots=True, kw_only=True)
class CountScale:
    """What one count of the meter is worth.

    Args:
        unit_kwh: As momonga has it, 0.0001 to 10000.
        coefficient: EPC D3, 1 where the meter has none.
        digits: EPC D7, after which the register begins again at 0; None = 8.
    """

    unit_kwh: float
    coefficient: int = 1
    digits: int | None = None

    @property
    def one_wh(self) -> Fraction:
        """Watt-hours of one count, exact."""
        return Fraction(str(self.unit_kwh)) * 1000 * self.coefficient

    @property
    def step_wh(self) -> int:
        """One count in whole watt-hours, >= 1."""
        return max(1, math.ceil(self.one_wh))

    @property
    def range_wh(self) -> Fraction:
        """Where the register begins again."""
        counts = 10**self.digits if self.digits else MAX_COUNT + 1
        return counts * self.one_wh

    def wh(self, value: Any) -> int | None:
        """Watt-hours of a value in kWh; None where the meter had none.

        Raises:
            FrameError: No number, or not a whole number of counts.
        """
        if value is None:
            return None
        if not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
            raise FrameError(f"no cumulative energy: {value!r}")
        counts = value / (self.unit_kwh * self.coefficient)
        count = round(counts)
        if abs(counts - count) > _OFF_COUNT or count > MAX_COUNT:
            raise FrameError(f"{value} kWh is no number of counts that a register shows")
        return math.floor(count * self.one_wh)

    def lifted(self, wh: int, before_wh: int | None) -> int:
        """The register as if it had not begun again since `before_wh`, Wh."""
        if before_wh is None or before_wh - wh < _WRAPPED * self.range_wh:
            return wh
        turns = math.ceil((before_wh - wh) / self.range_wh)
        return wh + math.floor(turns * self.range_wh)


@dataclass(frozen=True, slots=True, kw_only=True)
class HalfHour:
    """One register at a half hour.

    Args:
        at_s: Seconds since 1970 UTC, a multiple of 1800.
        wh: The register, Wh; None where the meter had none.
    """

    at_s: int
    wh: int | None


def utc_s(local: Any) -> int:
    """Seconds since 1970 UTC of the meter's half hour.

    Raises:
        FrameError: No time, or between half hours: such a value does not belong to any.
    """
    if not isinstance(local, datetime) or local.tzinfo is not None:
        raise FrameError(f"no time of a meter: {local!r}")
    try:
        seconds = int(local.replace(tzinfo=JST).timestamp())
    except (OverflowError, ValueError) as failure:
        raise FrameError(f"no time of a meter: {local!r}") from failure
    if seconds % HALF_HOUR_S:
        raise FrameError(f"{local} is no half hour")
    return seconds


def local_time(at_s: float) -> datetime:
    """The meter's wall clock at an instant, without zone, as momonga wants it."""
    return datetime.fromtimestamp(at_s, JST).replace(tzinfo=None)


def midnight_s(day: date) -> int:
    """The first instant of a Japanese day, seconds since 1970 UTC."""
    return int(datetime(day.year, day.month, day.day, tzinfo=JST).timestamp())


def half_hour(value: Any, scale: CountScale) -> HalfHour:
    """Read EA or EB.

    Raises:
        FrameError: It is not what momonga makes of one.
    """
    if not isinstance(value, dict) or _TIME not in value or _ENERGY not in value:
        raise FrameError(f"no value at a fixed time: {value!r}")
    return HalfHour(at_s=utc_s(value[_TIME]), wh=scale.wh(value[_ENERGY]))


def both_half_hours(value: Any, scale: CountScale) -> tuple[HalfHour, HalfHour]:
    """Read one entry of EC: import and export.

    Raises:
        FrameError: It is not what momonga makes of one.
    """
    energy = value.get(_ENERGY) if isinstance(value, dict) else None
    if not isinstance(energy, dict):
        raise FrameError(f"no entry of a history: {value!r}")
    at_s = utc_s(value.get(_TIME))
    imported, exported = scale.wh(energy.get(_FORWARD)), scale.wh(energy.get(_REVERSE))
    return HalfHour(at_s=at_s, wh=imported), HalfHour(at_s=at_s, wh=exported)


def day_values(entries: Any, scale: CountScale) -> list[int | None]:
    """Read E2 or E4: the registers of a day's 48 half hours. momonga's dates are not used.

    Raises:
        FrameError: It is not what momonga makes of one.
    """
    if not isinstance(entries, list) or not all(isinstance(e, dict) for e in entries):
        raise FrameError("no history of a day")
    return [scale.wh(entry.get(_ENERGY)) for entry in entries]


def watts(value: Any) -> int | None:
    """Read E7: W, + = from the grid; None where the meter has none.

    Raises:
        FrameError: More than four bytes hold; momonga takes any number of them.
    """
    if value is not None and not (isinstance(value, int) and -(2**31) <= value < 2**31):
        raise FrameError("no instantaneous power")
    return value


class HalfHourPairs:
    """Puts import and export of the same half hour together, each half hour once, in order.

    Args:
        scale: What a count is worth.
        measures_export: The meter has registers of both directions.
    """

    def __init__(self, scale: CountScale, *, measures_export: bool) -> None:
        self._scale = scale
        self._measures_export = measures_export
        self._imports: dict[int, int] = {}
        self._exports: dict[int, int] = {}
        self.last: Registers | None = None

    def add(self, code: int, value: HalfHour) -> Registers | None:
        """Take note of EA or EB; the registers when both are known now and newer than the last."""
        if value.wh is None or code not in (FIXED_IMPORT, FIXED_EXPORT):
            return None
        (self._imports if code == FIXED_IMPORT else self._exports)[value.at_s] = value.wh
        return self._complete(value.at_s)

    def _complete(self, at_s: int) -> Registers | None:
        imported, exported = self._imports.get(at_s), self._exports.get(at_s)
        if imported is None or (exported is None and self._measures_export):
            return None
        if self.last is not None and at_s <= self.last.at_s:
            return None
        self.last = registers_after(
            self.last, at_s=at_s, import_wh=imported, export_wh=exported, scale=self._scale
        )
        self._imports = {k: v for k, v in self._imports.items() if k > at_s}
        self._exports = {k: v for k, v in self._exports.items() if k > at_s}
        return self.last


def registers_after(
    before: Registers | None,
    *,
    at_s: int,
    import_wh: int,
    export_wh: int | None,
    scale: CountScale,
) -> Registers:
    """Registers that continue earlier ones, over the point where they begin again at 0.

    Args:
        before: Earlier registers of the same meter, if known.
        at_s: Seconds since 1970 UTC.
        import_wh: As shown, Wh.
        export_wh: As shown, Wh; None where the meter has no such register.
        scale: What a count is worth.
    """
    if export_wh is not None:
        export_wh = scale.lifted(export_wh, None if before is None else before.export_wh)
    return Registers(
        at_s=float(at_s),
        import_wh=scale.lifted(import_wh, None if before is None else before.import_wh),
        export_wh=export_wh,
        step_wh=scale.step_wh,
    )
