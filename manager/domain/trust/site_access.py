"""What a cable needs to read the smart meter of a site in Japan: a secret of the site's owner."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from gridcord.units import CableId, SiteId

_ROUTE_B_ID = re.compile(r"[0-9A-Fa-f]{32}")
_PASSWORD = re.compile(r"[0-9A-Za-z]{12}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteAccess:
    """Route-B authentication of one metering point, and which cables may have it.

    Args:
        site_id: The metering point.
        route_b_id: 32 hexadecimal digits; never shown by `repr`.
        password: 12 letters and digits; never shown by `repr`.
        cables: These get it wherever they connect; the site's owner lent them or owns them.
        any_cable: Also any other cable gets it that names the site.

    Raises:
        ValueError: Not of this form, or nobody may have it; the text holds no secret.
    """

    site_id: SiteId
    route_b_id: str = field(repr=False)
    password: str = field(repr=False)
    cables: frozenset[CableId] = frozenset()
    any_cable: bool = False

    def __post_init__(self) -> None:
        if not _ROUTE_B_ID.fullmatch(self.route_b_id):
            message = f"{self.site_id}: a route-B id has 32 hexadecimal digits"
            raise ValueError(message)
        if not _PASSWORD.fullmatch(self.password):
            message = f"{self.site_id}: a route-B password has 12 letters and digits"
            raise ValueError(message)
        if not self.cables and not self.any_cable:
            message = f"{self.site_id}: name the cables that may have it, or say any_cable"
            raise ValueError(message)

    def is_for(self, cable_id: str, site_id: str) -> bool:
        """Whether a cable that says it is at a site (empty: it does not know) may have it."""
        return cable_id in self.cables or (self.any_cable and site_id == self.site_id)
