"""Turns what instruments call themselves into the values of site ids."""

from __future__ import annotations

import re

_ALLOWED = re.compile(r"[A-Za-z0-9._-]{1,64}")
_MAX_BYTES = 32  # as hexadecimal 64 characters, all that a site id holds


def site_value(text: str) -> str:
    """A text that may follow the scheme of a site id.

    Blanks and zero bytes at the end are padding. A text with other characters is written in
    hexadecimal: it must stay the same for ever, and no two meters may share one.
    """
    trimmed = text.rstrip("\0 ")
    if _ALLOWED.fullmatch(trimmed):
        return trimmed
    return trimmed.encode("latin-1", "replace")[:_MAX_BYTES].hex()
