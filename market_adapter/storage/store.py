"""The store: every method is one transaction, durable when it returns."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    Select,
    Table,
    and_,
    delete,
    func,
    insert,
    select,
    update,
)

from gridcord.units import Period
from market_adapter.domain.bids import Bid, BidRefused, RefusalReason
from market_adapter.domain.contracts import AreaPrice, Contract
from market_adapter.domain.demand import Demand, DemandSignal, fold_demand
from market_adapter.domain.lifecycle import (
    BidEvent,
    BidState,
    BidStatus,
    Contracted,
    Submitting,
    advance,
)
from market_adapter.storage import rows
from market_adapter.storage.engine import lock_file, make_tables, open_engine
from market_adapter.storage.tables import BIDS, CONTRACTS, DEMANDS, METADATA, PRICES, SIGNALS

_OPEN = [
    state.value
    for state in (
        BidState.DRAFT,
        BidState.SUBMITTING,
        BidState.SUBMITTED,
        BidState.PARTIALLY_CONTRACTED,
    )
]

T = TypeVar("T")
Product = tuple[str, Period]


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Values in the order of their sequence.

    Args:
        values: The values.
        cursor: Sequence of the last one, or the cursor that was asked with.
    """

    values: tuple[T, ...]
    cursor: int


class MarketStore:
    """Bids, contracts, prices, signals and demand in one file.

    Args:
        path: The SQLite file.

    Raises:
        StoreInUse: Another process has it.
        StoreOfOtherVersion: Its tables are not those of this version.
    """

    def __init__(self, path: Path) -> None:
        self._lock = lock_file(path.with_name(f"{path.name}.lock"))
        self._engine = open_engine(path)
        make_tables(self._engine, METADATA, path)

    def close(self) -> None:
        """Let go of the file."""
        self._engine.dispose()
        os.close(self._lock)

    def add_bids(self, bids: Sequence[Bid], *, now_s: int) -> dict[UUID, BidStatus | BidRefused]:
        """Keep bids, from now on to be submitted. A bid that is known already stays as it is.

        Args:
            bids: Checked against their profiles.
            now_s: Seconds since 1970 UTC.

        Returns:
            Where each stands, or that its id belongs to another bid.
        """
        with self._engine.begin() as db:
            return {bid.bid_id: _add_bid(db, bid, now_s) for bid in bids}

    def advance(self, events: Iterable[tuple[UUID, BidEvent]]) -> dict[UUID, BidStatus]:
        """Let bids meet events, keep new contracts and fold the demand they change.

        Raises:
            KeyError: There is no such bid.
            IllegalTransition: An event cannot happen; nothing is kept.
        """
        with self._engine.begin() as db:
            touched: set[Product] = set()
            statuses: dict[UUID, BidStatus] = {}
            for bid_id, event in events:
                before = statuses[bid_id] if bid_id in statuses else _status(db, bid_id)
                statuses[bid_id] = _advance(db, before, event, touched)
            _fold(db, touched)
            return statuses

    def statuses(self, bid_ids: Iterable[UUID]) -> dict[UUID, BidStatus]:
        """Where bids stand; those that are not known are left out."""
        with self._engine.begin() as db:
            found = _statuses(db, BIDS.c.bid_id.in_([str(bid_id) for bid_id in bid_ids]))
        return {status.bid.bid_id: status for status in found}

    def unsent(self, market_id: str) -> list[BidStatus]:
        """Bids of which it is not known whether the venue has them, oldest first."""
        return self._of_market(market_id, BIDS.c.state == BidState.SUBMITTING.value)

    def unwithdrawn(self, market_id: str) -> list[BidStatus]:
        """Open bids that are to be taken back, oldest first."""
        return self._of_market(market_id, BIDS.c.withdrawal_wanted)

    def standing(self, market_id: str) -> list[BidStatus]:
        """Bids that the venue has and that may still be contracted, oldest first."""
        states = (BidState.SUBMITTED.value, BidState.PARTIALLY_CONTRACTED.value)
        return self._of_market(market_id, BIDS.c.state.in_(states))

    def open_bids(self) -> dict[BidState, int]:
        """How many bids stand in each state in which something may still happen to them."""
        count = func.count()
        query = select(BIDS.c.state, count).where(BIDS.c.state.in_(_OPEN)).group_by(BIDS.c.state)
        with self._engine.begin() as db:
            found = {BidState(state): int(number) for state, number in db.execute(query)}
        return dict.fromkeys(map(BidState, _OPEN), 0) | found

    def bids(
        self, *, start_s: int, end_s: int, after: int = 0, limit: int = 100
    ) -> Page[BidStatus]:
        """Bids of periods that start in [start_s, end_s), in the order they came."""
        start = BIDS.c.period_start_s
        condition = and_(start >= start_s, start < end_s, BIDS.c.sequence > after)
        with self._engine.begin() as db:
            found = db.execute(_ordered(BIDS, condition, limit)).mappings().all()
            contracts = _contracts_of(db, [row["bid_id"] for row in found])
        statuses = tuple(rows.status(row, contracts.get(row["bid_id"], ())) for row in found)
        return Page(statuses, found[-1]["sequence"] if found else after)

    def contracts(
        self,
        *,
        after: int = 0,
        limit: int = 1000,
        start_s: int | None = None,
        end_s: int | None = None,
    ) -> Page[Contract]:
        """Contracts in the order they became known, of periods that start in [start_s, end_s)."""
        conditions = [CONTRACTS.c.sequence > after]
        if start_s is not None:
            conditions.append(CONTRACTS.c.period_start_s >= start_s)
        if end_s is not None:
            conditions.append(CONTRACTS.c.period_start_s < end_s)
        found = self._page(CONTRACTS, and_(*conditions), limit)
        return _page(found, after, tuple(map(rows.contract, found)))

    def keep_prices(self, prices: Iterable[AreaPrice]) -> int:
        """Keep prices that are new or changed; returns how many."""
        with self._engine.begin() as db:
            return sum(_keep_price(db, price) for price in prices)

    def prices(self, *, after: int = 0, limit: int = 1000) -> Page[AreaPrice]:
        """Prices in the order they became known or changed."""
        found = self._page(PRICES, PRICES.c.sequence > after, limit)
        return _page(found, after, tuple(map(rows.price, found)))

    def replace_signals(self, feed: str, signals: Sequence[DemandSignal], *, from_s: int) -> None:
        """Have exactly these signals of a feed, and fold the demand that changes.

        Args:
            feed: Who says them, such as "openadr3".
            signals: Everything it says now of periods that start at or after `from_s`.
            from_s: What it said of earlier periods stands, seconds since 1970 UTC.
        """
        mine = and_(SIGNALS.c.feed == feed, SIGNALS.c.period_start_s >= from_s)
        with self._engine.begin() as db:
            before = {
                rows.signal(row) for row in db.execute(select(SIGNALS).where(mine)).mappings()
            }
            if before == set(signals):
                return
            db.execute(delete(SIGNALS).where(mine))
            for signal in sorted(set(signals), key=str):
                db.execute(insert(SIGNALS).values(feed=feed, **rows.signal_values(signal)))
            _fold(db, {(s.area_id, s.period) for s in before ^ set(signals)})

    def signals(self, *, start_s: int, end_s: int) -> list[DemandSignal]:
        """Everything said of periods that start in [start_s, end_s)."""
        start = SIGNALS.c.period_start_s
        found = self._page(SIGNALS, and_(start >= start_s, start < end_s), None)
        return list(map(rows.signal, found))

    def demands(self, *, after: int = 0, from_s: int = 0, limit: int | None = 1000) -> Page[Demand]:
        """Demand in the order of its changes, of periods that end after `from_s`.

        Of an area and period only the last change is there.
        """
        end = DEMANDS.c.period_start_s + DEMANDS.c.period_length_s
        found = self._page(DEMANDS, and_(DEMANDS.c.sequence > after, end > from_s), limit)
        return _page(found, after, tuple(map(rows.demand, found)))

    def _of_market(self, market_id: str, condition: ColumnElement[bool]) -> list[BidStatus]:
        with self._engine.begin() as db:
            return _statuses(
                db, and_(BIDS.c.market_id == market_id, BIDS.c.is_closed.is_(False), condition)
            )

    def _page(
        self, table: Table, condition: ColumnElement[bool], limit: int | None
    ) -> Sequence[RowMapping]:
        with self._engine.begin() as db:
            return db.execute(_ordered(table, condition, limit)).mappings().all()


def _page(found: Sequence[RowMapping], after: int, values: tuple[T, ...]) -> Page[T]:
    return Page(values, found[-1]["sequence"] if found else after)


def _ordered(table: Table, condition: ColumnElement[bool], limit: int | None) -> Select[Any]:
    return select(table).where(condition).order_by(table.c.sequence).limit(limit)


def _add_bid(db: Connection, bid: Bid, now_s: int) -> BidStatus | BidRefused:
    known = _statuses(db, BIDS.c.bid_id == str(bid.bid_id))
    if known and known[0].bid != bid:
        return BidRefused(RefusalReason.BID_CONFLICT, f"{bid.bid_id} is another bid already")
    if known:
        return known[0]
    status = advance(status=BidStatus(bid=bid), event=Submitting())
    values = {**rows.bid_values(bid), **rows.status_values(status)}
    db.execute(insert(BIDS).values(created_s=now_s, **values))
    return status


def _advance(
    db: Connection, before: BidStatus, event: BidEvent, touched: set[Product]
) -> BidStatus:
    after = advance(status=before, event=event)
    if after == before:
        return after
    if isinstance(event, Contracted):
        db.execute(insert(CONTRACTS).values(rows.contract_values(event.contract)))
        touched.add((before.bid.area_id, before.bid.period))
    db.execute(
        update(BIDS)
        .where(BIDS.c.bid_id == str(before.bid.bid_id))
        .values(rows.status_values(after))
    )
    return after


def _status(db: Connection, bid_id: UUID) -> BidStatus:
    found = _statuses(db, BIDS.c.bid_id == str(bid_id))
    if not found:
        raise KeyError(bid_id)
    return found[0]


def _statuses(db: Connection, condition: ColumnElement[bool]) -> list[BidStatus]:
    found = db.execute(_ordered(BIDS, condition, None)).mappings().all()
    contracts = _contracts_of(db, [row["bid_id"] for row in found])
    return [rows.status(row, contracts.get(row["bid_id"], ())) for row in found]


def _contracts_of(db: Connection, bid_ids: Sequence[str]) -> Mapping[str, tuple[Contract, ...]]:
    found = db.execute(_ordered(CONTRACTS, CONTRACTS.c.bid_id.in_(bid_ids), None)).mappings()
    contracts: dict[str, tuple[Contract, ...]] = {}
    for row in found:
        contracts[row["bid_id"]] = (*contracts.get(row["bid_id"], ()), rows.contract(row))
    return contracts


def _keep_price(db: Connection, price: AreaPrice) -> bool:
    key = _same_product(PRICES, price.area_id, price.period)
    mine = and_(key, PRICES.c.market_id == price.market_id, PRICES.c.kind == price.kind.value)
    row = db.execute(select(PRICES).where(mine)).mappings().first()
    if row is not None and rows.price(row).price == price.price:
        return False
    db.execute(delete(PRICES).where(mine))
    db.execute(insert(PRICES).values(rows.price_values(price)))
    return True


def _fold(db: Connection, products: Iterable[Product]) -> None:
    """Fold the demand of areas and periods from what is stored now."""
    for area_id, period in products:
        row = db.execute(select(DEMANDS).where(_same_product(DEMANDS, area_id, period)))
        found = row.mappings().first()
        previous = rows.demand(found) if found else None
        demand = fold_demand(
            area_id=area_id,
            period=period,
            contracts=map(rows.contract, _all(db, CONTRACTS, area_id, period)),
            signals=map(rows.signal, _all(db, SIGNALS, area_id, period)),
            previous=previous,
        )
        if demand != previous:
            db.execute(delete(DEMANDS).where(_same_product(DEMANDS, area_id, period)))
            db.execute(insert(DEMANDS).values(rows.demand_values(demand)))


def _all(db: Connection, table: Table, area_id: str, period: Period) -> Sequence[RowMapping]:
    return db.execute(_ordered(table, _same_product(table, area_id, period), None)).mappings().all()


def _same_product(table: Table, area_id: str, period: Period) -> ColumnElement[bool]:
    return and_(
        table.c.area_id == area_id,
        table.c.period_start_s == period.start_s,
        table.c.period_length_s == period.length_s,
    )
