"""Noted stays as rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from manager.domain.bidding.noted_stay import DAY_S, NotedStay, continued
from manager.storage.engine import Database, upsert
from manager.storage.market.bid_rows import NotedStayRow

STAY: sa.Table = NotedStayRow.__table__  # type: ignore[attr-defined]

KEPT_DAYS = 60
"""Whoever was not seen for longer is forgotten: forecasts look at six weeks."""


class SqlStays:
    """`manager.ports.Stays` on a database.

    Args:
        database: It.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def note(self, seen: Sequence[NotedStay], *, now_s: int, gap_s: int) -> None:
        """Note who is on an outlet now: stays go on or begin."""

        def work(connection: Connection) -> None:
            last = _last(connection, now_s - DAY_S)
            rows = [continued(last.get(each.resource_id), each, gap_s=gap_s) for each in seen]
            upsert(connection, STAY, [asdict(row) for row in rows])
            connection.execute(STAY.delete().where(STAY.c.seen_s < now_s - KEPT_DAYS * DAY_S))

        await self._database.write(work)

    async def since(self, area_id: str, start_s: int) -> list[NotedStay]:
        """Stays in an area that were seen since a time, by their begin."""
        query = (
            sa.select(STAY)
            .where(STAY.c.seen_s >= start_s, STAY.c.area_id == area_id)
            .order_by(STAY.c.start_s, STAY.c.resource_id)
        )
        return await self._database.read(lambda connection: _found(connection, query))


def _last(connection: Connection, since_s: int) -> dict[str, NotedStay]:
    """The last stay of each resource that was seen since a time."""
    query = sa.select(STAY).where(STAY.c.seen_s >= since_s).order_by(STAY.c.start_s)
    return {each.resource_id: each for each in _found(connection, query)}


def _found(connection: Connection, query: sa.Select[tuple[object, ...]]) -> list[NotedStay]:
    rows: Iterable[sa.Row[tuple[object, ...]]] = connection.execute(query)
    return [NotedStay(**row._asdict()) for row in rows]
