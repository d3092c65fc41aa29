"""The desk: what the manager's calls come to, on a real market and on one that fails."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from gridcord.simulation.exchange.faults import Fault
from gridcord.units import Price
from market_adapter.domain.bids import Bid, BidRefused, RefusalReason, Side
from market_adapter.domain.contracts import AreaPrice, Outcome
from market_adapter.domain.lifecycle import BidState, BidStatus
from market_adapter.domain.profile import MarketProfile
from market_adapter.ports import Refused, Taken, VenueUnavailable
from market_adapter.storage.store import MarketStore
from market_adapter.usecases.desk import PAST_DAYS, Desk, Result
from tests.contract.trading_floors import (
    AREA,
    DAY,
    FLOORS,
    MARKET_PRICE,
    ExchangeFloor,
    Floor,
    eventually,
    open_floor,
)

CHEAP, DEAR = Price.per_kwh("JPY", "5.00"), Price.per_kwh("JPY", "50.00")

Story = Callable[[Floor, Desk, MarketStore], Awaitable[None]]


@contextmanager
def open_store(folder: Path) -> Iterator[MarketStore]:
    store = MarketStore(folder / "adapter.sqlite")
    try:
        yield store
    finally:
        store.close()


def play(floor: Floor, story: Story) -> None:
    async def run() -> None:
        async with open_floor(floor):
            with open_store(floor.folder) as store:
                desk = Desk(
                    store=store, venues={floor.profile.market_id: floor.venue}, clock=floor.clock
                )
                await story(floor, desk, store)

    asyncio.run(run())


def status(result: Result) -> BidStatus:
    assert isinstance(result, BidStatus)
    return result


def reason(result: Result) -> RefusalReason:
    assert isinstance(result, BidRefused)
    return result.reason


@pytest.fixture(params=sorted(FLOORS))
def floor(request: pytest.FixtureRequest, tmp_path: Path) -> Floor:
    return FLOORS[request.param](tmp_path)


def test_a_day_of_trade_from_bid_to_demand(floor: Floor) -> None:
    async def story(floor: Floor, desk: Desk, store: MarketStore) -> None:
        market_id = floor.profile.market_id
        sold, bought, dear = (
            floor.bid(side=Side.SELL, lots=4, limit=CHEAP),
            floor.bid(side=Side.BUY, lots=1, limit=DEAR),
            floor.bid(side=Side.SELL, limit=DEAR),
        )
        taken_back = floor.bid(limit=DEAR)
        results = await desk.place([sold, bought, dear, taken_back])
        assert results.keys() == {b.bid_id for b in (sold, bought, dear, taken_back)}
        await floor.turn()
        await desk.round(market_id)
        await desk.withdraw([taken_back.bid_id])
        await floor.turn()
        await desk.round(market_id)
        await floor.close_gate()
        await desk.round(market_id)

        after = store.statuses([sold.bid_id, bought.bid_id, dear.bid_id, taken_back.bid_id])
        assert [after[b.bid_id].state for b in (sold, bought, dear, taken_back)] == [
            BidState.CONTRACTED,
            BidState.CONTRACTED,
            BidState.EXPIRED,
            BidState.WITHDRAWN,
        ]
        assert all(s.is_closed for s in after.values())
        [demand] = store.demands().values
        assert (demand.area_id, demand.period) == (AREA, floor.period)
        assert demand.target_wh == demand.contracted_wh == -3 * floor.profile.lot_wh
        assert set(demand.contract_ids) == {c.contract_id for c in store.contracts().values}

    play(floor, story)


def test_what_cannot_be_bid_is_refused_and_the_rest_goes_on(floor: Floor) -> None:
    async def story(floor: Floor, desk: Desk, store: MarketStore) -> None:
        good = floor.bid(limit=DEAR)
        off_lot = replace(floor.bid(limit=DEAR), energy_wh=floor.profile.lot_wh + 1)
        elsewhere = replace(floor.bid(), market_id="moon")
        results = await desk.place([good, off_lot, elsewhere])
        assert reason(results[off_lot.bid_id]) is RefusalReason.OFF_LOT
        assert reason(results[elsewhere.bid_id]) is RefusalReason.UNKNOWN_MARKET
        assert status(results[good.bid_id]).state in {BidState.SUBMITTED, BidState.SUBMITTING}
        assert store.statuses([off_lot.bid_id, elsewhere.bid_id]) == {}
        assert reason((await desk.withdraw([uuid4()])).popitem()[1]) is RefusalReason.BID_UNKNOWN

    play(floor, story)


def test_the_same_bid_again_is_the_same_even_after_the_gate(tmp_path: Path) -> None:
    async def story(floor: Floor, desk: Desk, store: MarketStore) -> None:
        bid = floor.bid(limit=CHEAP)
        await desk.place([bid])
        conflict = (await desk.place([replace(bid, energy_wh=2 * bid.energy_wh)]))[bid.bid_id]
        assert reason(conflict) is RefusalReason.BID_CONFLICT
        await floor.close_gate()
        assert status((await desk.place([bid]))[bid.bid_id]).state is BidState.SUBMITTED
        late = floor.bid(limit=CHEAP)
        assert reason((await desk.place([late]))[late.bid_id]) is RefusalReason.GATE_CLOSED
        assert reason((await desk.withdraw([bid.bid_id]))[bid.bid_id]) is RefusalReason.GATE_CLOSED
        assert not store.statuses([bid.bid_id])[bid.bid_id].withdrawal_wanted

    play(FLOORS["jepx.dayahead"](tmp_path), story)


def test_prices_are_collected_once(tmp_path: Path) -> None:
    async def story(floor: Floor, desk: Desk, store: MarketStore) -> None:
        await floor.close_gate()
        await desk.round(floor.profile.market_id)
        page = store.prices()
        assert len(page.values) == 48 * 9
        assert {p.price for p in page.values} == {MARKET_PRICE}
        assert {floor.profile.day_of(p.period) for p in page.values} == {DAY}
        await desk.round(floor.profile.market_id)
        assert store.prices(after=page.cursor).values == ()

    play(FLOORS["jepx.dayahead"](tmp_path), story)


def test_a_withdrawal_wanted_while_the_venue_is_away_happens_when_it_is_back(
    tmp_path: Path,
) -> None:
    floor = ExchangeFloor(folder=tmp_path, market_id="jepx.dayahead")

    async def story(floor: Floor, desk: Desk, store: MarketStore) -> None:
        assert isinstance(floor, ExchangeFloor)
        bid = floor.bid(limit=DEAR)
        await desk.place([bid])
        floor.faults.script("DAH1002", Fault.DISCONNECT, Fault.DISCONNECT)
        waiting = status((await desk.withdraw([bid.bid_id]))[bid.bid_id])
        assert (waiting.state, waiting.withdrawal_wanted) == (BidState.SUBMITTED, True)
        await desk.round(floor.profile.market_id)
        assert store.statuses([bid.bid_id])[bid.bid_id].state is BidState.WITHDRAWN
        assert floor.copies(bid.bid_id) == 0

    play(floor, story)


def test_what_was_sold_before_the_withdrawal_stays_sold(tmp_path: Path) -> None:
    async def story(floor: Floor, desk: Desk, store: MarketStore) -> None:
        bid = floor.bid(side=Side.SELL, lots=14, limit=Price.per_kwh("JPY", "19.50"))
        await desk.place([bid])  # ten lots are wanted at 19.50 or more
        after = status((await desk.withdraw([bid.bid_id]))[bid.bid_id])
        assert (after.state, after.is_closed) == (BidState.PARTIALLY_CONTRACTED, True)
        assert after.contracted_wh == 10 * floor.profile.lot_wh
        assert store.demands().values[0].target_wh == -10 * floor.profile.lot_wh
        assert floor.copies(bid.bid_id) == 0

    play(FLOORS["jepx.intraday"](tmp_path), story)


class SlowVenue:
    """A venue that takes its time, and counts how often it was given each bid at once."""

    def __init__(self, profile: MarketProfile) -> None:
        self.profile = profile
        self.at_once = self.most_at_once = 0
        self.is_away = False
        self.seen: list[UUID] = []
        self.priced: list[date] = []

    async def submit(self, bids: Sequence[Bid]) -> Mapping[UUID, Taken | Refused]:
        if self.is_away:
            message = "away"
            raise VenueUnavailable(message)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        for _ in range(5):
            await asyncio.sleep(0)
        self.at_once -= 1
        self.seen += [bid.bid_id for bid in bids]
        return {bid.bid_id: Taken(venue_bid_id="1") for bid in bids}

    async def withdraw(self, bid: Bid) -> None:
        raise AssertionError(bid)

    async def outcomes(self, bids: Sequence[Bid]) -> Mapping[UUID, Outcome]:
        del bids
        return {}

    async def prices(self, day: date) -> Sequence[AreaPrice]:
        self.priced.append(day)
        return ()

    async def close(self) -> None:
        return None


def test_past_days_are_asked_for_once_and_unpriced_ones_again(tmp_path: Path) -> None:
    async def story(floor: Floor, _: Desk, store: MarketStore) -> None:
        venue = SlowVenue(floor.profile)
        desk = Desk(store=store, venues={floor.profile.market_id: venue}, clock=floor.clock)
        await desk.round(floor.profile.market_id)
        assert len(venue.priced) == len(set(venue.priced)) == PAST_DAYS + 2
        tomorrow, today = venue.priced[:2]
        assert [(tomorrow - today).days, (today - venue.priced[-1]).days] == [1, PAST_DAYS]
        venue.priced.clear()
        await desk.round(floor.profile.market_id)
        assert venue.priced == [tomorrow, today]

    play(FLOORS["jepx.dayahead"](tmp_path), story)


def test_rounds_of_one_market_never_overlap(tmp_path: Path) -> None:
    """Two at once would both find a bid missing at the venue, and both send it."""

    async def story(floor: Floor, _: Desk, store: MarketStore) -> None:
        venue = SlowVenue(floor.profile)
        desk = Desk(store=store, venues={floor.profile.market_id: venue}, clock=floor.clock)
        bids = [floor.bid(limit=DEAR) for _ in range(20)]
        await asyncio.gather(*(desk.place([bid]) for bid in bids))
        assert venue.most_at_once == 1
        assert sorted(venue.seen) == sorted(bid.bid_id for bid in bids)

    play(FLOORS["price_file"](tmp_path), story)


def test_a_bid_placed_while_the_venue_is_away_is_sent_by_a_later_round(tmp_path: Path) -> None:
    async def story(floor: Floor, _: Desk, store: MarketStore) -> None:
        venue = SlowVenue(floor.profile)
        desk = Desk(store=store, venues={floor.profile.market_id: venue}, clock=floor.clock)
        venue.is_away = True
        bid = floor.bid(limit=DEAR)
        result = status((await desk.place([bid]))[bid.bid_id])
        assert (result.state, result.is_closed) == (BidState.SUBMITTING, False)
        running = asyncio.create_task(desk.run(floor.profile.market_id, every_s=60))
        await eventually(lambda: floor.clock.sleepers > 0)
        assert venue.seen == []
        venue.is_away = False
        await floor.clock.advance(60)
        await eventually(lambda: bool(venue.seen))
        running.cancel()
        assert venue.seen == [bid.bid_id]

    play(FLOORS["price_file"](tmp_path), story)
