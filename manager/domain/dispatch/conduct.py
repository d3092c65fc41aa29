"""How resources followed what they were told: who is counted on, and who turned round when.

A resource whose measured power stays away from its setpoint is taken for what it does, not for what
it was told, until it is asked again. Nothing here outlives the process: it is learnt anew.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from manager.domain.dispatch.fleet_state import Floats
from manager.domain.dispatch.waterfill import Ints, Mask

_LONG_AGO_S = -1e12


@dataclass(frozen=True, slots=True, kw_only=True)
class ConductRules:
    """When a resource does not follow.

    Args:
        follow_s: How long it may take to follow, seconds: telemetry, its own ramp, a tick.
        hold_s: How long it is not counted on then, seconds.
        tolerance_w: What it may be away, W, or
        tolerance_percent: of its setpoint, whichever is more.
    """

    follow_s: float = 20.0
    hold_s: float = 60.0
    tolerance_w: int = 100
    tolerance_percent: int = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Conduct:
    """Columns, one value a resource.

    Args:
        setpoint_w: What it was told last, W.
        away_s: Since when it is away from that, seconds since 1970 UTC; infinity when it follows.
        held_s: Until when it is not counted on.
        turned_s: When it was last told to turn from charging to discharging, or back.
    """

    setpoint_w: Ints
    away_s: Floats
    held_s: Floats
    turned_s: Floats

    @classmethod
    def unknown(cls, count: int) -> Conduct:
        """Of resources that were never told anything."""
        return cls(
            setpoint_w=np.zeros(count, np.int64),
            away_s=np.full(count, np.inf),
            held_s=np.full(count, _LONG_AGO_S),
            turned_s=np.full(count, _LONG_AGO_S),
        )

    def carried(self, rows: Ints) -> Conduct:
        """For other rows: index of each here, -1 for one that is new."""
        if not len(self.setpoint_w):
            return Conduct.unknown(len(rows))
        new, fresh = rows < 0, Conduct.unknown(len(rows))
        return Conduct(
            setpoint_w=np.where(new, fresh.setpoint_w, self.setpoint_w[rows]),
            away_s=np.where(new, fresh.away_s, self.away_s[rows]),
            held_s=np.where(new, fresh.held_s, self.held_s[rows]),
            turned_s=np.where(new, fresh.turned_s, self.turned_s[rows]),
        )

    def observed(self, *, power_w: Ints, now_s: float, rules: ConductRules) -> Conduct:
        """After telemetry.

        Args:
            power_w: As measured, W, + charging.
            now_s: Seconds since 1970 UTC.
            rules: When a resource does not follow.
        """
        allowed = np.maximum(
            rules.tolerance_w, np.abs(self.setpoint_w) * rules.tolerance_percent // 100
        )
        away = np.abs(power_w - self.setpoint_w) > allowed
        away_s = np.where(away, np.minimum(self.away_s, now_s), np.inf)
        lost = now_s - away_s >= rules.follow_s
        return replace(
            self,
            away_s=np.where(lost, np.inf, away_s),
            held_s=np.where(lost, now_s + rules.hold_s, self.held_s),
        )

    def told(self, *, setpoint_w: Ints, now_s: float) -> Conduct:
        """After new setpoints."""
        turned = self.setpoint_w * setpoint_w < 0
        return replace(self, setpoint_w=setpoint_w, turned_s=np.where(turned, now_s, self.turned_s))

    def astray(self, now_s: float) -> Mask:
        """Who is not counted on now."""
        held: Mask = now_s < self.held_s
        return held
