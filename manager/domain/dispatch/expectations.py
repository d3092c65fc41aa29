"""What cables are counted on for when a period begins: what early departures are measured by."""

from __future__ import annotations

import math
from collections.abc import Sequence

from gridcord.settlement.departure import Expectation
from gridcord.units import Period
from manager.domain.dispatch.bounds import Reason
from manager.domain.dispatch.steering import Steered
from manager.domain.records.resource import ResourceState

LOST = (Reason.REFUSED, Reason.PERMISSION, Reason.ABSENT, Reason.ASSET)
"""Why a resource is not counted on."""


def expectations(
    states: Sequence[ResourceState], steered: Steered, *, area_id: str, period: Period
) -> list[Expectation]:
    """Of each cable whose resource is asked for anything and counted on.

    Args:
        states: The resources of an area.
        steered: What is asked of them, in the same order.
        area_id: The area.
        period: The period that has just begun.
    """
    asked = zip(states, steered.setpoint_w.tolist(), steered.reason.tolist(), strict=True)
    found = (
        Expectation(
            cable_id=state.cable_id,
            area=area_id,
            period=period,
            power_w=power_w,
            until_s=_until_s(state, period),
        )
        for state, power_w, reason in asked
        if state.cable_id and power_w and reason not in LOST
    )
    return [each for each in found if each.until_s > period.start_s]


def _until_s(state: ResourceState, period: Period) -> int:
    if state.departure_s is None:
        return period.end_s
    return min(period.end_s, math.floor(state.departure_s))
