"""What the node knows now: shared by its tasks, told by the local service, lost at a restart.

Nothing here is needed for correctness: records are in the journal, permission is a lease.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from gridcord.metering.reading import Permission
from gridcord.metering.records import AssetLoading
from gridcord.metering.verdict import StatedMatch
from gridcord.units import Period, Position

RECENT = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What the cable may do, and why not more.

    Args:
        permission: It.
        reason: A stable code; empty when nothing is withheld.
        setpoint_w: Power wanted, + charging; None when the cable may choose.
        until_s: End of the lease, seconds since 1970 UTC; None for the local policy.
        version: Of the directive; 0 for the local policy.
        charge_to_percent: With CHARGE_TO_SOC: state of charge to stop at.
    """

    permission: Permission
    reason: str = ""
    setpoint_w: int | None = None
    until_s: float | None = None
    version: int = 0
    charge_to_percent: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecentMatch:
    """A period and what the cable concluded of it."""

    period: Period
    transferred_wh: int
    match: StatedMatch


@dataclass(slots=True, kw_only=True)
class NodeState:
    """What the node knows now.

    Args:
        grant: What the cable may do.
        site_meter_id: Identity of the site by its smart meter; empty while not known.
        hems_id: Identity of the site by its HEMS; empty while not known.
        measures_export: The site's meter has an export register.
        site_step_wh: One count of the site's meter, Wh.
        can_prove: The site's meter gives power readings.
        power_w: Through the cable, + charging; None when the meter does not answer.
        vehicle_present: A vehicle is at the plug.
        contactor_closed: Current can flow.
        position: Where the cable is; None without a fix.
        asset_loading: Of the equipment above the site, as told on the spot.
        session_state: Of the session with the manager.
        committed_sequence: Last entry the manager has.
        instruments: State of each instrument by port.
        matches: Newest first.
    """

    grant: Grant
    site_meter_id: str = ""
    hems_id: str = ""
    measures_export: bool = True
    site_step_wh: int = 1
    hems_step_wh: int = 1
    can_prove: bool = False
    power_w: int | None = None
    vehicle_present: bool = False
    contactor_closed: bool = False
    position: Position | None = None
    asset_loading: AssetLoading | None = None
    session_state: str = "OFFLINE"
    committed_sequence: int = 0
    instruments: dict[str, str] = field(default_factory=dict)
    matches: deque[RecentMatch] = field(default_factory=lambda: deque(maxlen=RECENT))

    @property
    def site_id(self) -> str:
        """The smart meter's identity wins over the HEMS's; empty while neither is known."""
        return self.site_meter_id or self.hems_id
