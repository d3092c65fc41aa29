"""What the manager's tables say in numbers, for whoever watches it."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gridcord.units import Period
from manager.storage.engine import Database
from manager.storage.followers import cursor_of
from manager.storage.ledger.entries import ENTRIES
from manager.storage.ledger.settlement import PROJECTED, TRANSFER, VERDICTS
from manager.storage.log.journals import ENTRY
from manager.storage.market.demands import DEMAND
from manager.storage.sites.blocks import blocks_in_force
from manager.storage.sites.readings import READING

MOST_COUNTED = 10_000  # readings; a backlog above is told as this


@dataclass(frozen=True, slots=True, kw_only=True)
class AreaDemand:
    """What is asked in one area in the running period.

    Args:
        area_id: The market area.
        contracted_wh: By contracts; + into vehicles, - to the grid.
        requested_wh: By everything together.
    """

    area_id: str
    contracted_wh: int
    requested_wh: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFigures:
    """What the tables say now.

    Args:
        blocked_sites: Sites with a block in force.
        unprojected_entries: Entries of which nothing was derived yet.
        unsettled_facts: Entries, readings and verdicts that the ledger does not know yet.
        demand: Of the running period, by area.
    """

    blocked_sites: int
    unprojected_entries: int
    unsettled_facts: int
    demand: tuple[AreaDemand, ...]


class SqlFigures:
    """Reads them.

    Args:
        database: Where from.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self, period: Period) -> StoredFigures:
        """What the tables say, with the demand of a period.

        Raises:
            StoreUnavailable: No answer.
        """
        return await self._database.read(lambda connection: figures(connection, period))


def figures(connection: Connection, period: Period) -> StoredFigures:
    """`SqlFigures.read` within a transaction."""
    projected = _cursor(connection, PROJECTED)
    return StoredFigures(
        blocked_sites=len({block.site_id for block in blocks_in_force(connection)}),
        unprojected_entries=max(0, _last(connection, ENTRY.c.entry_number) - projected),
        unsettled_facts=max(0, projected - _cursor(connection, ENTRIES))
        + max(0, _last(connection, TRANSFER.c.update_number) - _cursor(connection, VERDICTS))
        + _unsettled_readings(connection),
        demand=_demand(connection, period),
    )


def _cursor(connection: Connection, follower: str) -> int:
    return int(cursor_of(connection, follower) or 0)


def _last(connection: Connection, column: sa.Column[int]) -> int:
    return int(connection.execute(sa.select(sa.func.max(column))).scalar() or 0)


def _unsettled_readings(connection: Connection) -> int:
    found = sa.select(READING.c.site_id).where(READING.c.settled.is_(sa.false()))
    counted = sa.select(sa.func.count()).select_from(found.limit(MOST_COUNTED).subquery())
    return int(connection.execute(counted).scalar_one())


def _demand(connection: Connection, period: Period) -> tuple[AreaDemand, ...]:
    query = sa.select(DEMAND).where(DEMAND.c.period_start == period.start_s)
    return tuple(
        AreaDemand(area_id=row.area_id, contracted_wh=row.contracted_wh, requested_wh=row.target_wh)
        for row in connection.execute(query)
    )
