"""What cables were counted on for, as rows: each said once, when a period begins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gridcord.settlement.departure import Expectation
from gridcord.units import Period
from manager.storage.engine import Database
from manager.storage.market.result_rows import ExpectationRow

EXPECTATION: sa.Table = ExpectationRow.__table__  # type: ignore[attr-defined]


class SqlExpectations:
    """`manager.ports.Expectations` on a database.

    Args:
        database: It.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def keep(self, expectations: Sequence[Expectation]) -> None:
        """Keep what was not said before of a cable and period; what was said first stays."""
        await self._database.write(lambda connection: keep(connection, expectations))


def keep(connection: Connection, expectations: Sequence[Expectation]) -> None:
    """`SqlExpectations.keep` within a transaction."""
    rows = [
        {
            "period_start": each.period.start_s,
            "cable_id": each.cable_id,
            "period_length": each.period.length_s,
            "area_id": each.area,
            "power_w": each.power_w,
            "until_s": each.until_s,
        }
        for each in expectations
    ]
    if not rows:
        return
    insert: Any
    if connection.dialect.name == "sqlite":
        from sqlalchemy.dialects.sqlite import insert
    else:
        from sqlalchemy.dialects.postgresql import insert
    connection.execute(insert(EXPECTATION).on_conflict_do_nothing(), rows)


def expectations_of(connection: Connection, *conditions: Any) -> list[Expectation]:
    """Those that fulfil conditions, by period and cable."""
    query = sa.select(EXPECTATION).where(*conditions).order_by(*EXPECTATION.primary_key)
    return [
        Expectation(
            cable_id=row.cable_id,
            area=row.area_id,
            period=Period(row.period_start, row.period_length),
            power_w=row.power_w,
            until_s=row.until_s,
        )
        for row in connection.execute(query)
    ]
