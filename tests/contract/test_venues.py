"""One suite for every venue that takes bids: what `market_adapter.ports.Venue` promises."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from gridcord.units import Price
from market_adapter.domain.bids import Bid, BidRefused, RefusalReason, Side
from market_adapter.domain.contracts import Contract
from market_adapter.ports import Refused, Taken, VenueUnavailable
from tests.contract.trading_floors import (
    AREA,
    AUCTIONS,
    DAY,
    FLOORS,
    MARKET_PRICE,
    PROMPT,
    Floor,
    open_floor,
)

CHEAP = Price.per_kwh("JPY", "5.00")
DEAR = Price.per_kwh("JPY", "50.00")

Story = Callable[[Floor], Awaitable[None]]


@pytest.fixture(params=sorted(FLOORS))
def floor(request: pytest.FixtureRequest, tmp_path: Path) -> Floor:
    return FLOORS[request.param](tmp_path)


@pytest.fixture(params=AUCTIONS)
def auction_floor(request: pytest.FixtureRequest, tmp_path: Path) -> Floor:
    return FLOORS[request.param](tmp_path)


@pytest.fixture(params=PROMPT)
def prompt_floor(request: pytest.FixtureRequest, tmp_path: Path) -> Floor:
    return FLOORS[request.param](tmp_path)


def play(floor: Floor, story: Story) -> None:
    async def run() -> None:
        async with open_floor(floor):
            await story(floor)

    asyncio.run(run())


async def submit(floor: Floor, *bids: Bid) -> None:
    """Have bids taken; a market that answers later gets its turn."""
    await floor.venue.submit(bids)
    await floor.turn()
    answers = await floor.venue.submit(bids)
    assert {type(answers[bid.bid_id]) for bid in bids} == {Taken}


async def contracts(floor: Floor, bid: Bid) -> tuple[Contract, ...]:
    outcome = (await floor.venue.outcomes([bid]))[bid.bid_id]
    assert outcome.is_final
    return outcome.contracts


def test_a_bid_submitted_again_and_again_is_there_once(floor: Floor) -> None:
    async def story(floor: Floor) -> None:
        bid = floor.bid(limit=DEAR)
        for _ in range(3):
            await submit(floor, bid)
        assert floor.copies(bid.bid_id) == 1
        await floor.restart()
        await submit(floor, bid)
        assert floor.copies(bid.bid_id) == 1

    play(floor, story)


def test_a_batch_is_there_once_each_whatever_part_was_there_before(floor: Floor) -> None:
    async def story(floor: Floor) -> None:
        bids = [floor.bid(limit=DEAR) for _ in range(5)]
        await submit(floor, *bids[:2])
        await submit(floor, *bids)
        assert [floor.copies(bid.bid_id) for bid in bids] == [1] * 5

    play(floor, story)


def test_a_bid_at_a_good_price_is_contracted_at_a_price_no_worse(floor: Floor) -> None:
    async def story(floor: Floor) -> None:
        sell, buy = floor.bid(side=Side.SELL, limit=CHEAP), floor.bid(side=Side.BUY, limit=DEAR)
        await submit(floor, sell, buy)
        await floor.close_gate()
        for bid, sign in ((sell, 1), (buy, -1)):
            made = await contracts(floor, bid)
            assert sum(c.energy_wh for c in made) == bid.energy_wh
            assert bid.limit_price is not None
            for contract in made:
                assert contract.bid_id == bid.bid_id
                assert (contract.side, contract.area_id) == (bid.side, AREA)
                assert (contract.period, contract.market_id) == (bid.period, bid.market_id)
                gain = contract.price.micros_per_kwh - bid.limit_price.micros_per_kwh
                assert sign * gain >= 0

    play(floor, story)


def test_a_bid_at_a_bad_price_ends_without_a_contract(floor: Floor) -> None:
    async def story(floor: Floor) -> None:
        sell, buy = floor.bid(side=Side.SELL, limit=DEAR), floor.bid(side=Side.BUY, limit=CHEAP)
        await submit(floor, sell, buy)
        await floor.close_gate()
        assert await contracts(floor, sell) == ()
        assert await contracts(floor, buy) == ()

    play(floor, story)


def test_a_bid_at_any_price_is_contracted(floor: Floor) -> None:
    async def story(floor: Floor) -> None:
        bids = [floor.bid(side=side, limit=None) for side in Side]
        await submit(floor, *bids)
        await floor.close_gate()
        for bid in bids:
            assert sum(c.energy_wh for c in await contracts(floor, bid)) == bid.energy_wh

    play(floor, story)


def test_a_bid_larger_than_the_market_is_contracted_in_part(floor: Floor) -> None:
    async def story(floor: Floor) -> None:
        bid = floor.bid(side=Side.SELL, lots=1000, limit=MARKET_PRICE_LESS_A_STEP)
        await submit(floor, bid)
        await floor.close_gate()
        taken_wh = sum(c.energy_wh for c in await contracts(floor, bid))
        assert 0 < taken_wh < bid.energy_wh
        assert taken_wh % floor.profile.lot_wh == 0

    play(floor, story)


MARKET_PRICE_LESS_A_STEP = Price("JPY", MARKET_PRICE.micros_per_kwh - 200_000)


def test_contracts_are_the_same_whenever_they_are_asked_for(floor: Floor) -> None:
    async def story(floor: Floor) -> None:
        bid = floor.bid(side=Side.SELL, lots=3, limit=CHEAP)
        await submit(floor, bid)
        await floor.close_gate()
        first = await contracts(floor, bid)
        assert await contracts(floor, bid) == first
        await floor.restart()
        assert await contracts(floor, bid) == first
        assert first

    play(floor, story)


def test_an_auction_says_nothing_of_a_bid_before_its_gate(auction_floor: Floor) -> None:
    async def story(floor: Floor) -> None:
        bid = floor.bid(limit=CHEAP)
        await submit(floor, bid)
        outcome = (await floor.venue.outcomes([bid])).get(bid.bid_id)
        assert outcome is None or (not outcome.is_final and not outcome.contracts)

    play(auction_floor, story)


def test_a_withdrawn_bid_is_gone_and_is_never_contracted(floor: Floor) -> None:
    async def story(floor: Floor) -> None:
        bid = floor.bid(limit=DEAR)
        await submit(floor, bid)
        await withdraw(floor, bid)
        assert floor.copies(bid.bid_id) == 0
        await withdraw(floor, bid)
        await floor.close_gate()
        outcome = (await floor.venue.outcomes([bid])).get(bid.bid_id)
        assert outcome is None or not outcome.contracts

    play(floor, story)


async def withdraw(floor: Floor, bid: Bid) -> None:
    try:
        await floor.venue.withdraw(bid)
    except VenueUnavailable:
        await floor.turn()
        await floor.venue.withdraw(bid)


def test_withdrawing_what_was_never_there_changes_nothing(floor: Floor) -> None:
    async def story(floor: Floor) -> None:
        there, not_there = floor.bid(limit=DEAR), floor.bid(limit=DEAR)
        await submit(floor, there)
        await withdraw(floor, not_there)
        assert floor.copies(there.bid_id) == 1

    play(floor, story)


def test_after_the_gate_a_contracted_bid_is_not_given_back(floor: Floor) -> None:
    async def story(floor: Floor) -> None:
        bid = floor.bid(limit=CHEAP)
        await submit(floor, bid)
        await floor.close_gate()
        with pytest.raises(BidRefused) as refused:
            await withdraw(floor, bid)
        assert refused.value.reason in {RefusalReason.GATE_CLOSED, RefusalReason.BID_CONTRACTED}
        assert await contracts(floor, bid)

    play(floor, story)


def test_after_the_gate_a_new_bid_is_refused_and_an_old_one_is_still_known(
    prompt_floor: Floor,
) -> None:
    async def story(floor: Floor) -> None:
        old, late = floor.bid(limit=CHEAP), floor.bid(limit=CHEAP)
        await submit(floor, old)
        await floor.close_gate()
        answers = await floor.venue.submit([old, late])
        assert isinstance(answers[old.bid_id], Taken)
        refused = answers[late.bid_id]
        assert isinstance(refused, Refused)
        assert refused.reason is RefusalReason.GATE_CLOSED
        assert floor.copies(late.bid_id) == 0

    play(prompt_floor, story)


def test_prices_of_an_auction_are_known_after_it(auction_floor: Floor) -> None:
    async def story(floor: Floor) -> None:
        await submit(floor, floor.bid(limit=DEAR))
        assert await floor.venue.prices(DAY) == []
        await floor.close_gate()
        prices = {(p.area_id, p.period): p.price for p in await floor.venue.prices(DAY)}
        assert prices[AREA, floor.period] == MARKET_PRICE

    play(auction_floor, story)
