"""Demand as rows, and the report of what came of it."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gridcord.units import Period, Price
from manager.domain.dispatch.demand import Demand, DemandReport, Progress
from manager.storage.engine import Database, upsert
from manager.storage.followers import cursor_of, move_cursor
from manager.storage.market.result_rows import ImbalancePriceRow
from manager.storage.rows import DemandRow, TransferRow

DEMAND: sa.Table = DemandRow.__table__  # type: ignore[attr-defined]
TRANSFER: sa.Table = TransferRow.__table__  # type: ignore[attr-defined]
PRICE: sa.Table = ImbalancePriceRow.__table__  # type: ignore[attr-defined]

FOLLOWER = "market.demand"
_NOT_ASKED = 0  # revision of a row that only notes what was done


class SqlDemands:
    """`manager.ports.Demands` on a database.

    Args:
        database: It.
        default_area: The area of cables; records name none.
        now: The manager's clock, seconds since 1970 UTC.
    """

    def __init__(self, database: Database, *, default_area: str, now: Any) -> None:
        self._database = database
        self._default_area = default_area
        self._now = now

    async def cursor(self) -> str:
        """How far the market's stream was followed."""
        return await self._database.read(lambda connection: cursor_of(connection, FOLLOWER))

    async def take(self, demand: Demand, cursor: str) -> None:
        """Keep a demand and the cursor behind it; an older revision changes nothing."""

        def work(connection: Connection) -> None:
            known = _row(connection, demand.area_id, demand.period.start_s)
            if known is None or known.revision <= demand.revision:
                done = _progress(known) if known else Progress()
                upsert(connection, DEMAND, [_values(demand) | _progress_values(done)])
            move_cursor(connection, FOLLOWER, cursor)

        await self._database.write(work)

    async def of_period(self, period: Period) -> list[Demand]:
        """What is asked in a period, one an area."""
        query = sa.select(DEMAND).where(
            DEMAND.c.period_start == period.start_s,
            DEMAND.c.revision > _NOT_ASKED,
        )

        def work(connection: Connection) -> list[Demand]:
            return [_demand(row) for row in connection.execute(query)]

        return await self._database.read(work)

    async def note(self, area_id: str, period: Period, progress: Progress) -> None:
        """Note what setpoints and telemetry said of a period until now."""

        def work(connection: Connection) -> None:
            if _row(connection, area_id, period.start_s) is None:
                idle = Demand(area_id=area_id, period=period, target_wh=0, revision=_NOT_ASKED)
                connection.execute(
                    DEMAND.insert().values(**_values(idle) | _progress_values(Progress()))
                )
            connection.execute(
                DEMAND.update()
                .where(DEMAND.c.area_id == area_id, DEMAND.c.period_start == period.start_s)
                .values(**_progress_values(progress))
            )

        await self._database.write(work)

    async def progress(self, area_id: str, period: Period) -> Progress:
        """What was noted of a period last; zeros when nothing was."""

        def work(connection: Connection) -> Progress:
            row = _row(connection, area_id, period.start_s)
            if row is None:
                return Progress()
            return _progress(row)

        return await self._database.read(work)

    async def reports(
        self, *, start_s: int | None, end_s: int | None, area_id: str, after: str, limit: int
    ) -> list[DemandReport]:
        """What was asked and what came of it, oldest first, behind a place in that order."""

        def work(connection: Connection) -> list[DemandReport]:
            query = sa.select(DEMAND).order_by(DEMAND.c.period_start, DEMAND.c.area_id)
            if start_s is not None:
                query = query.where(DEMAND.c.period_start >= start_s)
            if end_s is not None:
                query = query.where(DEMAND.c.period_start < end_s)
            if area_id:
                query = query.where(DEMAND.c.area_id == area_id)
            if after:
                period_start, _, area = after.partition("/")
                place = sa.tuple_(DEMAND.c.period_start, DEMAND.c.area_id)
                query = query.where(place > sa.tuple_(int(period_start), area))
            return [self._report(connection, row) for row in connection.execute(query.limit(limit))]

        return await self._database.read(work)

    def _report(self, connection: Connection, row: Any) -> DemandReport:
        demand, delivered_wh, recorded = _demand(row), row.telemetry_wh, True
        if row.area_id == self._default_area:
            recorded_wh = _recorded_wh(connection, row.period_start)
            recorded = recorded_wh is not None
            if recorded_wh is not None:
                delivered_wh = recorded_wh + row.uncabled_wh
        return DemandReport(
            demand=demand,
            allocated_wh=row.allocated_wh,
            delivered_wh=delivered_wh,
            closed=int(self._now()) >= demand.period.end_s and recorded,
            imbalance_price=_imbalance_price(connection, demand),
        )


def _recorded_wh(connection: Connection, period_start: int) -> int | None:
    """Net energy of all records of a period; None while there is none."""
    taken = TRANSFER.c.site_to_vehicle_end_wh - TRANSFER.c.site_to_vehicle_start_wh
    given = TRANSFER.c.vehicle_to_site_end_wh - TRANSFER.c.vehicle_to_site_start_wh
    query = sa.select(sa.func.sum(taken - given)).where(TRANSFER.c.period_start == period_start)
    total = connection.execute(query).scalar()
    return None if total is None else int(total)


def _imbalance_price(connection: Connection, demand: Demand) -> Price | None:
    query = sa.select(PRICE.c.currency, PRICE.c.micros_per_kwh).where(
        PRICE.c.area_id == demand.area_id, PRICE.c.period_start == demand.period.start_s
    )
    row = connection.execute(query).first()
    return None if row is None else Price(row.currency, row.micros_per_kwh)


def _progress(row: Any) -> Progress:
    return Progress(
        allocated_wh=row.allocated_wh,
        telemetry_wh=row.telemetry_wh,
        uncabled_wh=row.uncabled_wh,
    )


def _progress_values(progress: Progress) -> dict[str, Any]:
    return asdict(progress)


def _row(connection: Connection, area_id: str, period_start: int) -> Any:
    return connection.execute(
        sa.select(DEMAND).where(DEMAND.c.area_id == area_id, DEMAND.c.period_start == period_start)
    ).first()


def _values(demand: Demand) -> dict[str, Any]:
    return {
        "area_id": demand.area_id,
        "period_start": demand.period.start_s,
        "period_length": demand.period.length_s,
        "target_wh": demand.target_wh,
        "contracted_wh": demand.contracted_wh,
        "revision": demand.revision,
        "sources": json.dumps(demand.sources),
        "import_limit_w": demand.import_limit_w,
        "export_limit_w": demand.export_limit_w,
        "activation": demand.activation,
    }


def _demand(row: Any) -> Demand:
    return Demand(
        area_id=row.area_id,
        period=Period(row.period_start, row.period_length),
        target_wh=row.target_wh,
        contracted_wh=row.contracted_wh,
        revision=row.revision,
        sources=tuple(json.loads(row.sources)),
        import_limit_w=row.import_limit_w,
        export_limit_w=row.export_limit_w,
        activation=row.activation,
    )
