"""Positions on the earth (WGS 84)."""

from __future__ import annotations

import math
from dataclasses import dataclass

EARTH_RADIUS_M = 6_371_008.8  # mean radius, IUGG


@dataclass(frozen=True, slots=True)
class Position:
    """A place.

    Args:
        latitude_deg: North positive, in [-90, 90].
        longitude_deg: East positive, in [-180, 180].
        accuracy_m: Radius that holds the true position with 95 % probability, >= 0; None when
            nothing is known of it (a registered location).
        fix_time_s: When it was fixed, seconds since 1970 UTC; None for a registered location.

    Raises:
        ValueError: Out of bounds, or not finite.
    """

    latitude_deg: float
    longitude_deg: float
    accuracy_m: float | None = None
    fix_time_s: float | None = None

    def __post_init__(self) -> None:
        if not (-90 <= self.latitude_deg <= 90 and -180 <= self.longitude_deg <= 180):
            message = f"no such place: {self.latitude_deg}, {self.longitude_deg}"
            raise ValueError(message)
        if self.accuracy_m is not None and not 0 <= self.accuracy_m < math.inf:
            message = f"an accuracy is finite and not negative: {self.accuracy_m}"
            raise ValueError(message)

    def distance_m(self, other: Position) -> float:
        """Great-circle distance in metres (haversine on the mean sphere, error < 0.6 %)."""
        lat1, lat2 = math.radians(self.latitude_deg), math.radians(other.latitude_deg)
        dlat, dlon = lat2 - lat1, math.radians(other.longitude_deg - self.longitude_deg)
        h = math.sin(dlat / 2) ** 2 + math.cos(lat1) * math.cos(lat2) * math.sin(dlon / 2) ** 2
        return 2 * EARTH_RADIUS_M * math.asin(math.sqrt(min(1.0, h)))
