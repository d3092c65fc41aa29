"""A simulated vehicle: a battery, a driver's plan, a charger that follows setpoints."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class VehicleModel:
    """What is fixed about a vehicle.

    Args:
        capacity_wh: Usable energy of the battery, Wh.
        power_w: Most it charges or discharges with, W; the outlet may allow less.
        efficiency: Of one way, in (0, 1]: battery energy per outlet energy when charging.
    """

    capacity_wh: int = 40_000
    power_w: int = 1500
    efficiency: float = 0.94


@dataclass(slots=True)
class Vehicle:
    """A vehicle with a state of charge.

    Args:
        model: What is fixed.
        stored_wh: Energy in the battery, Wh.
        reserve_percent: The driver wants to keep at least this.
        setpoint_w: What its controller was told, + charging.
    """

    model: VehicleModel
    stored_wh: float
    reserve_percent: float = 20.0
    setpoint_w: int = 0

    @property
    def soc_percent(self) -> float:
        """State of charge, in [0, 100]."""
        return 100.0 * self.stored_wh / self.model.capacity_wh

    @property
    def charge_limit_w(self) -> int:
        """Most it can charge with now, W."""
        return self.model.power_w if self.stored_wh < self.model.capacity_wh else 0

    @property
    def discharge_limit_w(self) -> int:
        """Most it can discharge with now, W; nothing below the reserve."""
        return self.model.power_w if self.soc_percent > self.reserve_percent else 0

    def power_w(self, *, closed: bool) -> int:
        """Power at the outlet now, + charging: the setpoint within the limits."""
        if not closed:
            return 0
        return max(-self.discharge_limit_w, min(self.charge_limit_w, self.setpoint_w))

    def flow(self, *, power_w: int, seconds: float) -> None:
        """Let a power flow for a time."""
        outlet_wh = power_w * seconds / 3600
        gain = self.model.efficiency if outlet_wh > 0 else 1 / self.model.efficiency
        stored = self.stored_wh + outlet_wh * gain
        self.stored_wh = max(0.0, min(float(self.model.capacity_wh), stored))

    def drive(self, *, used_wh: int) -> None:
        """Use energy on the road."""
        self.stored_wh = max(0.0, self.stored_wh - used_wh)
