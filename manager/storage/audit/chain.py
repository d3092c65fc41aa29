"""The audit log: appended to, chained, read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gridcord.evidence.audit_chain import GENESIS, AuditEntry, chain_hash
from manager.storage.engine import take_numbers
from manager.storage.rows import AuditRow

AUDIT: sa.Table = AuditRow.__table__  # type: ignore[attr-defined]


def append(
    connection: Connection, *, actor: str, action: str, subject: str, now_s: int, **detail: Any
) -> None:
    """Note what somebody did or was refused, chained to all that was noted before.

    What a stranger claimed stands in `subject`: NUL in it, which PostgreSQL cannot store, is
    replaced, so that nobody's claim keeps itself out of the log.
    """
    number = take_numbers(connection, "audit", 1)
    query = sa.select(AUDIT.c.chain_hash).where(AUDIT.c.audit_number == number - 1)
    before = connection.execute(query).scalar() or GENESIS
    values = {
        "actor": actor,
        "action": action,
        "subject": subject.replace("\x00", "\N{REPLACEMENT CHARACTER}")[:128],
        "detail": json.dumps(detail, sort_keys=True),
    }
    link = chain_hash(before=before, number=number, at_s=now_s, **values)
    connection.execute(
        AUDIT.insert().values(audit_number=number, create_s=now_s, chain_hash=link, **values)
    )


def list_entries(connection: Connection, *, after: int, limit: int) -> Sequence[AuditEntry]:
    """Entries after a number, in order."""
    query = sa.select(AUDIT).where(AUDIT.c.audit_number > after).order_by(AUDIT.c.audit_number)
    return [
        AuditEntry(
            number=row.audit_number,
            at_s=row.create_s,
            actor=row.actor,
            action=row.action,
            subject=row.subject,
            detail=row.detail,
            chain_hash=row.chain_hash,
        )
        for row in connection.execute(query.limit(limit))
    ]
