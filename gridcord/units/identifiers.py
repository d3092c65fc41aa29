"""Identifiers: who and where. Parsed once at the edge, plain strings after."""

from __future__ import annotations

import re
from typing import NewType

CableId = NewType("CableId", str)
ResourceId = NewType("ResourceId", str)
VehicleId = NewType("VehicleId", str)
DriverId = NewType("DriverId", str)
OperatorId = NewType("OperatorId", str)
SiteId = NewType("SiteId", str)

_DEVICE = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")
_EPOCH = re.compile(r"0|[1-9a-f][0-9a-f]{0,15}")
_SITE = re.compile(r"[a-z0-9.]{1,24}:[A-Za-z0-9._-]{1,64}")


class IdentifierError(ValueError):
    """A text is no identifier of its kind."""


def parse_device_id(text: str) -> str:
    """Check the id of a cable, resource, vehicle, driver or operator.

    Lower-case letters, digits and inner hyphens, 1 to 64 characters: what fits the last segment
    of a SPIFFE id without escaping.

    Raises:
        IdentifierError: It is not one.
    """
    if not _DEVICE.fullmatch(text):
        message = f"not an id of lower-case letters, digits and hyphens: {text[:80]!r}"
        raise IdentifierError(message)
    return text


def parse_site_id(text: str) -> SiteId:
    """Check the identity of a metering point: `scheme:value`.

    Schemes in use: `jp.routeb:<C0>`, `jp.0288:<8A>-<8D>`, `obis:<96.1.1>`, `echonet:<83>`.

    Raises:
        IdentifierError: It is not one.
    """
    if not _SITE.fullmatch(text):
        message = f"not a site id such as 'obis:4530303033': {text[:80]!r}"
        raise IdentifierError(message)
    return SiteId(text)


def epoch_text(journal_epoch: int) -> str:
    """A journal's epoch as text, hexadecimal: in JSON a number above 2^53 loses digits."""
    return f"{journal_epoch:x}"


def parse_epoch(text: str) -> int:
    """Read what `epoch_text` wrote.

    Raises:
        IdentifierError: It did not write this.
    """
    if not _EPOCH.fullmatch(text):
        message = f"not a journal's epoch in hexadecimal: {text[:80]!r}"
        raise IdentifierError(message)
    return int(text, 16)
