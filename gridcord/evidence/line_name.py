"""What a person calls a line of a bundle, even one that cannot be read any more."""

from __future__ import annotations

import json
from typing import Any

_LONGEST = 80
_NAMES = (
    ("cable_id", "journal_epoch", "sequence"),
    ("record", "consent_id"),
    ("record",),
    ("subject", "serial"),
    ("consent_id",),
    ("tariff_id", "version"),
    ("site_id", "period"),
    ("cable_id", "period"),
    ("area", "period"),
    ("account", "month"),
    ("account", "currency"),
    ("site_id", "cable_id", "start_s"),
    ("site_id", "at_s"),
    ("site_id",),
    ("cable_id",),
)
_INNER = ("verdict", "reading", "result", "share", "payout", "terms")


def line_name(text: str) -> str:
    """A name from the fields of a line; its beginning where they cannot be read."""
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        return text[:_LONGEST]
    if not isinstance(fields, dict):
        return text[:_LONGEST]
    inner: dict[str, Any] = next(
        (fields[name] for name in _INNER if isinstance(fields.get(name), dict)), {}
    )
    for names in _NAMES:
        for level in (fields, inner):
            if all(name in level for name in names):
                return "/".join(word for name in names if (word := _word(level[name])))
    return text[:_LONGEST]


def _word(value: Any) -> str:
    if isinstance(value, dict):
        return ":".join(str(each) for each in value.values())
    return str(value)
