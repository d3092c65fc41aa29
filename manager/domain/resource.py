"""A connected resource as dispatch sees it."""

from __future__ import annotations

from dataclasses import dataclass

from gridcord.metering.reading import Permission

_READY_MARGIN = 1.1  # begin to charge for a departure this much earlier than arithmetic says


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceState:
    """What a resource is and can do now.

    Args:
        resource_id: It.
        area_id: Market area.
        permission: What may flow at its site.
        charge_to_percent: With CHARGE_TO_SOC: state of charge to stop at.
        transfer_permitted: Its driver or owner permits transfer.
        power_w: Power now, + charging.
        charge_limit_w: Most it can charge with, W, >= 0.
        discharge_limit_w: Most it can discharge with, W, >= 0.
        soc_percent: State of charge.
        capacity_wh: Usable energy, Wh, > 0.
        departure_s: When it leaves, seconds since 1970 UTC; None for never.
        departure_percent: State of charge to have then.
        reserve_percent: State of charge never to go below.
    """

    resource_id: str
    area_id: str
    permission: Permission
    transfer_permitted: bool
    power_w: int
    charge_limit_w: int
    discharge_limit_w: int
    soc_percent: float
    capacity_wh: int
    departure_s: float | None = None
    departure_percent: float = 0.0
    reserve_percent: float = 0.0
    charge_to_percent: float | None = None

    def bounds_w(self, *, now_s: float, horizon_s: float) -> tuple[int, int]:
        """Least and most power that may be asked of it now, W, + charging.

        The driver's promise is hard: nothing is taken below the reserve, and when the time to the
        departure is only just enough, charging is no longer for sale.

        Args:
            now_s: The manager's clock.
            horizon_s: How long the power will hold; energy limits are kept over it.
        """
        if not self.transfer_permitted or self.permission is Permission.NONE:
            return 0, 0
        hours = max(horizon_s, 1.0) / 3600
        most = min(self.charge_limit_w, self._power(self._ceiling() - self.soc_percent, hours))
        least = 0
        if self.permission is Permission.BIDIRECTIONAL:
            above = self.soc_percent - self.reserve_percent
            least = -min(self.discharge_limit_w, self._power(above, hours))
        needed = self._needed_w(now_s)
        if needed > 0 and needed * _READY_MARGIN >= self.charge_limit_w:
            least = max(least, min(most, self.charge_limit_w))
        elif needed > 0:
            least = max(least, self._spare_w(now_s, hours))
        return min(least, most), most

    def _ceiling(self) -> float:
        if self.permission is Permission.CHARGE_TO_SOC and self.charge_to_percent is not None:
            return self.charge_to_percent
        return 100.0

    def _power(self, percent: float, hours: float) -> int:
        return int(max(0.0, percent) / 100 * self.capacity_wh / hours)

    def _needed_w(self, now_s: float) -> float:
        """Mean power that reaches the departure's state of charge in time."""
        missing = self.departure_percent - self.soc_percent
        if self.departure_s is None or missing <= 0:
            return 0.0
        hours = max(self.departure_s - now_s, 1.0) / 3600
        return missing / 100 * self.capacity_wh / hours

    def _spare_w(self, now_s: float, hours: float) -> int:
        """Most discharge (negative) after which the departure can still be reached."""
        assert self.departure_s is not None
        left_h = max(0.0, (self.departure_s - now_s) / 3600 - hours)
        reachable_wh = self.charge_limit_w / _READY_MARGIN * left_h
        missing_wh = (self.departure_percent - self.soc_percent) / 100 * self.capacity_wh
        return min(0, -int((reachable_wh - missing_wh) / hours))
