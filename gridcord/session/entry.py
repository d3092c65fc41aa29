"""What a journal entry is to the session: a key and a digest; its content is never looked at."""

from __future__ import annotations

import hashlib
from typing import NamedTuple


class EntryKey(NamedTuple):
    """Names an entry for ever.

    Never (cable, period): several records of one period are legal (a replug, a clock step).
    """

    cable_id: str
    journal_epoch: int
    sequence: int


def digest_of(body: bytes) -> bytes:
    """SHA-256 of an entry's body, 32 bytes: same key and other digest is an equivocation."""
    return hashlib.sha256(body).digest()
