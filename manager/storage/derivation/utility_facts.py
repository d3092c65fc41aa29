"""What the utility streams, kept with the cursor of its stream in one transaction."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.engine import Connection

from gridcord.metering.reading import SiteReading
from gridcord.metering.records import AssetLoading
from manager.storage.derivation.projection import store_loading
from manager.storage.engine import Database
from manager.storage.followers import cursor_of, move_cursor
from manager.storage.sites.readings import insert_readings

READINGS = "utility.readings"
LOADINGS = "utility.loadings"


class SqlUtilityFacts:
    """`manager.usecases.follow_utility.UtilityFacts` on a database.

    Args:
        database: It.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def cursor(self, stream: str) -> str:
        """How far a stream was followed."""
        return await self._database.read(lambda connection: cursor_of(connection, stream))

    async def take_reading(self, reading: SiteReading, cursor: str, *, now_s: int) -> None:
        """Keep a reading; a site that was judged without it is judged anew."""

        def work(connection: Connection) -> None:
            insert_readings(connection, [reading], receive_s=now_s)
            move_cursor(connection, READINGS, cursor)

        await self._database.write(work)

    async def take_loading(
        self, loading: AssetLoading, site_ids: Sequence[str], cursor: str
    ) -> None:
        """Keep the loading of equipment."""

        def work(connection: Connection) -> None:
            store_loading(connection, loading, site_ids)
            move_cursor(connection, LOADINGS, cursor)

        await self._database.write(work)
