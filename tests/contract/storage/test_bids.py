"""Bids in the store: decided once, sent until the market has them, on both databases."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from gridcord.units import Period, Price
from manager.domain.bidding.bid import Bid, MarketTerms
from manager.domain.dispatch.demand import Demand, Progress
from manager.domain.records.resource import ResourceState
from manager.ports import AreaPrice, PeerUnavailable
from manager.storage.engine import Database
from manager.storage.market.bids import SqlBids
from manager.storage.market.demands import SqlDemands
from manager.storage.market.stays import SqlStays
from manager.storage.schema import migrate
from manager.usecases.place_bids import Bidder, BidPlace
from tests.unit.manager.test_offers import FIRST, NOW_S, RULES, TERMS, battery

PLACE = BidPlace(market_id=TERMS.market_id, area_id="3")


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = Database(database_url)
    migrate(opened)
    yield opened
    opened.close()


class Killed(BaseException):
    """The process ends here."""


class Exchange:
    """A market that knows each id once, and can be cut off before or after it took bids."""

    def __init__(self) -> None:
        self.bids: dict[str, Bid] = {}
        self.asked = 0
        self.kill: str = ""
        self.refuses: frozenset[str] = frozenset()

    async def terms(self, market_id: str) -> MarketTerms | None:
        return TERMS if market_id == TERMS.market_id else None

    async def submit(self, bids: Sequence[Bid]) -> dict[str, str]:
        self.asked += 1
        if self.kill == "before":
            raise Killed
        if self.kill == "away":
            raise PeerUnavailable("market", "UNAVAILABLE", "gone")
        for bid in bids:
            assert self.bids.setdefault(bid.bid_id, bid) == bid, "another bid of the same id"
        if self.kill == "after":
            raise Killed
        return {bid.bid_id: "OFF_LOT" for bid in bids if bid.bid_id in self.refuses}

    async def watch_day_ahead(self, cursor: str) -> AsyncIterator[tuple[AreaPrice | None, str]]:
        nothing: tuple[tuple[AreaPrice, str], ...] = ()
        for each in nothing:
            yield each

    async def watch_demand(self, cursor: str) -> AsyncIterator[tuple[Demand | None, str]]:
        nothing: tuple[tuple[Demand, str], ...] = ()
        for each in nothing:
            yield each


def bidder(
    database: Database, market: Exchange, *fleet: ResourceState, place: BidPlace = PLACE
) -> Bidder:
    """A manager's bidder, as after a start: it knows nothing but the store."""
    return Bidder(
        market=market,
        bids=SqlBids(database),
        stays=SqlStays(database),
        place=place,
        rules=RULES,
        fleet=lambda: fleet,
        now=lambda: float(NOW_S),
        sleep=asyncio.sleep,
        every_s=60.0,
    )


@pytest.mark.parametrize("kill", ["before", "after"])
def test_a_manager_that_is_killed_while_sending_neither_loses_nor_doubles_a_bid(
    database: Database, kill: str
) -> None:
    """After the restart the fleet is another: what was decided stands, and is sent once."""
    market = Exchange()
    market.kill = kill
    with pytest.raises(Killed):
        asyncio.run(bidder(database, market, battery()).step())
    stored = asyncio.run(SqlBids(database).unsent(TERMS.market_id))
    assert stored
    assert set(market.bids) == (set() if kill == "before" else {bid.bid_id for bid in stored})
    market.kill = ""
    for _ in range(3):
        asyncio.run(bidder(database, market, battery(soc_percent=95.0)).step())
    assert sorted(market.bids) == sorted(bid.bid_id for bid in stored)
    assert [market.bids[bid.bid_id] for bid in stored] == stored
    assert market.asked == 2
    assert asyncio.run(SqlBids(database).unsent(TERMS.market_id)) == []


def test_a_market_that_is_away_gets_the_bids_when_it_is_back(database: Database) -> None:
    market = Exchange()
    market.kill = "away"
    with pytest.raises(PeerUnavailable):
        asyncio.run(bidder(database, market, battery()).step())
    market.kill = ""
    asyncio.run(bidder(database, market, battery()).step())
    assert market.bids


def test_nothing_is_decided_before_anybody_told_its_state(database: Database) -> None:
    market = Exchange()
    asyncio.run(bidder(database, market).step())
    assert not market.bids
    asyncio.run(bidder(database, market, battery()).step())
    assert market.bids


def test_nothing_is_bid_in_an_area_that_the_market_does_not_have(database: Database) -> None:
    market = Exchange()
    elsewhere = bidder(
        database, market, battery(area_id="atlantis"), place=replace(PLACE, area_id="atlantis")
    )
    with capture_logs() as told:
        asyncio.run(elsewhere.step())
    assert not market.bids
    assert [line["areas"] for line in told if line["event"] == "area.unknown"] == [("3",)]


def test_a_refused_bid_is_not_sent_again(database: Database) -> None:
    market, bids = Exchange(), SqlBids(database)
    first, second = _bid("first"), _bid("second")
    asyncio.run(bids.decide("m", "3", FIRST, [first, second], now_s=NOW_S))
    asyncio.run(bids.sent([first, second], {"first": "OFF_LOT"}))
    assert asyncio.run(bids.unsent("m")) == []
    assert market.asked == 0


def test_what_was_decided_first_stands(database: Database) -> None:
    bids = SqlBids(database)
    assert not asyncio.run(bids.decided("m", "3", FIRST))
    asyncio.run(bids.decide("m", "3", FIRST, [_bid("first")], now_s=NOW_S))
    asyncio.run(bids.decide("m", "3", FIRST, [_bid("second")], now_s=NOW_S))
    assert asyncio.run(bids.decided("m", "3", FIRST))
    assert [each.bid_id for each in asyncio.run(bids.unsent("m"))] == ["first"]
    assert asyncio.run(bids.unsent("other")) == []


def test_day_ahead_prices_are_kept_with_the_cursor_behind_them(database: Database) -> None:
    bids = SqlBids(database)
    assert asyncio.run(bids.price_cursor()) == ""
    asyncio.run(bids.take_price("3", FIRST, Price("JPY", 12_340_000), "7"))
    asyncio.run(bids.take_price("3", FIRST, Price("JPY", 12_350_000), "8"))
    asyncio.run(bids.take_price("6", FIRST, Price("JPY", 1), "9"))
    assert asyncio.run(bids.price_cursor()) == "9"
    assert asyncio.run(bids.prices("3", FIRST.start_s)) == {FIRST.start_s: 12_350_000}
    assert asyncio.run(bids.prices("3", FIRST.end_s)) == {}


def test_contracts_that_stand_are_told_by_period(database: Database) -> None:
    demands = SqlDemands(database, default_area="3", now=lambda: NOW_S)
    taken = Demand(
        area_id="3", period=FIRST, target_wh=-2_000, contracted_wh=-1_500, sources=("c-1", "e-1")
    )
    asyncio.run(demands.take(taken, "1"))
    asyncio.run(demands.note("3", FIRST.next(1), Progress()))
    found = asyncio.run(SqlBids(database).contracted_wh("3", NOW_S))
    assert found == {FIRST.start_s: -1_500}


def _bid(name: str) -> Bid:
    return Bid(
        bid_id=name,
        market_id="m",
        area_id="3",
        period=Period(FIRST.start_s, FIRST.length_s),
        buys=False,
        energy_wh=1_000,
        limit_price=None,
    )
