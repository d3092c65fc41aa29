"""Rows that the invariants are stated over: what a store holds and what cables wrote down.

Amounts are Wh and micros, instants seconds since 1970 UTC, a period is named by its start.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

Lineage = tuple[str, int]  # cable, journal epoch
SitePeriod = tuple[str, int]  # site, start of the period


@dataclass(frozen=True, slots=True)
class Violation:
    """Something that must not be.

    Args:
        invariant: Which, such as "I3".
        message: Where and how.
    """

    invariant: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEntry:
    """An entry in the store, accepted or quarantined under its own number.

    Args:
        cable_id: The cable the store says it is of.
        journal_epoch: Of the cable's journal.
        sequence: Its number.
        body: The bytes.
        fence: Of the session that brought it.
        certificate_id: The cable of that session's certificate.
    """

    cable_id: str
    journal_epoch: int
    sequence: int
    body: bytes
    fence: int = 0
    certificate_id: str = ""

    @property
    def lineage(self) -> Lineage:
        """The journal it is of."""
        return self.cable_id, self.journal_epoch


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCursor:
    """How far the store has a journal."""

    cable_id: str
    journal_epoch: int
    committed_sequence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LostEntries:
    """Numbers that a cable declared lost, both ends included."""

    cable_id: str
    journal_epoch: int
    first: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CableHistory:
    """What a cable did, written down by the cable.

    Args:
        cable_id: The cable.
        journal_epoch: Of its journal.
        produced: Bodies by number, once durable at the cable.
        acked: Every confirmation it got, in order.
        fences: The fence of every welcome, in order.
    """

    cable_id: str
    journal_epoch: int
    produced: Mapping[int, bytes] = field(default_factory=dict)
    acked: Sequence[int] = ()
    fences: Sequence[int] = ()

    @property
    def lineage(self) -> Lineage:
        """The journal."""
        return self.cable_id, self.journal_epoch


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterSpan:
    """The cumulative registers of one record, Wh.

    Args:
        cable_id: The cable.
        sequence: The record's number.
        start_wh: (towards the vehicle, towards the site) where it begins.
        end_wh: The same where it ends.
    """

    cable_id: str
    sequence: int
    start_wh: tuple[int, int]
    end_wh: tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerLine:
    """One side of a booking."""

    line_id: int
    transaction_id: str
    account: str
    currency: str
    amount_micros: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DischargeGrant:
    """A directive that lets a cable discharge, from its receipt to its expiry."""

    cable_id: str
    site_id: str
    granted_s: float
    expire_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteBlock:
    """A time in which nothing may leave a battery at a site; until_s is infinite while it lasts."""

    site_id: str
    since_s: float
    until_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DischargeSample:
    """A cable was seen to discharge."""

    cable_id: str
    at_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditLine:
    """A line of the audit log."""

    number: int
    body: bytes
    digest: bytes
