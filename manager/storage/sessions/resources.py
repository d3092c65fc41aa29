"""Resources as rows: the fence of each, and what it said of itself."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gridcord.session.opening import next_fence
from gridcord.wire.resource import ResourceIntroduction
from manager.storage.engine import Database, upsert
from manager.storage.rows import ResourceRow

RESOURCE: sa.Table = ResourceRow.__table__  # type: ignore[attr-defined]


class SqlResources:
    """`manager.ports.Resources` on a database.

    Args:
        database: It.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def open(self, introduction: ResourceIntroduction, *, now_s: int) -> int:
        """Note a session; returns its fence, above all before."""

        def work(connection: Connection) -> int:
            query = sa.select(RESOURCE.c.fence).where(
                RESOURCE.c.resource_id == introduction.resource_id
            )
            stored = connection.execute(query.with_for_update()).scalar() or 0
            fence = next_fence(stored=stored, last_seen=introduction.last_fence)
            values = {
                "resource_id": introduction.resource_id,
                "kind": introduction.kind.value,
                "cable_id": introduction.cable_id,
                "site_id": introduction.site_id,
                "area_id": introduction.area_id,
                "capacity_wh": introduction.capacity_wh,
                "fence": fence,
                "start_s": now_s,
            }
            upsert(connection, RESOURCE, [values])
            return fence

        return await self._database.write(work)
