"""Something a driver or host should know."""

from __future__ import annotations

from dataclasses import dataclass

from gridcord.metering.reading import Permission
from gridcord.units import Period


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A notice.

    Args:
        number: Rises with each notice: the cursor of watching.
        driver_id: Whom it concerns; empty for the host of the site only.
        site_id: The site.
        reason: What, a stable code.
        text: What, in plain words.
        period: What it is about, if a period.
        permission: What may flow at the site now.
        create_s: When, seconds since 1970 UTC.
    """

    number: int
    driver_id: str
    site_id: str
    reason: str
    text: str
    period: Period | None
    permission: Permission
    create_s: int
