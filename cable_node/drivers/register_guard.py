"""Doubts of a cable meter's readings: what physics or the reading before does not allow. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from cable_node.ports import ImplausibleReading, InstrumentRefused
from gridcord.metering.reading import Registers

_S_PER_H = 3600
_PROOF_STEPS = 10  # counts of energy after which a power without sign is proven
_WINDOW_S = 1800.0  # energy and power are compared over this long, then anew


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterGuard:
    """Compares each reading with the one before and with the power since.

    A jump is believed when a second reading confirms it, so a single false reading costs nothing
    and a real jump (another meter, a reset) gets through to where it is judged
    (`gridcord.metering.registers`).

    Args:
        max_power_w: More than the cable can carry, W.
        max_gap_s: Readings further apart say nothing about the energy between them.
        trusted: The last believed reading.
        doubted: A reading that waits to be confirmed.
        start: Registers where the comparison with power began.
        energy_wh: Integral of the power since `start`, Wh.
        margin_wh: How far that integral may be off, Wh.
    """

    max_power_w: int
    max_gap_s: float = 5.0
    trusted: Registers | None = None
    doubted: Registers | None = None
    start: Registers | None = None
    energy_wh: float = 0.0
    margin_wh: float = 0.0

    def check(self, reading: Registers) -> tuple[RegisterGuard, ImplausibleReading | None]:
        """Judge a reading.

        Returns:
            The guard for the next reading, and why this one must not be used (None = use it).

        Raises:
            InstrumentRefused: Energy flows out while the power says in: the power has no sign.
        """
        if abs(reading.power_w or 0) > self.max_power_w:
            return self, ImplausibleReading(f"{reading.power_w} W through this cable")
        if self.trusted is None:
            return self._restart(reading), None
        if why := self._jump(self.trusted, reading):
            if self.doubted is None or self._jump(self.doubted, reading):
                return replace(self, doubted=reading), ImplausibleReading(why)
            return self._restart(reading), None
        return self._follow(self.trusted, reading)

    def _restart(self, reading: Registers) -> RegisterGuard:
        return replace(
            self, trusted=reading, doubted=None, start=reading, energy_wh=0.0, margin_wh=0.0
        )

    def _jump(self, before: Registers, after: Registers) -> str | None:
        imported = after.import_wh - before.import_wh
        exported = (after.export_wh or 0) - (before.export_wh or 0)
        if imported < 0 or exported < 0:
            return f"a register fell by {-min(imported, exported)} Wh"
        elapsed_s = max(0.0, after.at_s - before.at_s) + before.time_error_s + after.time_error_s
        possible = self.max_power_w * elapsed_s / _S_PER_H + 2 * after.step_wh
        if max(imported, exported) > possible:
            return f"{max(imported, exported)} Wh in {elapsed_s:.1f} s"
        return None

    def _follow(
        self, before: Registers, reading: Registers
    ) -> tuple[RegisterGuard, ImplausibleReading | None]:
        elapsed_s = reading.at_s - before.at_s
        if not 0 <= elapsed_s <= self.max_gap_s or self.start is None:
            return self._restart(reading), None
        first_w, last_w = before.power_w or 0, reading.power_w or 0
        hours = elapsed_s / _S_PER_H
        mean_wh = (first_w + last_w) / 2 * hours
        guard = replace(
            self,
            trusted=reading,
            doubted=None,
            energy_wh=self.energy_wh + mean_wh,
            # 1 % of the energy, and a step of power anywhere between the two readings
            margin_wh=self.margin_wh
            + 0.01 * abs(mean_wh)
            + abs(last_w - first_w) / 2 * (elapsed_s + reading.time_error_s) / _S_PER_H,
        )
        return guard.compare(self.start, reading)

    def compare(
        self, start: Registers, reading: Registers
    ) -> tuple[RegisterGuard, ImplausibleReading | None]:
        """Judge what was counted from `start` to `reading` against the power between."""
        counted_wh = net_wh(reading) - net_wh(start)
        allowed_wh = self.margin_wh + 2 * reading.step_wh + _time_wh(start) + _time_wh(reading)
        if abs(counted_wh - self.energy_wh) > allowed_wh:
            why = f"counted {counted_wh} Wh where its power makes {self.energy_wh:.1f} Wh"
            mirrored = counted_wh < 0 and abs(counted_wh + self.energy_wh) <= allowed_wh
            if not mirrored:
                return self._restart(reading), ImplausibleReading(why)
            if self.energy_wh > _PROOF_STEPS * reading.step_wh:
                raise InstrumentRefused(f"{why}: its power has no sign")
            return self, ImplausibleReading(why)
        if reading.at_s - start.at_s >= _WINDOW_S:
            return self._restart(reading), None
        return self, None


def _time_wh(reading: Registers) -> float:
    """Energy in the time by which a reading may be off, Wh."""
    return abs(reading.power_w or 0) * reading.time_error_s / _S_PER_H


def net_wh(reading: Registers) -> int:
    """Import less export, Wh."""
    return reading.import_wh - (reading.export_wh or 0)
