"""A site as the utility has it registered."""

from __future__ import annotations

from dataclasses import dataclass

from gridcord.metering.records import AssetLoading
from gridcord.units import Position, SiteId


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredSite:
    """What the utility tells of a site; not its route-B secrets, which an operator hands over.

    Args:
        site_id: The site.
        position: Where it is registered; None in privacy mode.
        position_inside: In privacy mode: whether the asked position is within its radius.
        meter_ids: Meters installed there.
        rated_power_w: Most the connection carries, W; None when not known.
        assets: The equipment above it, nearest first.
        area_id: Market area; empty when not known.
    """

    site_id: SiteId
    position: Position | None = None
    position_inside: bool | None = None
    meter_ids: tuple[str, ...] = ()
    rated_power_w: int | None = None
    assets: tuple[AssetLoading, ...] = ()
    area_id: str = ""


def distance_m(*, registered: RegisteredSite, found: Position) -> float | None:
    """How far a position is from the registered one, metres; None when that is not told."""
    return None if registered.position is None else registered.position.distance_m(found)


def at_site(*, registered: RegisteredSite, found: Position, tolerance_m: float) -> bool | None:
    """Whether a cable is where the site is registered; None when that cannot be said.

    The radius of a fix is given to the cable as the benefit of the doubt; in privacy mode, where
    the utility answers inside or outside only, a fix worse than the tolerance cannot say outside.

    Args:
        registered: What the utility tells.
        found: Where the cable says it is.
        tolerance_m: Garden, street and map error.
    """
    radius_m = found.accuracy_m or 0.0
    if registered.position_inside is not None:
        return True if registered.position_inside else (None if radius_m > tolerance_m else False)
    distance = distance_m(registered=registered, found=found)
    if distance is None:
        return None
    if distance <= tolerance_m:
        return True
    return False if distance - radius_m > tolerance_m else None
