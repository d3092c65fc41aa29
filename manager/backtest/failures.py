"""Why a replay cannot begin."""

from __future__ import annotations


class InputError(ValueError):
    """A file or an option cannot be used; the message says what to do about it."""
