"""The store: durable, one adapter's alone, cursors that miss nothing, demand folded with it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from gridcord.units import Period, Price
from market_adapter.domain.bids import Bid, BidRefused, RefusalReason, Side
from market_adapter.domain.contracts import AreaPrice, Contract, PriceKind
from market_adapter.domain.demand import DemandSignal, SignalKind
from market_adapter.domain.lifecycle import (
    Accepted,
    BidState,
    BidStatus,
    Closed,
    Contracted,
    IllegalTransition,
    Rejected,
    WithdrawalWanted,
    Withdrawn,
)
from market_adapter.storage.engine import StoreInUse, StoreOfOtherVersion
from market_adapter.storage.store import MarketStore

PERIOD = Period(1_800 * 1_000_000)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[MarketStore]:
    store = MarketStore(tmp_path / "market.sqlite")
    yield store
    store.close()


def bid(*, side: Side = Side.SELL, period: Period = PERIOD, market_id: str = "m") -> Bid:
    return Bid(
        bid_id=uuid4(),
        market_id=market_id,
        area_id="tokyo",
        period=period,
        side=side,
        energy_wh=100_000,
        limit_price=Price.per_kwh("JPY", "18.06"),
    )


def contract(of: Bid, contract_id: str = "c1", energy_wh: int = 100_000) -> Contract:
    return Contract(
        contract_id=contract_id,
        bid_id=of.bid_id,
        market_id=of.market_id,
        area_id=of.area_id,
        period=of.period,
        side=of.side,
        energy_wh=energy_wh,
        price=Price.per_kwh("JPY", "20.00"),
        at_s=5,
    )


def add(store: MarketStore, *bids: Bid) -> None:
    store.add_bids(bids, now_s=1)


def test_a_bid_is_kept_once_and_another_of_its_id_is_a_conflict(store: MarketStore) -> None:
    first = bid()
    add(store, first)
    store.advance([(first.bid_id, Accepted(venue_bid_id="7"))])
    again = store.add_bids([first, replace(first, energy_wh=50_000)], now_s=2)
    # one id, said twice in one batch: the last answer is about the impostor
    refused = again[first.bid_id]
    assert isinstance(refused, BidRefused)
    assert refused.reason is RefusalReason.BID_CONFLICT
    kept = store.add_bids([first], now_s=3)[first.bid_id]
    assert isinstance(kept, BidStatus)
    assert (kept.state, kept.bid) == (BidState.SUBMITTED, first)


def test_everything_is_there_after_the_file_is_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "market.sqlite"
    store = MarketStore(path)
    sold, market_order = bid(), replace(bid(), limit_price=None)
    add(store, sold, market_order)
    made = contract(sold, energy_wh=50_000)
    store.advance(
        [
            (sold.bid_id, Accepted(venue_bid_id="7")),
            (sold.bid_id, Contracted(contract=made)),
            (sold.bid_id, WithdrawalWanted()),
            (market_order.bid_id, Rejected(reason=RefusalReason.GATE_CLOSED, detail="late")),
        ]
    )
    before = store.statuses([sold.bid_id, market_order.bid_id])
    store.close()
    store = MarketStore(path)
    assert store.statuses([sold.bid_id, market_order.bid_id]) == before
    assert before[sold.bid_id] == BidStatus(
        bid=sold,
        state=BidState.PARTIALLY_CONTRACTED,
        venue_bid_id="7",
        withdrawal_wanted=True,
        contracts=(made,),
    )
    assert store.contracts().values == (made,)
    [demand] = store.demands().values
    assert (demand.target_wh, demand.contract_ids, demand.revision) == (-50_000, ("c1",), 1)
    store.close()


def test_the_file_waits_for_the_disk_and_writes_ahead(store: MarketStore) -> None:
    with store._engine.begin() as db:
        assert db.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert db.exec_driver_sql("PRAGMA synchronous").scalar() == 2  # FULL


def test_a_second_adapter_is_turned_away_until_the_first_is_gone(tmp_path: Path) -> None:
    first = MarketStore(tmp_path / "market.sqlite")
    with pytest.raises(StoreInUse):
        MarketStore(tmp_path / "market.sqlite")
    first.close()
    MarketStore(tmp_path / "market.sqlite").close()


def test_work_lists_name_what_waits(store: MarketStore) -> None:
    waiting, standing, leaving, over, elsewhere = (bid() for _ in range(5))
    elsewhere = replace(elsewhere, market_id="n")
    add(store, waiting, standing, leaving, over, elsewhere)
    store.advance(
        [
            (standing.bid_id, Accepted(venue_bid_id="1")),
            (leaving.bid_id, Accepted(venue_bid_id="2")),
            (leaving.bid_id, WithdrawalWanted()),
            (over.bid_id, Accepted(venue_bid_id="3")),
            (over.bid_id, Closed()),
        ]
    )

    def ids(statuses: list[BidStatus]) -> list[UUID]:
        return [status.bid.bid_id for status in statuses]

    assert ids(store.unsent("m")) == [waiting.bid_id]
    assert ids(store.standing("m")) == [standing.bid_id, leaving.bid_id]
    assert ids(store.unwithdrawn("m")) == [leaving.bid_id]
    assert ids(store.unsent("n")) == [elsewhere.bid_id]
    store.advance([(leaving.bid_id, Withdrawn())])
    assert store.unwithdrawn("m") == []


def test_events_are_kept_all_or_none(store: MarketStore) -> None:
    good, draft = bid(), bid()
    add(store, good, draft)
    store.advance([(draft.bid_id, Rejected(reason=RefusalReason.OFF_LOT, detail=""))])
    with pytest.raises(IllegalTransition):
        store.advance(
            [
                (good.bid_id, Contracted(contract=contract(good))),
                (draft.bid_id, Contracted(contract=contract(draft))),
            ]
        )
    assert store.contracts().values == ()
    assert store.demands().values == ()
    with pytest.raises(KeyError):
        store.advance([(uuid4(), Closed())])


def test_a_contract_heard_again_changes_nothing_and_cursors_go_on(store: MarketStore) -> None:
    first, second = bid(), bid(side=Side.BUY)
    add(store, first, second)
    event = Contracted(contract=contract(first))
    store.advance([(first.bid_id, event)])
    seen = store.contracts()
    demand = store.demands()
    store.advance([(first.bid_id, event), (first.bid_id, event)])
    assert store.contracts() == seen
    assert store.contracts(after=seen.cursor).values == ()
    assert store.demands(after=demand.cursor).values == ()

    store.advance([(second.bid_id, Contracted(contract=contract(second, "c2", 50_000)))])
    assert [c.contract_id for c in store.contracts(after=seen.cursor).values] == ["c2"]
    changed = store.demands(after=demand.cursor)
    assert [(d.target_wh, d.revision) for d in changed.values] == [(-50_000, 2)]
    assert changed.cursor > demand.cursor
    # whoever starts late sees what stands, once
    assert store.demands().values == changed.values


def test_pages_hold_as_many_as_asked_and_go_on_behind(store: MarketStore) -> None:
    bids = [bid(period=PERIOD.next(n)) for n in range(5)]
    add(store, *bids)
    start_s, end_s = PERIOD.start_s, PERIOD.next(4).start_s
    found: list[Bid] = []
    cursor = 0
    while True:
        page = store.bids(start_s=start_s, end_s=end_s, after=cursor, limit=3)
        if not page.values:
            break
        found += [status.bid for status in page.values]
        cursor = page.cursor
    assert found == bids[:4]


def test_signals_are_replaced_as_a_whole_and_demand_follows(store: MarketStore) -> None:
    def activation(value: int, source: str, period: Period = PERIOD) -> DemandSignal:
        return DemandSignal(
            kind=SignalKind.ACTIVATION,
            area_id="tokyo",
            period=period,
            value=Decimal(value),
            unit="Wh",
            source=source,
        )

    later = PERIOD.next()
    store.replace_signals("dr", [activation(-500, "e1"), activation(200, "e2", later)], from_s=0)
    store.replace_signals("other", [activation(100, "o1")], from_s=0)
    assert {d.period: d.target_wh for d in store.demands().values} == {PERIOD: -400, later: 200}
    cursor = store.demands().cursor
    store.replace_signals("dr", [activation(200, "e2", later), activation(-500, "e1")], from_s=0)
    assert store.demands(after=cursor).values == ()  # said again: nothing changed
    store.replace_signals("dr", [activation(200, "e2", later)], from_s=0)  # e1 was cancelled
    [changed] = store.demands(after=cursor).values
    assert (changed.period, changed.target_wh, changed.sources) == (PERIOD, 100, ("o1",))
    assert changed.revision > 1
    store.replace_signals("dr", [], from_s=later.end_s)  # what was said of the past stands
    said = store.signals(start_s=PERIOD.start_s, end_s=later.end_s)
    assert {s.source for s in said} == {"e2", "o1"}


def test_demand_of_the_past_is_left_out_when_asked_for_from_now(store: MarketStore) -> None:
    for n in range(3):
        sold = bid(period=PERIOD.next(n))
        add(store, sold)
        store.advance([(sold.bid_id, Contracted(contract=contract(sold, f"c{n}")))])
    running_s = PERIOD.next().start_s + 10
    found = store.demands(from_s=running_s).values
    assert [d.period for d in found] == [PERIOD.next(), PERIOD.next(2)]


def test_prices_come_once_and_again_when_they_change(store: MarketStore) -> None:
    price = AreaPrice(
        market_id="m",
        kind=PriceKind.DAY_AHEAD,
        area_id="tokyo",
        period=PERIOD,
        price=Price.per_kwh("JPY", "20.00"),
        published_s=7,
    )
    assert store.keep_prices([price]) == 1
    cursor = store.prices().cursor
    assert store.keep_prices([replace(price, published_s=8)]) == 0
    assert store.prices(after=cursor).values == ()
    changed = replace(price, price=Price.per_kwh("JPY", "21.00"), published_s=9)
    assert store.keep_prices([changed]) == 1
    assert store.prices(after=cursor).values == (changed,)


def test_the_file_is_plain_sqlite(store: MarketStore, tmp_path: Path) -> None:
    add(store, bid())
    rows = sqlite3.connect(tmp_path / "market.sqlite").execute("SELECT state FROM bid").fetchall()
    assert rows == [("SUBMITTING",)]


def test_a_file_of_another_version_is_refused_and_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "old.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE price (sequence INTEGER PRIMARY KEY, market_id TEXT)")
    with pytest.raises(StoreOfOtherVersion, match=r"table price has no area_id.*store\.file"):
        MarketStore(path)
    tables = sqlite3.connect(path).execute("SELECT name FROM sqlite_master").fetchall()
    assert tables == [("price",)]
