"""Times as formats write them: ISO 8601, to whole seconds since 1970 UTC and back."""

from __future__ import annotations

from datetime import UTC, datetime


def parse_time(text: str) -> int:
    """Whole seconds since 1970 UTC of an ISO 8601 time with a zone.

    Raises:
        ValueError: No such time, without a zone, before 1970 or not on a whole second.
    """
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        message = f"not a time of ISO 8601: {text[:40]!r}"
        raise ValueError(message) from None
    if instant.tzinfo is None:
        message = f"a time without a zone says nothing: {text[:40]!r}"
        raise ValueError(message)
    at_s = instant.timestamp()
    if at_s < 0 or at_s != int(at_s):
        message = f"before 1970 or not on a whole second: {text[:40]!r}"
        raise ValueError(message)
    return int(at_s)


def format_time(at_s: int) -> str:
    """ISO 8601 in UTC."""
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
