"""A cable's session as the manager knows it."""

from __future__ import annotations

from dataclasses import dataclass

from gridcord.metering.reading import ClockState
from gridcord.metering.records import AssetLoading
from gridcord.session.opening import CableHello
from gridcord.units import CableId, DriverId, Position, SiteId, VehicleId


@dataclass(frozen=True, slots=True, kw_only=True)
class CableIntroduction:
    """What a cable says of itself when it connects.

    Args:
        cable_id: By its certificate.
        journal: What it says of its journal.
        site_meter_id: Identity of the site by its smart meter; empty when it cannot be read.
        hems_id: Identity of the site by its HEMS; empty when it cannot be read.
        position: Where it is; None without a fix.
        vehicle_id: The vehicle; empty when not known.
        driver_id: The driver; empty when not known.
        signing_key: SubjectPublicKeyInfo, DER, ECDSA P-256.
        rated_power_w: Most that cable and outlet carry, W, > 0.
        asset_loading: Of the equipment above the site, as the cable knows it.
        can_prove_actively: The site's meter gives fast power readings.
        clock_state: What its clock is worth.
        clock_s: Its clock, seconds since 1970 UTC.
        monotonic_ns: Its monotonic time at that moment.
    """

    cable_id: CableId
    journal: CableHello
    site_meter_id: str
    hems_id: str
    position: Position | None
    vehicle_id: VehicleId
    driver_id: DriverId
    signing_key: bytes
    rated_power_w: int
    asset_loading: AssetLoading | None
    can_prove_actively: bool
    clock_state: ClockState
    clock_s: float
    monotonic_ns: int

    @property
    def site_id(self) -> SiteId:
        """The smart meter's identity wins over the HEMS's; empty when neither can be read."""
        return SiteId(self.site_meter_id or self.hems_id)
