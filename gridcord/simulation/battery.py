"""A simulated stationary battery: power limits, a state of charge, losses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class BatteryModel:
    """What is fixed about a battery.

    Args:
        capacity_wh: Usable energy, Wh.
        power_w: Most it charges or discharges with, W.
        efficiency: Of one way, in (0, 1].
        reserve_percent: It is never discharged below this.
    """

    capacity_wh: int = 1_600_000
    power_w: int = 250_000
    efficiency: float = 0.95
    reserve_percent: float = 10.0


class Battery:
    """A battery that lives on a clock.

    Args:
        model: What is fixed.
        soc_percent: State of charge at the start.
        now: The clock, seconds since 1970 UTC.
    """

    def __init__(self, model: BatteryModel, soc_percent: float, now: Callable[[], float]) -> None:
        self.model = model
        self._stored_wh = soc_percent / 100 * model.capacity_wh
        self._now = now
        self._at_s = now()
        self._setpoint_w = 0

    @property
    def soc_percent(self) -> float:
        """State of charge now, in [0, 100]."""
        self._advance()
        return 100 * self._stored_wh / self.model.capacity_wh

    @property
    def charge_limit_w(self) -> int:
        """Most it can charge with now, W."""
        return self.model.power_w if self.soc_percent < 100 else 0

    @property
    def discharge_limit_w(self) -> int:
        """Most it can discharge with now, W; nothing at the reserve."""
        return self.model.power_w if self.soc_percent > self.model.reserve_percent else 0

    @property
    def power_w(self) -> int:
        """Power now, W, + charging."""
        return max(-self.discharge_limit_w, min(self.charge_limit_w, self._setpoint_w))

    def set_power(self, power_w: int) -> None:
        """Follow a setpoint, W, + charging."""
        self._advance()
        self._setpoint_w = power_w

    def _advance(self) -> None:
        now_s = self._now()
        hours, self._at_s = max(0.0, now_s - self._at_s) / 3600, now_s
        floor_wh = self.model.reserve_percent / 100 * self.model.capacity_wh
        gain = self.model.efficiency if self._setpoint_w > 0 else 1 / self.model.efficiency
        stored_wh = self._stored_wh + self._setpoint_w * hours * gain
        least_wh = min(floor_wh, self._stored_wh)
        self._stored_wh = min(float(self.model.capacity_wh), max(least_wh, stored_wh))
