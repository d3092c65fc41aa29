"""One tick of an area: from what is asked and what telemetry says to a setpoint for each resource.

Power of the area = energy that is left of the period's target over the time that is left, within
the grid's limits. It is shared by `allocation` among those who follow; what the others do is
counted as it is. Where nothing is asked nothing is balanced: each resource stays as near to zero as
its driver's promise allows.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from manager.domain.dispatch.allocation import AssetLimits, Ranking, allocate
from manager.domain.dispatch.bounds import Bounds, Reason, Reasons, hard_bounds
from manager.domain.dispatch.conduct import Conduct, ConductRules
from manager.domain.dispatch.demand import Demand, area_power_w, limited_w
from manager.domain.dispatch.fleet_state import FleetState, Floats
from manager.domain.dispatch.waterfill import Ints, Mask

_KNUTH = 2_654_435_761  # multiplicative hashing: neighbouring numbers land far apart
_BITS_32 = (1 << 32) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SteeringRules:
    """How an area is steered.

    Args:
        horizon_s: How long a power must be possible to hold, seconds: the lease of a setpoint.
        ready_early_s: How much before its departure a car is to be ready, seconds.
        ramp_w_per_s: Most change of one resource's power, W/s; None for no limit.
        random_offset_s: Resources begin a period up to so much later, each by its own draw, so that
            a thousand do not start at once; not under demand response.
        dwell_s: How long a resource keeps its direction at least, seconds.
        conduct: When a resource does not follow.
    """

    horizon_s: float
    ready_early_s: float = 0.0
    ramp_w_per_s: float | None = None
    random_offset_s: float = 0.0
    dwell_s: float = 0.0
    conduct: ConductRules = field(default_factory=ConductRules)


@dataclass(frozen=True, slots=True, kw_only=True)
class Equipment:
    """What the resources hang on.

    Args:
        asset: Index of the equipment of each row; -1 for none.
        limits: Of each equipment.
    """

    asset: Ints
    limits: AssetLimits

    @classmethod
    def unknown(cls, count: int) -> Equipment:
        """Nothing is known to limit anything."""
        return cls(asset=np.full(count, -1, np.int64), limits=AssetLimits.none())


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is asked of an area now.

    Args:
        demand: Of the running period; None when nothing is asked.
        done_wh: What telemetry says was done of it, Wh, + charging.
        start_s: Start of the period, seconds since 1970 UTC.
        end_s: Its end.
        now_s: The manager's clock.
        elapsed_s: Since the last tick, seconds.
    """

    demand: Demand | None
    done_wh: float
    start_s: float
    end_s: float
    now_s: float
    elapsed_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Steered:
    """What comes of a tick.

    Args:
        setpoint_w: Of each row, W, + charging.
        reason: Why a row does not do more of what is asked.
        forced: Who must charge to be ready at its departure.
        wanted_w: Power wanted of the area.
        unserved_w: Of it, what nobody can do.
        conduct: For the next tick.
    """

    setpoint_w: Ints
    reason: Reasons
    forced: Mask
    wanted_w: int
    unserved_w: int
    conduct: Conduct


def steer(
    *,
    fleet: FleetState,
    refused: Mask,
    conduct: Conduct,
    equipment: Equipment,
    asked: Asked,
    rules: SteeringRules,
) -> Steered:
    """Decide for all resources of an area.

    Args:
        fleet: The resources, as telemetry says.
        refused: Who refused its last setpoint.
        conduct: How they followed until now.
        equipment: What they hang on.
        asked: What is asked.
        rules: How to steer.
    """
    now_s = asked.now_s
    hard = hard_bounds(
        fleet=fleet, now_s=now_s, horizon_s=rules.horizon_s, margin_s=rules.ready_early_s
    )
    conduct = conduct.observed(power_w=fleet.power_w, now_s=now_s, rules=rules.conduct)
    astray = conduct.astray(now_s) | refused
    bounds = _softened(hard, fleet, conduct, asked, rules).held(
        astray, power_w=0, reason=Reason.REFUSED
    )
    counted_w = int(fleet.power_w[astray].sum())  # they do what they do, whatever they are told
    wanted_w = _wanted_w(asked, idle_w=bounds.idle_w() + counted_w)
    shared = allocate(
        target_w=wanted_w - counted_w,
        bounds=bounds,
        ranking=_ranking(fleet, equipment, charging=wanted_w - counted_w >= bounds.idle_w()),
        assets=equipment.limits,
    )
    as_it_does = np.clip(fleet.power_w, hard.low_w, hard.high_w)
    setpoint_w = np.where(astray, as_it_does, shared.setpoint_w)
    return Steered(
        setpoint_w=setpoint_w,
        reason=shared.reason,
        forced=hard.low_w > 0,
        wanted_w=wanted_w,
        unserved_w=shared.unserved_w,
        conduct=conduct.told(setpoint_w=setpoint_w, now_s=now_s),
    )


def _wanted_w(asked: Asked, *, idle_w: int) -> int:
    demand = asked.demand
    if demand is None:
        return idle_w
    left_s = asked.end_s - asked.now_s
    power_w = area_power_w(target_wh=demand.target_wh, done_wh=asked.done_wh, left_s=left_s)
    return limited_w(power_w, demand=demand)


def _ranking(fleet: FleetState, equipment: Equipment, *, charging: bool) -> Ranking:
    """Who still needs energy for its departure charges first and discharges last."""
    needs = np.isfinite(fleet.departure_s) & (fleet.energy_wh < fleet.target_wh)
    return Ranking(
        number=fleet.number,
        merit=(needs != charging).astype(np.int64),
        weight=np.ones(len(fleet), np.int64),
        asset=equipment.asset,
    )


def _softened(
    bounds: Bounds, fleet: FleetState, conduct: Conduct, asked: Asked, rules: SteeringRules
) -> Bounds:
    """Dwell, start offset and ramp; demand response has only the first."""
    power_w, now_s = fleet.power_w, asked.now_s
    if rules.dwell_s > 0:
        dwells = now_s - conduct.turned_s < rules.dwell_s
        bounds = bounds.softened(
            low_w=np.where(dwells & (conduct.setpoint_w > 0), 0, bounds.low_w),
            high_w=np.where(dwells & (conduct.setpoint_w < 0), 0, bounds.high_w),
            reason=Reason.DWELL,
        )
    if asked.demand is not None and asked.demand.activation:
        return bounds
    if rules.random_offset_s > 0:
        waits = now_s - asked.start_s < _offsets_s(fleet.number, asked.start_s, rules)
        bounds = bounds.softened(
            low_w=np.where(waits, np.minimum(power_w, bounds.high_w), bounds.low_w),
            high_w=np.where(waits, np.maximum(power_w, bounds.low_w), bounds.high_w),
            reason=Reason.START,
        )
    if rules.ramp_w_per_s is not None:
        step_w = max(1, round(rules.ramp_w_per_s * max(asked.elapsed_s, 1.0)))
        bounds = bounds.softened(
            low_w=power_w - step_w, high_w=power_w + step_w, reason=Reason.RAMP
        )
    return bounds


def _offsets_s(number: Ints, start_s: float, rules: SteeringRules) -> Floats:
    """Each resource's own delay in a period, in [0, random_offset_s): the same all through it."""
    mixed = (number + round(start_s)) * _KNUTH & _BITS_32
    return mixed / (_BITS_32 + 1) * rules.random_offset_s
