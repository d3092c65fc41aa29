"""The audit log's hash chain: whoever changes, drops or reorders an entry breaks it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass

GENESIS = "0" * 64


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One thing that somebody did or was refused.

    Args:
        number: Gap-free, from 1.
        at_s: When, seconds since 1970 UTC.
        actor: Who: a SPIFFE path such as "operator/admin.alice", or "manager".
        action: What, a stable upper-case code; OCPP 2.0.1 security event names where they fit.
        subject: On what.
        detail: Why, or with which values; JSON text.
        chain_hash: SHA-256, hexadecimal; of this entry and all before it.
    """

    number: int
    at_s: int
    actor: str
    action: str
    subject: str
    detail: str
    chain_hash: str


def chain_hash(
    *, before: str, number: int, at_s: int, actor: str, action: str, subject: str, detail: str
) -> str:
    """The hash of an entry that follows the one whose hash is `before`."""
    content = json.dumps([before, number, at_s, actor, action, subject, detail])
    return hashlib.sha256(content.encode()).hexdigest()


def first_break(entries: Iterable[AuditEntry]) -> str | None:
    """Say what is wrong with the first entry that does not follow; None when all do.

    Args:
        entries: From number 1, in order.
    """
    before, expected = GENESIS, 1
    for entry in entries:
        if entry.number != expected:
            return f"entry {expected} is missing: {entry.number} comes instead"
        right = chain_hash(
            before=before,
            number=entry.number,
            at_s=entry.at_s,
            actor=entry.actor,
            action=entry.action,
            subject=entry.subject,
            detail=entry.detail,
        )
        if entry.chain_hash != right:
            return f"entry {entry.number} was changed, or one before it"
        before, expected = entry.chain_hash, expected + 1
    return None
