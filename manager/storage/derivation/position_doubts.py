"""What about the places of a site's cables cannot be, from all that is stored and registered."""

from __future__ import annotations

from sqlalchemy.engine import Connection

from gridcord.units import Position
from manager.domain.trust.position_check import PositionDoubt, away
from manager.domain.trust.site import RegisteredSite, at_site
from manager.ports import SiteToCheck
from manager.storage.sites.fixes import doubts_about, fixes_at


def position_doubts(
    connection: Connection,
    site: SiteToCheck,
    registered: RegisteredSite | None,
    *,
    tolerance_m: float,
    now_s: int,
) -> tuple[PositionDoubt, ...]:
    """Doubts about the cables that are or were at a site within a day.

    Args:
        connection: Of the transaction.
        site: The site, with the position that the utility was asked about.
        registered: What the utility tells; None where it tells nothing.
        tolerance_m: How far from the registered place a cable may be.
        now_s: The manager's clock.
    """
    fixes = fixes_at(connection, site.site_id, now_s=now_s)
    placed = {fix.cable_id: _at_site(site, registered, fix.position, tolerance_m) for fix in fixes}
    others = doubts_about(connection, site.site_id, fixes, tolerance_m=tolerance_m, placed=placed)
    place = None if registered is None else registered.position
    return (*away(fixes, placed=placed, registered=place), *others)


def _at_site(
    site: SiteToCheck, registered: RegisteredSite | None, found: Position, tolerance_m: float
) -> bool | None:
    """Whether a cable is where the site is registered; None when that cannot be said.

    In privacy mode the utility answered about one position only.
    """
    if registered is None:
        return None
    if registered.position_inside is not None and found != site.position:
        return None
    return at_site(registered=registered, found=found, tolerance_m=tolerance_m)
