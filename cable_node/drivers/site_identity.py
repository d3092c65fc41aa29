"""Turns what instruments call themselves into site ids."""

from __future__ import annotations

import hashlib
import re

from gridcord.units import SiteId, parse_site_id

_ALLOWED = re.compile(r"[A-Za-z0-9._-]{1,64}")
_MAX_BYTES = 32  # as hexadecimal 64 characters, all that a site id holds


def site_id(scheme: str, name: str) -> SiteId:
    """The id of a site.

    Blanks and zero bytes at the end of a name are padding. A name with other characters than a
    site id allows is written in hexadecimal, one that is too long as its SHA-256: it must stay the
    same for ever, and no two meters may share one.

    Args:
        scheme: Such as "obis".
        name: What the instrument calls itself, any characters.
    """
    trimmed = name.rstrip("\0 ")
    if _ALLOWED.fullmatch(trimmed):
        return parse_site_id(f"{scheme}:{trimmed}")
    data = trimmed.encode()
    short = 0 < len(data) <= _MAX_BYTES
    return parse_site_id(f"{scheme}:{data.hex() if short else hashlib.sha256(data).hexdigest()}")
