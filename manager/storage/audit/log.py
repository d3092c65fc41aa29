"""The audit log as the services see it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy.engine import Connection

from gridcord.evidence.audit_chain import AuditEntry
from manager.storage.audit import chain
from manager.storage.engine import Database


class SqlAuditLog:
    """Notes what was done or refused; reads it back.

    Args:
        database: Where.
        now: The manager's clock, seconds since 1970 UTC.
    """

    def __init__(self, database: Database, *, now: Callable[[], float]) -> None:
        self._database = database
        self._now = now

    async def note(self, *, actor: str, action: str, subject: str, **detail: Any) -> None:
        """Note one thing."""
        await self._database.write(
            lambda connection: chain.append(
                connection,
                actor=actor,
                action=action,
                subject=subject,
                now_s=int(self._now()),
                **detail,
            )
        )

    async def identity_refused(self, actor: str, reason: str, claimed: str) -> None:
        """Note that somebody named another identity than the certificate's."""
        await self.note(actor=actor, action=reason, subject=claimed or "-")

    async def refused(self, refusals: Sequence[tuple[str, str, str, int]]) -> None:
        """Note who was refused what and how often: (actor, reason, method, times) each."""

        def work(connection: Connection) -> None:
            for actor, reason, method, times in refusals:
                chain.append(
                    connection,
                    actor=actor,
                    action=reason,
                    subject=method,
                    now_s=int(self._now()),
                    times=times,
                )

        await self._database.write(work)

    async def entries(self, *, after: int, limit: int) -> Sequence[AuditEntry]:
        """Entries after a number, in order."""
        return await self._database.read(
            lambda connection: chain.list_entries(connection, after=after, limit=limit)
        )
