"""Allocation: an area's power onto its resources, in whole watts.

Every resource has an interval [low, high] of powers it may take now (`bounds`). From the power
nearest to zero in it, resources are moved towards the target: cheapest merit class first, inside a
class by weighted water-filling, never beyond an asset's limit. Served power is the most that the
limits allow; what is left is a result, not an error.

Laws (tests/unit/manager/test_allocation.py):

1. sum(setpoint_w) + unserved_w == target_w.
2. The order of the rows does not matter; rows are told apart by `number`.
3. A resource that may also do nothing, added, never makes |unserved_w| larger.
4. A higher target never lowers a setpoint.
5. Served power and the sum of merit x power moved equal those of the linear program.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from manager.domain.dispatch.bounds import Bounds, Reason, Reasons
from manager.domain.dispatch.waterfill import MAX_WEIGHT, Ints, Mask, Vessels, fill

MAX_MERIT = (1 << 16) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """Who comes first, and who hangs on what.

    Args:
        number: Identity of each row, distinct.
        merit: Lower is asked first, in [0, MAX_MERIT].
        weight: Share within a merit class, in [1, MAX_WEIGHT].
        asset: Index of the equipment above its site; -1 for none.

    Raises:
        ValueError: A value is out of range, or lengths differ.
    """

    number: Ints
    merit: Ints
    weight: Ints
    asset: Ints

    def __post_init__(self) -> None:
        if len({len(self.number), len(self.merit), len(self.weight), len(self.asset)}) != 1:
            message = "number, merit, weight and asset need one value a row each"
            raise ValueError(message)
        if not len(self.number):
            return
        if self.merit.min() < 0 or self.merit.max() > MAX_MERIT:
            message = f"merit is in [0, {MAX_MERIT}]"
            raise ValueError(message)
        if self.weight.min() < 1 or self.weight.max() > MAX_WEIGHT:
            message = f"weight is in [1, {MAX_WEIGHT}]"
            raise ValueError(message)

    @classmethod
    def equal(cls, count: int) -> Ranking:
        """Rows that differ in nothing but their number."""
        zeros = np.zeros(count, np.int64)
        return cls(number=np.arange(count), merit=zeros, weight=zeros + 1, asset=zeros - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetLimits:
    """What may flow through all resources below each piece of equipment together.

    Args:
        import_w: Most charging, W, >= 0, by asset index.
        export_w: Most discharging, W, >= 0.
    """

    import_w: Ints
    export_w: Ints

    @classmethod
    def none(cls) -> AssetLimits:
        """No equipment limits anything."""
        return cls(import_w=np.zeros(0, np.int64), export_w=np.zeros(0, np.int64))


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation:
    """Who does what.

    Args:
        setpoint_w: Of each row, + charging.
        unserved_w: Target less the sum of the setpoints.
        reason: Why a row does not do more of what is asked; see `Reason`.
    """

    setpoint_w: Ints
    unserved_w: int
    reason: Reasons


def allocate(
    *, target_w: int, bounds: Bounds, ranking: Ranking, assets: AssetLimits | None = None
) -> Allocation:
    """Share an area's power.

    Args:
        target_w: Power wanted, + charging.
        bounds: What each row may do now.
        ranking: Who comes first.
        assets: Limits of equipment; they come before everything, even a promised departure.
    """
    assets = assets or AssetLimits.none()
    base = _within_assets(_nearest_to_zero(bounds), ranking, assets)
    wanted = target_w - int(base.sum())
    if wanted >= 0:
        room = np.maximum(bounds.high_w - base, 0)
        moved, at_asset = _moved(wanted, room, _spare(assets.import_w, base, ranking), ranking)
        setpoint = base + moved
        reason = np.where(setpoint >= bounds.high_w, bounds.high_reason, Reason.DEMAND)
    else:
        room = np.maximum(base - bounds.low_w, 0)
        moved, at_asset = _moved(-wanted, room, _spare(assets.export_w, -base, ranking), ranking)
        setpoint = base - moved
        reason = np.where(setpoint <= bounds.low_w, bounds.low_reason, Reason.DEMAND)
    np.putmask(reason, at_asset & (moved < room), np.uint8(Reason.ASSET))
    return Allocation(
        setpoint_w=setpoint,
        unserved_w=target_w - int(setpoint.sum()),
        reason=reason.astype(np.uint8, copy=False),
    )


def _nearest_to_zero(bounds: Bounds) -> Ints:
    return np.maximum(bounds.low_w, np.minimum(bounds.high_w, 0))


def _within_assets(base: Ints, ranking: Ranking, assets: AssetLimits) -> Ints:
    """What rows must do (to reach a departure, to keep a ramp) as far as equipment allows."""
    if not len(assets.import_w):
        return base
    charging, discharging = np.maximum(base, 0), np.maximum(-base, 0)
    charging = _capped(charging, _spare(assets.import_w, -discharging, ranking), ranking)
    discharging = _capped(discharging, _spare(assets.export_w, -charging, ranking), ranking)
    return charging - discharging


def _spare(limit_w: Ints, used_w: Ints, ranking: Ranking) -> Ints:
    """What is left of each asset's limit, W, >= 0."""
    if not len(limit_w):
        return limit_w
    spare: Ints = np.maximum(limit_w - _asset_sums(used_w, ranking, len(limit_w)), 0)
    return spare


def _asset_sums(values: Ints, ranking: Ranking, count: int) -> Ints:
    # Sums of float64 are exact here: far below 2**53 W.
    sums = np.bincount(ranking.asset + 1, weights=values, minlength=count + 1)
    return sums[1:].astype(np.int64)


def _moved(amount: int, room: Ints, spare: Ints, ranking: Ranking) -> tuple[Ints, Mask]:
    """Take an amount, or all there is, from the room of the rows; and who is held by its asset."""
    usable = _capped(room, spare, ranking)
    amount = min(amount, int(usable.sum()))
    if not amount:
        return np.zeros_like(room), usable < room
    if ranking.merit.min() == ranking.merit.max():
        return _filled(amount, usable, ranking, slice(None)), usable < room
    by_class = np.cumsum(np.bincount(ranking.merit, weights=usable))
    last = int(np.searchsorted(by_class, amount))
    moved = usable * (ranking.merit < last)
    before = int(by_class[last - 1]) if last else 0
    rows = np.flatnonzero(ranking.merit == last)
    moved[rows] = _filled(amount - before, usable[rows], ranking, rows)
    return moved, usable < room


def _filled(amount: int, room: Ints, ranking: Ranking, rows: slice | Ints) -> Ints:
    vessels = Vessels(
        room=room,
        weight=ranking.weight[rows],
        number=ranking.number[rows],
        starts=np.zeros(1, np.int64),
    )
    return fill(amounts=np.array([amount]), vessels=vessels)


def _capped(room: Ints, spare: Ints, ranking: Ranking) -> Ints:
    """Room cut so that each asset's sum is within what it spares, dearest merit class first."""
    if not len(spare):
        return room
    over = np.append(_asset_sums(room, ranking, len(spare)) > spare, False)
    rows = np.flatnonzero(over[ranking.asset])  # -1, no asset, reads the False at the end
    if not len(rows):
        return room
    key = ranking.asset[rows] * (MAX_MERIT + 1) + ranking.merit[rows]
    order = np.argsort(key, kind="stable")
    rows, key = rows[order], key[order]
    starts = np.flatnonzero(np.diff(key, prepend=-1))
    vessels = Vessels(
        room=room[rows], weight=ranking.weight[rows], number=ranking.number[rows], starts=starts
    )
    totals = vessels.sums(vessels.room)
    amounts = _in_turn(totals, key[starts] // (MAX_MERIT + 1), spare)
    capped = room.copy()
    capped[rows] = fill(amounts=amounts, vessels=vessels)
    return capped


def _in_turn(totals: Ints, asset: Ints, spare: Ints) -> Ints:
    """What each class of an asset gets of what it spares, in the order of the classes."""
    before = np.cumsum(totals) - totals
    first = np.diff(asset, prepend=-1) != 0
    before -= np.repeat(before[first], np.diff(np.flatnonzero(first), append=len(asset)))
    return np.clip(spare[asset] - before, 0, totals)
