"""kill -9 at every step of bidding, with answers lost on top: no bid lost, none doubled.

Each life of the adapter is a real process with the real store, the real sockets and the real
exchange protocol. It kills itself before the first, then before the second, ... line of its own
source that it runs, so every place where it can die is visited, whatever its last words were.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import signal
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from uuid import UUID, uuid5

import pytest

from gridcord.simulation.exchange.faults import Fault, FaultPlan
from gridcord.units import Price
from market_adapter.domain.bids import Bid, Side
from market_adapter.domain.lifecycle import BidState
from market_adapter.storage.store import MarketStore
from market_adapter.venues.jepx.notes import bid_id_of
from tests.contract.trading_floors import AREA, DAY, MEMBER, ExchangeFloor, open_floor
from tests.system.adapter_process import Life, live

_SPACE = UUID("7a1f6c1e-5a43-4d7e-9a55-0c6f3d1e2b4a")
_UNREACHABLE = Price.per_kwh("JPY", "50.00")  # no contract comes in between

FAULTS = {Fault.LOSE_ANSWER: 0.12, Fault.DISCONNECT: 0.04, Fault.SERVER_ERROR: 0.04}

RunLife = Callable[[Sequence[Bid], int], Awaitable[int]]


def wanted(floor: ExchangeFloor, number: int) -> Bid:
    """The so-many-th bid the manager asks for."""
    return Bid(
        bid_id=uuid5(_SPACE, str(number)),
        market_id=floor.profile.market_id,
        area_id=AREA,
        period=floor.profile.calendar.period(DAY, 1 + number % 48),
        side=Side.SELL,
        energy_wh=floor.profile.lot_wh,
        limit_price=_UNREACHABLE,
    )


def copies_at_exchange(floor: ExchangeFloor) -> Counter[UUID]:
    market = "DAH" if floor.profile.market_id == "jepx.dayahead" else "ITD"
    rows = floor.state.bids(market=market, day=DAY, member=MEMBER)
    live_rows = [row for row in rows if not row.is_deleted and row.target_bid_no is None]
    ids = [bid_id_of(row.offer.note) for row in live_rows]
    return Counter(bid_id for bid_id in ids if bid_id is not None)


def run_life(floor: ExchangeFloor) -> RunLife:
    """Starts lives: forked from a server that has everything imported, so each is quick."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.system.adapter_process"])

    async def run(bids: Sequence[Bid], kill_at: int) -> int:
        life = Life(
            folder=floor.folder,
            port=floor.port,
            member=MEMBER,
            market_id=floor.profile.market_id,
            now_s=floor.clock.now(),
            bids=tuple(bids),
            kill_at=kill_at,
        )
        process = context.Process(target=live, args=(life,))
        await asyncio.to_thread(process.start)
        await asyncio.to_thread(process.join)
        assert process.exitcode is not None
        await floor.settled()
        return process.exitcode

    return run


async def kill_everywhere(floor: ExchangeFloor, run: RunLife, *, kills: int) -> int:
    """Live `kills` killed lives, each with a new bid and the one before said again.

    Returns:
        How many bids the manager asked for.
    """
    assert await run([wanted(floor, 0)], 0) == 0
    lines = int((floor.folder / "lines").read_text())
    count = 1
    done = 0
    while done < kills:
        kill_at = 1 + (done * lines) // kills
        code = await run([wanted(floor, count - 1), wanted(floor, count)], kill_at)
        # A life whose answers were lost takes other ways and may end before its line comes.
        assert code in {-signal.SIGKILL, 0}
        done += code == -signal.SIGKILL
        count += 1
        assert max(copies_at_exchange(floor).values()) == 1
    return count


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("market_id", "kills"), [("jepx.dayahead", 150), ("jepx.intraday", 60)])
def test_no_bid_is_lost_and_none_is_doubled(tmp_path: Path, market_id: str, kills: int) -> None:
    floor = ExchangeFloor(folder=tmp_path, market_id=market_id)

    async def story() -> None:
        async with open_floor(floor):
            run = run_life(floor)
            floor.faults = FaultPlan(seed=1, chances=FAULTS)
            assert floor.server is not None
            floor.server.faults = floor.faults
            count = await kill_everywhere(floor, run, kills=kills)
            floor.server.faults = FaultPlan()

            # One quiet life: what was durable is at the exchange, once each, asked for or not.
            assert await run([], 0) == 0
            store = MarketStore(tmp_path / "adapter.sqlite")
            kept = store.bids(start_s=0, end_s=2**40, limit=10_000).values
            store.close()
            assert {status.state for status in kept} == {BidState.SUBMITTED}
            assert copies_at_exchange(floor) == Counter(s.bid.bid_id for s in kept)

            # The manager says everything again: now all of it is there, once each.
            everything = [wanted(floor, number) for number in range(count)]
            assert await run(everything, 0) == 0
            assert copies_at_exchange(floor) == Counter(bid.bid_id for bid in everything)

    asyncio.run(story())
