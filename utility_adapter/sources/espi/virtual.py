"""The virtual usage point of a cable at a site: how a transfer is named in a Green Button feed."""

from __future__ import annotations

from urllib.parse import quote, unquote

from gridcord.units import CableId, IdentifierError, SiteId, parse_device_id, parse_site_id


def virtual_path(*, site_id: SiteId, cable_id: CableId) -> str:
    """Its address below the resource root: the site stands where the customer does."""
    return f"RetailCustomer/{quote(site_id, safe='')}/UsagePoint/{cable_id}"


def parse_virtual_path(path: str) -> tuple[SiteId, CableId] | None:
    """The site and cable of an address; None where it is none of ours."""
    parts = path.split("/")
    if len(parts) < 4 or (parts[-4], parts[-2]) != ("RetailCustomer", "UsagePoint"):
        return None
    try:
        return parse_site_id(unquote(parts[-3])), CableId(parse_device_id(parts[-1]))
    except IdentifierError:
        return None
