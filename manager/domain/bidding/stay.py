"""A resource at its outlet: what its driver plans, and what its battery can do until then.

Energy in and out of a battery is counted in whole Wh against the holder of the promise: what is
stored is rounded down, what is drawn is rounded up.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from manager.domain.dispatch.waterfill import Ints

PERMILLE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Battery:
    """Limits and losses between the outlet and the cells.

    Args:
        ceiling_wh: Most energy to hold, Wh.
        reserve_wh: Energy that is never given away, Wh; what arrives with less keeps that.
        charge_w: Most power through the cable into it, W, >= 0: the least of car, cable, outlet.
        discharge_w: Most power out of it, W, >= 0; 0 where the site permits none.
        charge_permille: Of the energy through the cable, what is stored, in [1, 1000].
        discharge_permille: Of the energy drawn, what comes through the cable, in [1, 1000].
    """

    ceiling_wh: int
    reserve_wh: int
    charge_w: int
    discharge_w: int
    charge_permille: int = PERMILLE
    discharge_permille: int = PERMILLE

    def __post_init__(self) -> None:
        if not 0 <= self.reserve_wh <= self.ceiling_wh:
            message = f"a reserve lies between 0 and {self.ceiling_wh} Wh, not {self.reserve_wh}"
            raise ValueError(message)
        if min(self.charge_w, self.discharge_w) < 0:
            message = "powers of a battery are not negative"
            raise ValueError(message)
        if not (1 <= self.charge_permille <= PERMILLE and 1 <= self.discharge_permille <= PERMILLE):
            message = f"efficiencies are in [1, {PERMILLE}] permille"
            raise ValueError(message)

    def after(self, energy_wh: int, transferred_wh: int) -> int:
        """Energy in the battery after a transfer through the cable, Wh, + into it."""
        if transferred_wh >= 0:
            return energy_wh + transferred_wh * self.charge_permille // PERMILLE
        return energy_wh - -(transferred_wh * PERMILLE // self.discharge_permille)

    def intake_wh(self, stored_wh: int) -> int:
        """Least energy through the cable that stores so much, Wh."""
        return -(-stored_wh * PERMILLE // self.charge_permille)

    def room_wh(self, energy_wh: int) -> int:
        """Most energy through the cable that the ceiling leaves room for, Wh, >= 0."""
        left = self.ceiling_wh - energy_wh
        return max(0, ((left + 1) * PERMILLE - 1) // self.charge_permille)

    def outcome_wh(self, drawn_wh: int) -> int:
        """Most energy through the cable for so much drawn, Wh."""
        return drawn_wh * self.discharge_permille // PERMILLE


@dataclass(frozen=True, slots=True, kw_only=True)
class Stay:
    """A resource's stay, from plugging in, or from now, to its planned departure.

    Args:
        battery: Its battery.
        start_s: Seconds since 1970 UTC.
        departure_s: As its driver planned, > start_s.
        energy_wh: In the battery at `start_s`, Wh.
        target_wh: Wanted at the departure, Wh.
        resource_id: Whose; empty for nobody known.
    """

    battery: Battery
    start_s: int
    departure_s: int
    energy_wh: int
    target_wh: int
    resource_id: str = ""

    def __post_init__(self) -> None:
        if self.departure_s <= self.start_s:
            message = f"a stay ends after it starts, not at {self.departure_s}"
            raise ValueError(message)


@dataclass(frozen=True, kw_only=True)
class Window:
    """A stay on the grid of periods.

    Args:
        battery: Limits and losses; sums over `count` like everything here.
        first: Index of the first period: its start divided by the periods' length.
        charge_wh: Most energy in, through the cable, of each period from `first`, Wh.
        discharge_wh: Most energy out, Wh.
        reach_wh: What charging all the time stores after each period until departure, Wh.
        energy_wh: Stored at the beginning of `first`, Wh.
        promise_wh: To be stored at the end, Wh: the target, or all that can be reached of it.
        missing_wh: What the target is above the promise, Wh: physically impossible, >= 0.
        resource_id: Whose; empty for nobody known, such as a cluster.
    """

    battery: Battery
    first: int
    charge_wh: Ints
    discharge_wh: Ints
    reach_wh: Ints
    energy_wh: int
    promise_wh: int
    missing_wh: int = 0
    resource_id: str = ""

    def __len__(self) -> int:
        return len(self.charge_wh)

    @property
    def end(self) -> int:
        """Index of the first period after the last."""
        return self.first + len(self.charge_wh)

    @cached_property
    def kept_wh(self) -> int:
        """Energy that discharging leaves, Wh."""
        return min(self.battery.reserve_wh, self.energy_wh)

    def moved(self, periods: int) -> Window:
        """The same stay at another time."""
        return replace(self, first=self.first + periods)

    def later(self, *, first: int, energy_wh: int) -> Window:
        """What is left of it at the beginning of a period in it, with so much stored."""
        skipped = slice(first - self.first, None)
        return replace(
            self,
            first=first,
            charge_wh=self.charge_wh[skipped],
            discharge_wh=self.discharge_wh[skipped],
            reach_wh=self.reach_wh[skipped],
            energy_wh=energy_wh,
        )

    def bounds_wh(self) -> tuple[int, int]:
        """Least and most energy through the cable in the first period, Wh, + charging.

        The promise is hard: whatever is chosen between these, it can still be kept, and the
        reserve is not touched.
        """
        most = min(int(self.charge_wh[0]), self.battery.room_wh(self.energy_wh))
        needed = self.promise_wh - int(self.reach_wh[0])
        if self.energy_wh < needed:
            return min(self.battery.intake_wh(needed - self.energy_wh), most), most
        spare = self.energy_wh - max(needed, self.kept_wh)
        return -min(int(self.discharge_wh[0]), self.battery.outcome_wh(spare)), most


def window(stay: Stay, *, length_s: int) -> Window:
    """A stay on the grid.

    Args:
        stay: It.
        length_s: Length of the periods, seconds, > 0.
    """
    first, end = stay.start_s // length_s, -(-stay.departure_s // length_s)
    starts = np.arange(first, end, dtype=np.int64) * length_s
    seconds = np.minimum(starts + length_s, stay.departure_s) - np.maximum(starts, stay.start_s)
    charge_wh = stay.battery.charge_w * seconds // 3600
    stored_wh = charge_wh * stay.battery.charge_permille // PERMILLE
    target_wh = min(stay.target_wh, stay.battery.ceiling_wh)
    promise_wh = min(target_wh, max(stay.energy_wh, 0) + int(stored_wh.sum()))
    return Window(
        battery=stay.battery,
        first=first,
        charge_wh=charge_wh,
        discharge_wh=stay.battery.discharge_w * seconds // 3600,
        reach_wh=np.cumsum(stored_wh[::-1])[::-1] - stored_wh,
        energy_wh=stay.energy_wh,
        promise_wh=promise_wh,
        missing_wh=max(0, target_wh - promise_wh),
        resource_id=stay.resource_id,
    )
