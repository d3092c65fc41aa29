"""All resources of an area as columns (structure of arrays): what dispatch computes on.

A fleet of 100,000 is stepped in milliseconds this way. Rows keep their place while they are
connected; `number` is who they are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from gridcord.metering.reading import Permission
from manager.domain.dispatch.waterfill import Ints, Mask
from manager.domain.records.resource import ResourceState

Floats = npt.NDArray[np.float64]
Levels = npt.NDArray[np.uint8]

NONE, CHARGE_TO_SOC, CHARGE_ONLY, BIDIRECTIONAL = range(len(Permission))
LEVELS: dict[Permission, int] = {permission: level for level, permission in enumerate(Permission)}
"""Permission -> level, from least to most."""

LOSSLESS_PERMILLE = 1000
_NO_RATING_W = 1 << 23


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetState:
    """Columns, one value a resource; whoever fills them checks them.

    Args:
        number: Identity, distinct.
        present: A session is live, telemetry fresh, and the driver permits transfer.
        permission: Level of `LEVELS`.
        permitted_wh: With CHARGE_TO_SOC: energy to stop at, Wh.
        car_charge_w: Most the car can charge with now, W, >= 0.
        car_discharge_w: Most it can discharge with now, W, >= 0.
        cable_w: Rating of the cable, either way, W.
        outlet_w: Rating of the outlet, either way, W.
        energy_wh: In the battery, Wh.
        reserve_wh: Energy the driver never wants to go below, Wh.
        target_wh: Energy promised at departure, Wh.
        ceiling_wh: Most energy the battery should hold, Wh.
        departure_s: Seconds since 1970 UTC; infinity for never.
        charge_permille: Of the energy through the cable, what reaches the battery, in [1, 1000].
        discharge_permille: Of the energy out of the battery, what reaches the cable.
        power_w: As measured, W, + charging.
    """

    number: Ints
    present: Mask
    permission: Levels
    permitted_wh: Ints
    car_charge_w: Ints
    car_discharge_w: Ints
    cable_w: Ints
    outlet_w: Ints
    energy_wh: Ints
    reserve_wh: Ints
    target_wh: Ints
    ceiling_wh: Ints
    departure_s: Floats
    charge_permille: Ints
    discharge_permille: Ints
    power_w: Ints

    def __len__(self) -> int:
        return len(self.number)

    def rows(self, wanted: Ints | Mask) -> FleetState:
        """Some of the rows."""
        return FleetState(**{each.name: getattr(self, each.name)[wanted] for each in fields(self)})


def fleet_state(
    resources: Sequence[ResourceState],
    *,
    numbers: Sequence[int],
    cable_w: Sequence[int] | None = None,
    outlet_w: Sequence[int] | None = None,
    charge_permille: int = LOSSLESS_PERMILLE,
    discharge_permille: int = LOSSLESS_PERMILLE,
) -> FleetState:
    """Columns of resources.

    Args:
        resources: What is known of each.
        numbers: Identity of each, distinct.
        cable_w: Ratings of the cables, W; None when the resources' own limits include them.
        outlet_w: Ratings of the outlets, W; likewise.
        charge_permille: See `FleetState`.
        discharge_permille: Likewise.
    """
    count = len(resources)
    unrated = np.full(count, _NO_RATING_W, np.int64)

    def ints(values: Sequence[float]) -> Ints:
        return np.array([math.floor(value) for value in values], np.int64)

    capacity = ints([each.capacity_wh for each in resources])

    def energy(percents: Sequence[float]) -> Ints:
        return np.floor(np.array(percents, np.float64) / 100 * capacity).astype(np.int64)

    return FleetState(
        number=np.array(numbers, np.int64),
        present=np.array([each.transfer_permitted for each in resources], np.bool_),
        permission=np.array([LEVELS[each.permission] for each in resources], np.uint8),
        permitted_wh=energy([_stop_percent(each) for each in resources]),
        car_charge_w=ints([each.charge_limit_w for each in resources]),
        car_discharge_w=ints([each.discharge_limit_w for each in resources]),
        cable_w=unrated if cable_w is None else np.array(cable_w, np.int64),
        outlet_w=unrated if outlet_w is None else np.array(outlet_w, np.int64),
        energy_wh=energy([each.soc_percent for each in resources]),
        reserve_wh=-energy([-each.reserve_percent for each in resources]),
        target_wh=-energy([-each.departure_percent for each in resources]),
        ceiling_wh=capacity,
        departure_s=np.array([_departure_s(each) for each in resources], np.float64),
        charge_permille=np.full(count, charge_permille, np.int64),
        discharge_permille=np.full(count, discharge_permille, np.int64),
        power_w=ints([each.power_w for each in resources]),
    )


def _stop_percent(resource: ResourceState) -> float:
    return 100.0 if resource.charge_to_percent is None else resource.charge_to_percent


def _departure_s(resource: ResourceState) -> float:
    return math.inf if resource.departure_s is None else resource.departure_s
