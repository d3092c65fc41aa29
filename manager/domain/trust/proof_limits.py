"""What an active proof may move without touching what the driver was promised."""

from __future__ import annotations

from gridcord.metering.proof_pattern import ProofLimits
from manager.domain.records.resource import ResourceState

MOST_EDGES = 24
MOST_ENERGY_WH = 400.0
LEAST_POWER_W = 300  # a smaller pattern drowns in a house
LEAVES_SOON_S = 3_600  # until then what the departure needs stays in the battery


def proof_limits(*, state: ResourceState, reading_s: float, now_s: float) -> ProofLimits | None:
    """Bounds of a pattern for a vehicle; None when it can move too little now.

    A pattern discharges where that leaves the driver's reserve (and, before a departure, what that
    needs) untouched, and charges where it does not and the battery has room.

    Args:
        state: The vehicle, its driver's wishes and its own limits.
        reading_s: Usual seconds from one reading of the site's meter to the next.
        now_s: The manager's clock.
    """
    keep_percent = state.reserve_percent
    if state.departure_s is not None and state.departure_s - now_s <= LEAVES_SOON_S:
        keep_percent = max(keep_percent, state.departure_percent)
    above_wh = (state.soc_percent - keep_percent) / 100 * state.capacity_wh
    room_wh = (100 - state.soc_percent) / 100 * state.capacity_wh
    if state.discharge_limit_w >= LEAST_POWER_W and above_wh > MOST_ENERGY_WH:
        pulse_w = -state.discharge_limit_w
    elif state.charge_limit_w >= LEAST_POWER_W and room_wh > MOST_ENERGY_WH:
        pulse_w = state.charge_limit_w
    else:
        return None
    return ProofLimits(
        pulse_w=pulse_w,
        reading_s=reading_s,
        max_edges=MOST_EDGES,
        max_energy_wh=MOST_ENERGY_WH,
        max_power_w=abs(pulse_w),
    )
