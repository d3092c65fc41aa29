"""The JEPX venues against an exchange and a network that fail."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from gridcord.protocols.jepx import calls
from gridcord.protocols.jepx.board import Notice
from gridcord.protocols.jepx.offers import BidType, Offer
from gridcord.simulation.exchange.faults import Fault
from gridcord.simulation.exchange.server import Timing
from gridcord.units import Price
from market_adapter.domain.bids import Bid, RefusalReason, Side
from market_adapter.ports import Refused, Taken, VenueUnavailable
from market_adapter.venues.jepx.board import BoardStream
from market_adapter.venues.jepx.connection import AnswerLost, NotSent, Pool
from tests.contract.trading_floors import DAY, MEMBER, ExchangeFloor, eventually, open_floor

CHEAP, DEAR = Price.per_kwh("JPY", "5.00"), Price.per_kwh("JPY", "50.00")
OFFERS = {"jepx.dayahead": calls.DAY_AHEAD_OFFER, "jepx.intraday": calls.INTRADAY_OFFER}
LISTS = {"jepx.dayahead": calls.DAY_AHEAD_BIDS, "jepx.intraday": calls.INTRADAY_BIDS}

Story = Callable[[ExchangeFloor], Awaitable[None]]


def play(floor: ExchangeFloor, story: Story) -> None:
    async def run() -> None:
        async with open_floor(floor):
            await story(floor)

    asyncio.run(run())


async def submit_until_answered(floor: ExchangeFloor, bids: Sequence[Bid]) -> int:
    """Submit like the desk does, round after round; returns how many rounds it took."""
    waiting = list(bids)
    for attempt in range(1, 10):
        try:
            answers = await floor.venue.submit(waiting)
        except VenueUnavailable:
            continue
        assert all(isinstance(answer, Taken) for answer in answers.values())
        waiting = [bid for bid in waiting if bid.bid_id not in answers]
        if not waiting:
            return attempt
    pytest.fail("the venue never answered")


@pytest.mark.parametrize("market_id", OFFERS)
@pytest.mark.parametrize("fault", Fault)
def test_one_fault_at_the_offer_leaves_one_copy(
    tmp_path: Path, market_id: str, fault: Fault
) -> None:
    floor = ExchangeFloor(folder=tmp_path, market_id=market_id)
    floor.timeout_s = 0.5 if fault is Fault.HANG else 30.0

    async def story(floor: ExchangeFloor) -> None:
        bid = floor.bid(limit=DEAR)
        floor.faults.script(OFFERS[market_id], fault)
        await submit_until_answered(floor, [bid])
        await floor.venue.submit([bid])  # the list is read once more: a surplus copy goes
        assert floor.copies(bid.bid_id) == 1

    play(floor, story)


@pytest.mark.parametrize("market_id", OFFERS)
@pytest.mark.parametrize("fault", [Fault.LOSE_ANSWER, Fault.SERVER_ERROR, Fault.DISCONNECT])
def test_faults_at_the_list_too_leave_one_copy(
    tmp_path: Path, market_id: str, fault: Fault
) -> None:
    floor = ExchangeFloor(folder=tmp_path, market_id=market_id)

    async def story(floor: ExchangeFloor) -> None:
        bids = [floor.bid(limit=DEAR) for _ in range(3)]
        floor.faults.script(OFFERS[market_id], fault, Fault.LOSE_ANSWER, fault)
        floor.faults.script(LISTS[market_id], *[fault] * 5)
        await submit_until_answered(floor, bids)
        assert [floor.copies(bid.bid_id) for bid in bids] == [1, 1, 1]

    play(floor, story)


def test_a_call_that_was_slow_and_given_up_is_waited_for_before_it_is_repeated(
    tmp_path: Path,
) -> None:
    """The exchange processes the offer after the member has hung up."""
    floor = ExchangeFloor(folder=tmp_path, market_id="jepx.intraday", settle_s=60.0)
    floor.timing = Timing(slow_s=2.0)
    floor.timeout_s = 1.0

    async def story(floor: ExchangeFloor) -> None:
        bid = floor.bid(limit=DEAR)
        floor.faults.script(calls.INTRADAY_OFFER, Fault.SLOW)
        submitting = asyncio.create_task(submit_until_answered(floor, [bid]))
        await eventually(lambda: floor.copies(bid.bid_id) == 1)
        assert not submitting.done()
        await floor.clock.advance(60.0)
        assert await submitting == 1
        assert floor.copies(bid.bid_id) == 1
        assert floor.server is not None
        assert floor.server.calls_seen.count(calls.INTRADAY_OFFER) == 1

    play(floor, story)


def test_one_bad_offer_among_many_is_the_only_one_refused(tmp_path: Path) -> None:
    floor = ExchangeFloor(folder=tmp_path, market_id="jepx.dayahead")

    async def story(floor: ExchangeFloor) -> None:
        good = [floor.bid(limit=DEAR) for _ in range(4)]
        bad = floor.bid(limit=Price("JPY", floor.profile.max_price_micros_per_kwh + 10_000))
        answers = await floor.venue.submit([*good[:2], bad, *good[2:]])
        assert all(isinstance(answers[bid.bid_id], Taken) for bid in good)
        refused = answers[bad.bid_id]
        assert isinstance(refused, Refused)
        assert refused.reason is RefusalReason.REFUSED_BY_VENUE
        assert "range" in refused.detail

    play(floor, story)


@pytest.mark.parametrize("market_id", OFFERS)
def test_a_member_the_exchange_does_not_know_is_refused(tmp_path: Path, market_id: str) -> None:
    floor = ExchangeFloor(folder=tmp_path, market_id=market_id)

    async def story(floor: ExchangeFloor) -> None:
        floor.pool = floor.make_pool(member="9999")
        stranger = floor._venue()
        bid = floor.bid(limit=DEAR)
        refused = (await stranger.submit([bid]))[bid.bid_id]
        assert isinstance(refused, Refused)
        assert refused.reason is RefusalReason.NOT_ENTITLED
        with pytest.raises(VenueUnavailable):
            await stranger.outcomes([bid])
        await stranger.close()

    play(floor, story)


def test_an_exchange_that_is_away_is_unavailable_and_nothing_was_sent(tmp_path: Path) -> None:
    floor = ExchangeFloor(folder=tmp_path, market_id="jepx.dayahead")

    async def story(floor: ExchangeFloor) -> None:
        assert floor.server is not None
        await floor.server.stop()
        with pytest.raises(NotSent):
            await floor.venue.submit([floor.bid(limit=DEAR)])

    play(floor, story)


def test_a_pool_never_opens_more_than_five_sockets(tmp_path: Path) -> None:
    floor = ExchangeFloor(folder=tmp_path, market_id="jepx.dayahead")

    async def story(floor: ExchangeFloor) -> None:
        pool: Pool = floor.pool
        await asyncio.gather(*(pool.ask(calls.KEEP_ALIVE, calls.Nothing()) for _ in range(40)))
        assert floor.server is not None
        assert len(floor.server._connections) == 5
        assert floor.server.calls_seen == [calls.KEEP_ALIVE] * 40

    play(floor, story)


def test_an_idle_connection_is_kept_alive_and_a_dead_one_is_replaced(tmp_path: Path) -> None:
    floor = ExchangeFloor(folder=tmp_path, market_id="jepx.dayahead")
    floor.timing = Timing(idle_s=0.3)

    async def story(floor: ExchangeFloor) -> None:
        day = calls.OfDay(delivery_date=DAY)
        assert (await floor.pool.ask(calls.DAY_AHEAD_BIDS, day)).status == "200"
        server = floor.server
        assert server is not None
        await eventually(lambda: not server._connections)  # closed for silence
        assert (await floor.pool.ask(calls.DAY_AHEAD_BIDS, day)).status == "200"

    play(floor, story)


def test_keep_alive_calls_go_out_before_the_exchange_falls_silent(tmp_path: Path) -> None:
    floor = ExchangeFloor(folder=tmp_path, market_id="jepx.dayahead")

    async def story(floor: ExchangeFloor) -> None:
        endpoint = dataclasses.replace(floor.endpoint(), keep_alive_s=0.2)
        pool = Pool(endpoint=endpoint, clock=_RunningClock(floor))
        await pool.ask(calls.DAY_AHEAD_BIDS, calls.OfDay(delivery_date=DAY))
        server = floor.server
        assert server is not None
        await eventually(lambda: server.calls_seen.count(calls.KEEP_ALIVE) >= 3)
        assert len(server._connections) == 1
        await pool.close()

    play(floor, story)


class _RunningClock:
    """The floor's wall clock, but durations as they pass."""

    def __init__(self, floor: ExchangeFloor) -> None:
        self._floor = floor

    def now(self) -> float:
        return self._floor.clock.now()

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def sleep_until(self, instant_s: float) -> None:
        await asyncio.sleep(max(0.0, instant_s - self.now()))


def test_after_a_second_answer_the_connection_is_not_used_again(tmp_path: Path) -> None:
    """An answer says nothing of its call: the surplus one must never answer the next call."""
    floor = ExchangeFloor(folder=tmp_path, market_id="jepx.dayahead")

    async def story(floor: ExchangeFloor) -> None:
        floor.faults.script(calls.KEEP_ALIVE, Fault.DUPLICATE_ANSWER)
        with pytest.raises(AnswerLost):
            await floor.pool.call(calls.KEEP_ALIVE, calls.Nothing())
        answer = await floor.pool.call(calls.DAY_AHEAD_BIDS, calls.OfDay(delivery_date=DAY))
        assert answer.info == ""

    play(floor, story)


def test_a_surplus_intraday_copy_is_deleted_and_the_contracted_one_counts(tmp_path: Path) -> None:
    floor = ExchangeFloor(folder=tmp_path, market_id="jepx.intraday")

    async def story(floor: ExchangeFloor) -> None:
        # The market takes five steps of two lots: the first copy fills, most of the second rests.
        bid = floor.bid(side=Side.SELL, lots=8, limit=Price.per_kwh("JPY", "19.00"))
        floor.faults.script(calls.INTRADAY_OFFER, Fault.DUPLICATE_CALL)
        await submit_until_answered(floor, [bid])
        outcome = (await floor.venue.outcomes([bid]))[bid.bid_id]
        taken_wh = sum(contract.energy_wh for contract in outcome.contracts)
        assert taken_wh == 10 * floor.profile.lot_wh  # both copies' contracts are owed, and shown
        assert floor.copies(bid.bid_id) == 1
        assert outcome.is_final

    play(floor, story)


def test_the_board_follows_the_market_and_finds_its_way_back(tmp_path: Path) -> None:
    floor = ExchangeFloor(folder=tmp_path, market_id="jepx.intraday")

    async def story(floor: ExchangeFloor) -> None:
        await submit_until_answered(floor, [floor.bid(side=Side.SELL, limit=DEAR)])
        stream = BoardStream(endpoint=floor.endpoint(), clock=_RunningClock(floor))
        changes = stream.notices()
        assert await anext(changes) is None
        while stream.board.best(day=DAY, time_cd="37", area_group_cd="A2") != (19_900, 20_100):
            await anext(changes)
        await _read_board(stream, changes, levels=11)

        # Two lots are bought from the best offer: the stream tells, and the board has it.
        bought = floor.bid(side=Side.BUY, lots=2, limit=DEAR)
        await submit_until_answered(floor, [bought])
        while (DAY, "37") not in stream.board.last_trades:
            await anext(changes)
        assert stream.board.last_trades[DAY, "37"].price_jpy_per_mwh == 20_100
        while stream.board.best(day=DAY, time_cd="37", area_group_cd="A2") != (19_900, 20_200):
            await anext(changes)

        # The stream breaks; the board is emptied and told everything anew.
        floor.faults.script(calls.INTRADAY_STREAM, Fault.DISCONNECT)
        await submit_until_answered(floor, [floor.bid(side=Side.BUY, limit=CHEAP)])
        while await anext(changes) is not None:
            pass
        assert not stream.board.open_w
        await _read_board(stream, changes, levels=11)
        assert stream.restarts == 1
        assert stream.board.best(day=DAY, time_cd="37", area_group_cd="A2") == (19_900, 20_200)
        await changes.aclose()

    play(floor, story)


async def _read_board(
    stream: BoardStream, changes: AsyncGenerator[Notice | None], *, levels: int
) -> None:
    while len(stream.board.open_w) < levels:
        await anext(changes)


def test_notes_of_others_are_not_taken_for_ours(tmp_path: Path) -> None:
    floor = ExchangeFloor(folder=tmp_path, market_id="jepx.dayahead")

    async def story(floor: ExchangeFloor) -> None:
        by_hand = Offer(
            delivery_date=DAY,
            area_cd="3",
            time_cd="37",
            bid_type=BidType.SELL_LIMIT,
            price_jpy_per_mwh=50_000,
            volume_w=100_000,
            delivery_contract_cd="ABCD8",
            note="gridcord:by hand",
        )
        offers = calls.Offers(offers=[by_hand, by_hand])
        await floor.pool.call(calls.DAY_AHEAD_OFFER, offers)
        bid = floor.bid(limit=DEAR)
        await submit_until_answered(floor, [bid])
        rows = floor.state.bids(market="DAH", day=DAY, member=MEMBER)
        assert len([row for row in rows if not row.is_deleted]) == 3

    play(floor, story)
