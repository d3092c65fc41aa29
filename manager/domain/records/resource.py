"""A connected resource as dispatch sees it."""

from __future__ import annotations

from dataclasses import dataclass

from gridcord.metering.reading import Permission


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceState:
    """What a resource is and can do now.

    Args:
        resource_id: It.
        area_id: Market area.
        permission: What may flow at its site.
        charge_to_percent: With CHARGE_TO_SOC: state of charge to stop at.
        transfer_permitted: Its driver or owner permits transfer.
        refused: It refused its last setpoint, not long ago.
        site_id: Where it is; empty when not known.
        cabled: It hangs on a smart cable, whose records tell what it did.
        cable_id: That cable; empty for none.
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
    refused: bool = False
    site_id: str = ""
    cabled: bool = False
    cable_id: str = ""
