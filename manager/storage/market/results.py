"""Contracts and imbalance prices as rows, and the market's results as facts of the ledger."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gridcord.settlement.imbalance import Contract, MarketResult
from gridcord.units import Period, Price
from manager.domain.bidding.market_news import AreaContract, ImbalancePrice, MarketNews
from manager.storage.engine import Database, upsert
from manager.storage.followers import cursor_of, move_cursor
from manager.storage.market.demands import DEMAND, TRANSFER
from manager.storage.market.result_rows import ImbalancePriceRow, MarketContractRow, MarketDueRow

CONTRACT: sa.Table = MarketContractRow.__table__  # type: ignore[attr-defined]
PRICE: sa.Table = ImbalancePriceRow.__table__  # type: ignore[attr-defined]
DUE: sa.Table = MarketDueRow.__table__  # type: ignore[attr-defined]

CONTRACTS, PRICES = "market.contracts", "market.prices"
GRACE_S = 900  # after its end a period's records have come, or come late and revise the result


class SqlMarketFacts:
    """`manager.ports.MarketFacts` on a database.

    Args:
        database: It.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def cursor(self, stream: str) -> str:
        """How far a stream of the market was followed: CONTRACTS or PRICES."""
        return await self._database.read(lambda connection: cursor_of(connection, stream))

    async def take(self, news: MarketNews, stream: str, cursor: str) -> None:
        """Keep what was told and the cursor behind it; told again it changes nothing."""

        def work(connection: Connection) -> None:
            take_news(connection, news)
            move_cursor(connection, stream, cursor)

        await self._database.write(work)


def take_news(connection: Connection, news: MarketNews) -> None:
    """Keep what the market told; the area and period are to be settled."""
    match news:
        case AreaContract():
            values = _where_and_when(news) | _priced(news.contract.price)
            values |= {
                "contract_id": news.contract.contract_id,
                "energy_wh": news.contract.energy_wh,
            }
            upsert(connection, CONTRACT, [values])
        case ImbalancePrice():
            upsert(connection, PRICE, [_where_and_when(news) | _priced(news.price)])
    upsert(connection, DUE, [_where_and_when(news)])


def records_came(connection: Connection, period_starts: Collection[int]) -> None:
    """Have the periods of new records settled at the market, where there are contracts."""
    if not period_starts:
        return
    query = sa.select(CONTRACT.c.period_start, CONTRACT.c.area_id, CONTRACT.c.period_length)
    found = connection.execute(query.where(CONTRACT.c.period_start.in_(period_starts)).distinct())
    upsert(connection, DUE, [row._asdict() for row in found])


def results_wait(connection: Connection, *, now_s: int) -> bool:
    """Whether a period is to be settled at the market."""
    return connection.execute(_due(now_s).limit(1)).first() is not None


def take_due(
    connection: Connection, *, now_s: int, limit: int
) -> tuple[list[tuple[str, Period]], int]:
    """The areas and periods to settle now; they are due no more. With their number."""
    rows = connection.execute(_due(now_s).order_by(*DUE.primary_key).limit(limit)).all()
    for row in rows:
        connection.execute(
            DUE.delete().where(DUE.c.area_id == row.area_id, DUE.c.period_start == row.period_start)
        )
    return [(row.area_id, Period(row.period_start, row.period_length)) for row in rows], len(rows)


def _due(now_s: int) -> sa.Select[Any]:
    return sa.select(DUE).where(DUE.c.period_start + DUE.c.period_length + GRACE_S <= now_s)


def market_result(
    connection: Connection, area_id: str, period: Period, *, area_of_cables: str, until_entry: int
) -> MarketResult | None:
    """What a period came to at the market by all that is known; None without contracts.

    Delivered is what cables recorded with what telemetry says of resources on none, or what
    telemetry says of all where no cable counts.

    Args:
        connection: Of the transaction.
        area_id: The area.
        period: The period.
        area_of_cables: Whose demand the cables' records count for.
        until_entry: Number of the last journal entry that the ledger knows: no record counts here
            before it counts there.
    """
    contracts = _contracts(connection, area_id, period)
    if not contracts:
        return None
    here = area_id == area_of_cables
    recorded_wh = _recorded_wh(connection, period, until_entry) if here else None
    apart = DEMAND.c.telemetry_wh if recorded_wh is None else DEMAND.c.uncabled_wh
    return MarketResult(
        area=area_id,
        period=period,
        contracts=contracts,
        recorded_wh=recorded_wh,
        telemetry_wh=-_told(connection, apart, area_id, period),
        imbalance_price=_imbalance_price(connection, area_id, period),
    )


def _contracts(connection: Connection, area_id: str, period: Period) -> tuple[Contract, ...]:
    rows = connection.execute(
        sa.select(CONTRACT)
        .where(CONTRACT.c.area_id == area_id, CONTRACT.c.period_start == period.start_s)
        .order_by(CONTRACT.c.contract_id)
    )
    return tuple(
        Contract(
            contract_id=row.contract_id,
            energy_wh=row.energy_wh,
            price=Price(row.currency, row.micros_per_kwh),
        )
        for row in rows
    )


def _imbalance_price(connection: Connection, area_id: str, period: Period) -> Price | None:
    row = connection.execute(
        sa.select(PRICE).where(PRICE.c.area_id == area_id, PRICE.c.period_start == period.start_s)
    ).first()
    return None if row is None else Price(row.currency, row.micros_per_kwh)


def _recorded_wh(connection: Connection, period: Period, until_entry: int) -> int | None:
    """Given to the grid by all records of a period, Wh; None while there is none."""
    given = TRANSFER.c.vehicle_to_site_end_wh - TRANSFER.c.vehicle_to_site_start_wh
    taken = TRANSFER.c.site_to_vehicle_end_wh - TRANSFER.c.site_to_vehicle_start_wh
    known = (TRANSFER.c.period_start == period.start_s, TRANSFER.c.entry_number <= until_entry)
    total = connection.execute(sa.select(sa.func.sum(given - taken)).where(*known)).scalar()
    return None if total is None else int(total)


def _told(connection: Connection, column: Any, area_id: str, period: Period) -> int:
    query = sa.select(column).where(
        DEMAND.c.area_id == area_id, DEMAND.c.period_start == period.start_s
    )
    return int(connection.execute(query).scalar() or 0)


def _where_and_when(news: MarketNews) -> dict[str, Any]:
    return {
        "area_id": news.area_id,
        "period_start": news.period.start_s,
        "period_length": news.period.length_s,
    }


def _priced(price: Price) -> dict[str, Any]:
    return {"currency": price.currency, "micros_per_kwh": price.micros_per_kwh}
