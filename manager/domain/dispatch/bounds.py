"""What each resource may do now: an interval of powers, and what sets its ends.

Hard ends come from the ratings of car, cable and outlet, from the permission of the site, and from
energy: at the end of the horizon the battery must hold at least its floor, so that neither the
reserve is touched nor the promised departure is out of reach, and at most its ceiling. Soft ends
(ramp, dwell, start offset) apply as far as the hard ones leave room.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from manager.domain.dispatch.fleet_state import (
    BIDIRECTIONAL,
    CHARGE_TO_SOC,
    NONE,
    FleetState,
    Floats,
)
from manager.domain.dispatch.waterfill import MAX_ROOM, Ints, Mask

Reasons = npt.NDArray[np.uint8]
_LONG_S = 1e9


class Reason(IntEnum):
    """Why a resource does not do more of what is asked."""

    DEMAND = 0
    """Nothing more is asked of it."""
    CAR = 1
    """The car's own limit."""
    CABLE = 2
    """The rating of the cable."""
    OUTLET = 3
    """The rating of the outlet."""
    RESERVE = 4
    """The battery is down to the driver's reserve."""
    DEPARTURE = 5
    """The energy, or the charging, is needed to be ready at the driver's departure."""
    FULL = 6
    """The battery is at its ceiling."""
    PERMISSION = 7
    """The site may not do that (site block, equipment loading, unidentified site)."""
    ABSENT = 8
    """No session, no fresh telemetry, or its driver does not permit transfer."""
    REFUSED = 9
    """It refused a setpoint, or did not follow one."""
    ASSET = 10
    """The equipment above its site is at its limit."""
    RAMP = 11
    """Its power changes no faster."""
    DWELL = 12
    """It turned round too short a time ago."""
    START = 13
    """Its random start offset is not over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Powers that may be asked for.

    Args:
        low_w: Least power of each row, W, + charging; positive when it must charge.
        high_w: Most power, W, >= low_w.
        low_reason: What sets `low_w`.
        high_reason: What sets `high_w`.

    Raises:
        ValueError: An interval is empty or beyond 16 MW.
    """

    low_w: Ints
    high_w: Ints
    low_reason: Reasons
    high_reason: Reasons

    def __post_init__(self) -> None:
        if not len(self.low_w):
            return
        if (self.low_w > self.high_w).any():
            message = "a resource's least power is above its most power"
            raise ValueError(message)
        if self.low_w.min() < -MAX_ROOM or self.high_w.max() > MAX_ROOM:
            message = f"a resource does at most {MAX_ROOM} W"
            raise ValueError(message)

    def softened(self, *, low_w: Ints, high_w: Ints, reason: Reason) -> Bounds:
        """Narrowed to a softer interval as far as this one leaves room for it.

        Where the two have nothing in common the end of this one that is nearer stays.

        Args:
            low_w: Least power of each row, W.
            high_w: Most power, W, >= low_w.
            reason: What sets them.
        """
        low = np.clip(low_w, self.low_w, self.high_w)
        high = np.clip(high_w, self.low_w, self.high_w)
        return Bounds(
            low_w=low,
            high_w=high,
            low_reason=np.where(low > self.low_w, np.uint8(reason), self.low_reason),
            high_reason=np.where(high < self.high_w, np.uint8(reason), self.high_reason),
        )

    def held(self, rows: Mask, *, power_w: int, reason: Reason) -> Bounds:
        """Some rows at one power, whatever they could do."""
        return Bounds(
            low_w=np.where(rows, power_w, self.low_w),
            high_w=np.where(rows, power_w, self.high_w),
            low_reason=np.where(rows, np.uint8(reason), self.low_reason),
            high_reason=np.where(rows, np.uint8(reason), self.high_reason),
        )

    def idle_w(self) -> int:
        """Power of all when each does as little as it may, W."""
        return int(np.maximum(self.low_w, np.minimum(self.high_w, 0)).sum())

    @classmethod
    def of(cls, low_w: Ints, high_w: Ints) -> Bounds:
        """Plain intervals, whatever sets them (reason CAR)."""
        reason = np.full(len(low_w), Reason.CAR, np.uint8)
        return cls(low_w=low_w, high_w=high_w, low_reason=reason, high_reason=reason)


def hard_bounds(
    *, fleet: FleetState, now_s: float, horizon_s: float, margin_s: float = 0.0
) -> Bounds:
    """What ratings, permission and the driver's promise leave.

    Args:
        fleet: The resources.
        now_s: Seconds since 1970 UTC.
        horizon_s: How long a power must be possible to hold, > 0: energy ends the interval so that
            it lasts this long (or to the departure, when that is sooner).
        margin_s: How much earlier than the departure a car is to be ready, >= 0.
    """
    charge_w, charge_by = _least_rating(fleet.car_charge_w, fleet)
    discharge_w, discharge_by = _least_rating(fleet.car_discharge_w, fleet)
    target_wh, left_s = _promise(fleet, now_s + margin_s)
    hours = np.clip(left_s, 1.0, horizon_s) / 3600
    reach_wh = charge_w * (fleet.charge_permille / 1000) * np.maximum(left_s / 3600 - hours, 0.0)
    ready_wh = target_wh - reach_wh
    kept_wh = np.minimum(fleet.reserve_wh, fleet.energy_wh)
    above_wh = fleet.energy_wh - np.maximum(kept_wh, ready_wh)

    _tighten_to_ceiling(fleet, hours, charge_w, charge_by)
    out_w = np.maximum(above_wh, 0.0) * (fleet.discharge_permille / 1000) / hours
    floor_by = np.where(ready_wh > kept_wh, np.uint8(Reason.DEPARTURE), np.uint8(Reason.RESERVE))
    _tighten(discharge_w, discharge_by, out_w, floor_by)
    _forbid(fleet.permission < BIDIRECTIONAL, discharge_w, discharge_by, Reason.PERMISSION)
    _forbid(~fleet.present, charge_w, charge_by, Reason.ABSENT)
    _forbid(~fleet.present, discharge_w, discharge_by, Reason.ABSENT)

    into_w = np.maximum(-above_wh, 0.0) / (fleet.charge_permille / 1000) / hours
    must_w = np.minimum(np.ceil(into_w), charge_w).astype(np.int64)
    np.putmask(discharge_by, must_w > 0, np.uint8(Reason.DEPARTURE))
    return Bounds(
        low_w=must_w - discharge_w,
        high_w=charge_w,
        low_reason=discharge_by,
        high_reason=charge_by,
    )


def unreachable_wh(*, fleet: FleetState, now_s: float) -> Ints:
    """Energy of each promised departure that can no longer be reached, Wh, >= 0.

    What charging at the full rating from now on cannot bring in, and all that is missing where the
    site's permission or an absent session lets nothing in: said so instead of passed over.
    """
    charge_w, charge_by = _least_rating(fleet.car_charge_w, fleet)
    target_wh, left_s = _promise(fleet, now_s)
    hours = np.maximum(left_s, 0.0) / 3600
    _tighten_to_ceiling(fleet, np.maximum(hours, 1 / 3600), charge_w, charge_by)
    charge_w[~fleet.present] = 0
    reach_wh = charge_w * (fleet.charge_permille / 1000) * hours
    missing: Ints = np.ceil(np.maximum(target_wh - fleet.energy_wh - reach_wh, 0.0)).astype(
        np.int64
    )
    return missing


def _promise(fleet: FleetState, now_s: float) -> tuple[Ints, Floats]:
    """Energy to have and seconds until then; nothing in a long time where nothing is promised."""
    never = np.isinf(fleet.departure_s)
    left_s = np.where(never, _LONG_S, fleet.departure_s - now_s)
    return np.where(never, 0, fleet.target_wh), left_s


def _least_rating(car_w: Ints, fleet: FleetState) -> tuple[Ints, Reasons]:
    power_w, by = car_w.copy(), np.full(len(fleet), Reason.CAR, np.uint8)
    _tighten(power_w, by, fleet.cable_w, Reason.CABLE)
    _tighten(power_w, by, fleet.outlet_w, Reason.OUTLET)
    return power_w, by


def _tighten_to_ceiling(fleet: FleetState, hours: Floats, power_w: Ints, by: Reasons) -> None:
    """Limit charging to what the battery holds and the permission lets in."""
    to_soc = fleet.permission == CHARGE_TO_SOC
    ceiling_wh = np.where(to_soc, fleet.permitted_wh, fleet.ceiling_wh)
    into_wh = np.maximum(np.minimum(ceiling_wh, fleet.ceiling_wh) - fleet.energy_wh, 0)
    into_w = into_wh / (fleet.charge_permille / 1000) / hours
    full_by = np.where(to_soc, np.uint8(Reason.PERMISSION), np.uint8(Reason.FULL))
    _tighten(power_w, by, into_w, full_by)
    _forbid(fleet.permission == NONE, power_w, by, Reason.PERMISSION)


def _tighten(power_w: Ints, by: Reasons, limit_w: Ints | Floats, reason: Reason | Reasons) -> None:
    """Lower powers to a limit, whole watts, and note what lowered them."""
    tighter = limit_w < power_w
    np.copyto(power_w, limit_w, where=tighter, casting="unsafe")
    np.copyto(by, np.asarray(reason, np.uint8), where=tighter)


def _forbid(rows: Mask, power_w: Ints, by: Reasons, reason: Reason) -> None:
    np.putmask(power_w, rows, 0)
    np.putmask(by, rows, np.uint8(reason))
