"""What makes an entry believable: its signature, and physics. A failed one is never paid."""

from __future__ import annotations

from dataclasses import dataclass

from gridcord.metering.reading import ClockState
from gridcord.metering.records import TransferRecord

SIGNATURE_INVALID = "SIGNATURE_INVALID"
FISCAL_RECORD_INVALID = "FISCAL_RECORD_INVALID"
FISCAL_RECORD_DIFFERS = "FISCAL_RECORD_DIFFERS"
BODY_INVALID = "BODY_INVALID"
FROM_THE_FUTURE = "FROM_THE_FUTURE"
ENERGY_IMPOSSIBLE = "ENERGY_IMPOSSIBLE"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlausibilityPolicy:
    """Bounds of what a cable can truthfully say.

    Args:
        future_s: Seconds that a record may be ahead of the manager's clock.
        power_margin: Share by which a meter may read above the rated power.
    """

    future_s: int = 120
    power_margin: float = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """Why an entry is kept apart.

    Args:
        reason: A stable code.
        detail: For a person.
    """

    reason: str
    detail: str


def transfer_doubt(
    record: TransferRecord, *, receive_s: int, rated_power_w: int, policy: PlausibilityPolicy
) -> Doubt | None:
    """Why a record cannot be, by physics; None when it can.

    Args:
        record: What the cable says.
        receive_s: When the manager got it, seconds since 1970 UTC.
        rated_power_w: Most that cable and outlet carry, W; 0 when not known.
        policy: Bounds.
    """
    if record.clock_state is not ClockState.UNKNOWN and record.end_s > receive_s + policy.future_s:
        return Doubt(
            reason=FROM_THE_FUTURE,
            detail=f"ends {record.end_s - receive_s} s after it was received",
        )
    if rated_power_w:
        hours = record.connected_s / 3600
        most_wh = rated_power_w * hours * (1 + policy.power_margin) + 2 * record.step_wh
        moved_wh = max(record.site_to_vehicle_wh, record.vehicle_to_site_wh)
        if moved_wh > most_wh:
            return Doubt(
                reason=ENERGY_IMPOSSIBLE,
                detail=f"{moved_wh} Wh in {record.connected_s} s at {rated_power_w} W",
            )
    return None


def fiscal_doubt(record: TransferRecord, signed: TransferRecord) -> Doubt | None:
    """Whether a record and its own fiscal record say different things.

    Args:
        record: The entry's.
        signed: What the fiscal record says.
    """
    for name in (
        "period",
        "start_s",
        "end_s",
        "site_to_vehicle_start_wh",
        "site_to_vehicle_end_wh",
        "vehicle_to_site_start_wh",
        "vehicle_to_site_end_wh",
        "site_id",
        "driver_id",
        "vehicle_id",
        "clock_state",
        "quality",
    ):
        if getattr(record, name) != getattr(signed, name):
            return Doubt(reason=FISCAL_RECORD_DIFFERS, detail=f"{name} differs")
    return None
