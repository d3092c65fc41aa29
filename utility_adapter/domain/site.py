"""Sites as the utility registers them: where, which meters, how much the connection carries."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum

from gridcord.units import Position, SiteId


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One metering point, as far as the utility told of it.

    Args:
        site_id: The metering point.
        position: Registered location; None when not told.
        meter_ids: Identities of the meters installed there, sorted.
        rated_power_w: Most the connection carries, W, > 0; None when not told.
        service_voltage_v: Nominal voltage, V, > 0; None when not told.
        asset_id: The equipment that feeds it, nearest first in its chain; None when not told.
        area_id: Market area; empty when not told.

    Raises:
        ValueError: A rating that is not positive.
    """

    site_id: SiteId
    position: Position | None = None
    meter_ids: tuple[str, ...] = ()
    rated_power_w: int | None = None
    service_voltage_v: int | None = None
    asset_id: str | None = None
    area_id: str = ""

    def __post_init__(self) -> None:
        for name in ("rated_power_w", "service_voltage_v"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                message = f"{name} of {self.site_id} is not positive: {value}"
                raise ValueError(message)


def updated(*, known: Site, told: Site) -> Site:
    """What is known of a site once the utility told more of it.

    A feed often tells a part: readings in one file, the location in another. What is not told
    stays as it was; what is told replaces; a named set of meters replaces the former set.

    Raises:
        ValueError: They are two sites.
    """
    if known.site_id != told.site_id:
        message = f"{known.site_id} and {told.site_id} are two sites"
        raise ValueError(message)
    return replace(
        known,
        position=told.position or known.position,
        meter_ids=told.meter_ids or known.meter_ids,
        rated_power_w=told.rated_power_w or known.rated_power_w,
        service_voltage_v=told.service_voltage_v or known.service_voltage_v,
        asset_id=told.asset_id or known.asset_id,
        area_id=told.area_id or known.area_id,
    )


class Presence(StrEnum):
    """Whether a position is at a site."""

    INSIDE = "INSIDE"
    OUTSIDE = "OUTSIDE"
    UNDECIDED = "UNDECIDED"  # the position is not exact enough, or the location not registered


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivacyRule:
    """What a utility that does not give locations away answers instead (patent: location query).

    Args:
        radius_m: A position within this of the registered location is at the site, m, > 0. It
            is the utility's, not the caller's: a caller that could choose it would find the
            location by halving.
    """

    radius_m: float

    def __post_init__(self) -> None:
        if not 0 < self.radius_m < math.inf:
            message = f"a radius is positive: {self.radius_m}"
            raise ValueError(message)


def presence(*, site: Site, position: Position, rule: PrivacyRule) -> Presence:
    """Whether a position is within the utility's radius of a site.

    The circle that holds the true position (95 %) must lie wholly inside or wholly outside;
    a position of unknown accuracy is taken as exact.
    """
    if site.position is None:
        return Presence.UNDECIDED
    distance_m = site.position.distance_m(position)
    accuracy_m = position.accuracy_m or 0.0
    if distance_m + accuracy_m <= rule.radius_m:
        return Presence.INSIDE
    if distance_m - accuracy_m > rule.radius_m:
        return Presence.OUTSIDE
    return Presence.UNDECIDED
