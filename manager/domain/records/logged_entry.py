"""Entries of the log on their way to what is derived from them."""

from __future__ import annotations

from dataclasses import dataclass

from gridcord.metering.records import JournalEntry
from gridcord.session.entry import EntryKey
from manager.domain.records.entry_check import Doubt


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedEntry:
    """An entry of the log, with what is needed to believe it.

    Args:
        number: Its place in the log.
        key: Its name for ever.
        kind: TRANSFER, OBSERVATION, EVENT, PROOF, UNKNOWN.
        body: As it was signed.
        signature: As it came.
        signing_key: The cable's enrolled key, DER.
        rated_power_w: Of the session that brought it, W; 0 when not known.
        receive_s: When it was stored, seconds since 1970 UTC.
    """

    number: int
    key: EntryKey
    kind: str
    body: bytes
    signature: bytes
    signing_key: bytes
    rated_power_w: int
    receive_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadEntry:
    """An entry that was looked at.

    Args:
        entry: It.
        content: What it says; None when it is not believed, or not understood.
        doubt: Why it is not believed; None when it is, or is merely not understood.
    """

    entry: LoggedEntry
    content: JournalEntry | None
    doubt: Doubt | None = None
