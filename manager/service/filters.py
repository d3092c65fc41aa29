"""What a request asks for, from fields to values; what no database takes is refused here."""

from __future__ import annotations

from typing import Any

from gridcord.wire.values import WireError, check_text, seconds_from_proto

MOST_TEXT = 256  # characters: longer than any id
MOST_REASON = 16_000


def text_filter(request: Any, name: str, *, most: int = MOST_TEXT) -> str:
    """A text to select by; empty for everything.

    Raises:
        WireError: More than `most` characters, or NUL in it.
    """
    text: str = getattr(request, name)
    check_text(text, most=most, field=name)
    return text


def reason_of(request: Any) -> str:
    """Why somebody decided; empty is for the one who decides to refuse.

    Raises:
        WireError: Too long, or NUL in it.
    """
    return text_filter(request, "reason", most=MOST_REASON)


def needed_text(request: Any, name: str) -> str:
    """A text that must be there.

    Raises:
        WireError: It is empty, too long for any id, or has NUL in it.
    """
    if not (text := text_filter(request, name)):
        message = f"{name}: it is needed"
        raise WireError(message)
    return text


def time_filter(request: Any, name: str) -> int | None:
    """A time in whole seconds since 1970 UTC; None where none is said.

    Raises:
        WireError: A fraction, or not between 2000 and 2200.
    """
    if not request.HasField(name):
        return None
    return seconds_from_proto(getattr(request, name), field=name)
