"""Bids as rows, and the prices they are made by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gridcord.units import Period, Price
from manager.domain.bidding.bid import Bid
from manager.storage.engine import Database, upsert
from manager.storage.followers import cursor_of, move_cursor
from manager.storage.market.bid_rows import BidRoundRow, BidRow, DayAheadPriceRow
from manager.storage.market.demands import DEMAND

ROUND: sa.Table = BidRoundRow.__table__  # type: ignore[attr-defined]
BID: sa.Table = BidRow.__table__  # type: ignore[attr-defined]
PRICE: sa.Table = DayAheadPriceRow.__table__  # type: ignore[attr-defined]

FOLLOWER = "market.day_ahead"
DECIDED, SENT, REFUSED = "DECIDED", "SENT", "REFUSED"


class SqlBids:
    """`manager.ports.Bids` on a database.

    Args:
        database: It.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def decided(self, market_id: str, area_id: str, gate_first: Period) -> bool:
        """Whether it was decided what to bid for the periods of a gate."""
        return await self._database.read(
            lambda connection: _is_decided(connection, market_id, area_id, gate_first)
        )

    async def decide(
        self, market_id: str, area_id: str, gate_first: Period, bids: Sequence[Bid], *, now_s: int
    ) -> None:
        """Store what to bid; what was decided before stands."""

        def work(connection: Connection) -> None:
            if _is_decided(connection, market_id, area_id, gate_first):
                return
            connection.execute(
                ROUND.insert().values(
                    market_id=market_id,
                    area_id=area_id,
                    gate_first=gate_first.start_s,
                    create_s=now_s,
                )
            )
            # An id may be known from a gate whose periods overlap: that bid stands.
            known = set(
                connection.execute(
                    sa.select(BID.c.bid_id).where(BID.c.bid_id.in_([b.bid_id for b in bids]))
                ).scalars()
            )
            new = [_values(bid) for bid in bids if bid.bid_id not in known]
            if new:
                connection.execute(BID.insert(), new)

        await self._database.write(work)

    async def unsent(self, market_id: str) -> list[Bid]:
        """Bids that the market is not known to have, by period."""
        query = (
            sa.select(BID)
            .where(BID.c.market_id == market_id, BID.c.state == DECIDED)
            .order_by(BID.c.period_start, BID.c.bid_id)
        )
        return await self._database.read(
            lambda connection: [_bid(row) for row in connection.execute(query)]
        )

    async def sent(self, bids: Sequence[Bid], refused: Mapping[str, str]) -> None:
        """Note what the market answered."""

        def work(connection: Connection) -> None:
            for bid in bids:
                reason = refused.get(bid.bid_id, "")
                connection.execute(
                    BID.update()
                    .where(BID.c.bid_id == bid.bid_id)
                    .values(state=REFUSED if reason else SENT, reason=reason)
                )

        await self._database.write(work)

    async def contracted_wh(self, area_id: str, start_s: int) -> Mapping[int, int]:
        """What stands in contracts from a time on, by start of period, Wh, + charging."""
        query = sa.select(DEMAND.c.period_start, DEMAND.c.contracted_wh).where(
            DEMAND.c.area_id == area_id, DEMAND.c.period_start >= start_s, DEMAND.c.sources != "[]"
        )
        return await self._database.read(
            lambda connection: {row[0]: row[1] for row in connection.execute(query)}
        )

    async def price_cursor(self) -> str:
        """How far day-ahead prices were followed."""
        return await self._database.read(lambda connection: cursor_of(connection, FOLLOWER))

    async def take_price(self, area_id: str, period: Period, price: Price, cursor: str) -> None:
        """Keep a day-ahead price and the cursor behind it."""

        def work(connection: Connection) -> None:
            values = {
                "area_id": area_id,
                "period_start": period.start_s,
                "currency": price.currency,
                "micros_per_kwh": price.micros_per_kwh,
            }
            upsert(connection, PRICE, [values])
            move_cursor(connection, FOLLOWER, cursor)

        await self._database.write(work)

    async def prices(self, area_id: str, start_s: int) -> Mapping[int, int]:
        """Day-ahead prices from a time on, micros per kWh, by start of period."""
        query = sa.select(PRICE.c.period_start, PRICE.c.micros_per_kwh).where(
            PRICE.c.area_id == area_id, PRICE.c.period_start >= start_s
        )
        return await self._database.read(
            lambda connection: {row[0]: row[1] for row in connection.execute(query)}
        )


def _is_decided(connection: Connection, market_id: str, area_id: str, gate_first: Period) -> bool:
    query = sa.select(ROUND.c.create_s).where(
        ROUND.c.market_id == market_id,
        ROUND.c.area_id == area_id,
        ROUND.c.gate_first == gate_first.start_s,
    )
    return connection.execute(query).first() is not None


def _values(bid: Bid) -> dict[str, Any]:
    price = bid.limit_price
    return {
        "bid_id": bid.bid_id,
        "market_id": bid.market_id,
        "area_id": bid.area_id,
        "period_start": bid.period.start_s,
        "period_length": bid.period.length_s,
        "buys": bid.buys,
        "energy_wh": bid.energy_wh,
        "currency": "" if price is None else price.currency,
        "micros_per_kwh": 0 if price is None else price.micros_per_kwh,
        "state": DECIDED,
        "reason": "",
    }


def _bid(row: Any) -> Bid:
    return Bid(
        bid_id=row.bid_id,
        market_id=row.market_id,
        area_id=row.area_id,
        period=Period(row.period_start, row.period_length),
        buys=row.buys,
        energy_wh=row.energy_wh,
        limit_price=Price(row.currency, row.micros_per_kwh) if row.currency else None,
    )
