"""Sessions of cables: opened, ended, and the port that the use cases see."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gridcord.session.manager import Folded
from gridcord.session.opening import CableCursor, TakeoverPolicy, open_session
from manager.domain.records.cable_session import CableIntroduction
from manager.ports import OpenedSession, ReceivedEntry
from manager.storage.audit import chain
from manager.storage.engine import Database
from manager.storage.log.journals import commit_entries, load_cursors, signing_keys, store_cursor
from manager.storage.rows import CableSessionRow
from manager.storage.sessions.arrivals import arrive

SESSION: sa.Table = CableSessionRow.__table__  # type: ignore[attr-defined]

SUPERSEDED = "SUPERSEDED"


class SqlJournals:
    """`manager.ports.Journals` on a database.

    Args:
        database: It.
        takeovers: Which take-overs look like two devices with one key.
    """

    def __init__(self, database: Database, takeovers: TakeoverPolicy | None = None) -> None:
        self._database = database
        self._takeovers = takeovers or TakeoverPolicy()

    async def open(
        self, introduction: CableIntroduction, *, previous_alive: bool, now_s: int
    ) -> OpenedSession:
        """Open a session: fence off the ones before, note findings in the audit log."""

        def work(connection: Connection) -> OpenedSession:
            cable_id = introduction.cable_id
            cursor = load_cursors(connection, [cable_id]).get(cable_id, CableCursor())
            opening = open_session(
                cursor=cursor,
                hello=introduction.journal,
                previous_alive=previous_alive,
                now_s=now_s,
                policy=self._takeovers,
            )
            findings = [finding.value for finding in opening.findings]
            key = signing_keys(connection, [cable_id]).get(cable_id)
            if key is not None and key != introduction.signing_key:
                findings.append("SIGNING_KEY_CHANGED")
            for finding in findings:
                chain.append(
                    connection,
                    actor=f"cable/{cable_id}",
                    action=finding,
                    subject=f"cable/{cable_id}",
                    now_s=now_s,
                    fence=opening.fence,
                    journal_epoch=f"{introduction.journal.journal_epoch:x}",
                )
            store_cursor(
                connection,
                cable_id,
                opening.cursor,
                signing_key=introduction.signing_key,
                now_s=now_s,
            )
            _end(connection, cable_id, opening.fence, SUPERSEDED, now_s, before=True)
            connection.execute(SESSION.insert().values(_row(introduction, opening.fence, now_s)))
            if introduction.site_id:
                arrive(connection, introduction, now_s=now_s)
            return OpenedSession(opening=opening, cursor=opening.cursor)

        return await self._database.write(work)

    async def close(self, cable_id: str, fence: int, *, reason: str, now_s: int) -> None:
        """Note that a session ended; nothing happens when it did before."""
        await self._database.write(
            lambda connection: _end(connection, cable_id, fence, reason, now_s, before=False)
        )

    async def commit(self, entries: Sequence[ReceivedEntry], *, now_s: int) -> Folded:
        """Decide on a batch and make it durable; acknowledge after this returned."""
        return await self._database.write(
            lambda connection: commit_entries(connection, entries, now_s=now_s)
        )


def _row(introduction: CableIntroduction, fence: int, now_s: int) -> dict[str, Any]:
    position = introduction.position
    return {
        "cable_id": introduction.cable_id,
        "fence": fence,
        "site_id": introduction.site_id,
        "hems_id": introduction.hems_id,
        "driver_id": introduction.driver_id,
        "vehicle_id": introduction.vehicle_id,
        "rated_power_w": introduction.rated_power_w,
        "latitude_deg": position and position.latitude_deg,
        "longitude_deg": position and position.longitude_deg,
        "accuracy_m": position and position.accuracy_m,
        "fix_s": position and position.fix_time_s,
        "start_s": now_s,
    }


def _end(
    connection: Connection, cable_id: str, fence: int, reason: str, now_s: int, *, before: bool
) -> None:
    which = SESSION.c.fence < fence if before else SESSION.c.fence == fence
    connection.execute(
        SESSION.update()
        .where(SESSION.c.cable_id == cable_id, which, SESSION.c.end_s.is_(None))
        .values(end_s=now_s, end_reason=reason)
    )
