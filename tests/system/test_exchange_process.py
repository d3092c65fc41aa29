"""The simulated exchange as a process: a day at high speed, and a kill -9 in the middle of it."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest

from gridcord.chassis.clock import ScaledClock
from gridcord.simulation.processes import Program, ProgramFailed
from gridcord.units import Price
from market_adapter.domain.bids import Bid, Side
from market_adapter.domain.contracts import Outcome
from market_adapter.ports import Taken
from market_adapter.profiles.reader import built_in_profile
from market_adapter.venues.jepx.connection import Endpoint, Pool
from market_adapter.venues.jepx.day_ahead import JepxDayAhead
from tests.contract.trading_floors import AREA, DAY, eventually

SHOWN = datetime(2026, 11, 23, 0, 40, tzinfo=UTC)  # twenty minutes before the gate of DAY
SPEED = 60.0


@pytest.fixture
def exchange(tmp_path: Path) -> Iterator[Program]:
    program = Program(
        module="gridcord.simulation.exchange",
        folder=tmp_path / "exchange",
        settings={
            "market": {"state": "state.sqlite", "tls": "tls", "members": ["0841"]},
            "clock": {
                "speed": SPEED,
                "origin": datetime.now(UTC).isoformat(),
                "simulated_origin": SHOWN.isoformat(),
            },
        },
    )
    program.start()
    yield program
    program.stop()


def make_venue(exchange: Program, clock: ScaledClock) -> JepxDayAhead:
    facts = exchange.wait_ready()
    host, _, port = str(facts["jepx"]).rpartition(":")
    endpoint = Endpoint(
        host=host,
        port=int(port),
        tls=ssl.create_default_context(cafile=str(facts["certificate"])),
        member="0841",
    )
    return JepxDayAhead(
        profile=built_in_profile("jepx.dayahead"),
        pool=Pool(endpoint=endpoint, clock=clock),
        contract_code="ABCD8",
        clock=clock,
        settle_s=0.0,
    )


@pytest.mark.slow
def test_bids_survive_a_kill_and_are_contracted_at_the_gate(exchange: Program) -> None:
    clock = ScaledClock(SPEED, time.time(), SHOWN.timestamp())
    profile = built_in_profile("jepx.dayahead")
    bid = Bid(
        bid_id=uuid4(),
        market_id=profile.market_id,
        area_id=AREA,
        period=profile.calendar.period(DAY, 37),
        side=Side.SELL,
        energy_wh=2 * profile.lot_wh,
        limit_price=Price.per_kwh("JPY", "0.01"),
    )
    outcomes: dict[str, Outcome] = {}

    async def place() -> None:
        venue = make_venue(exchange, clock)
        assert isinstance((await venue.submit([bid]))[bid.bid_id], Taken)
        await venue.close()

    async def wait_for_contract() -> None:
        venue = make_venue(exchange, clock)

        async def ask() -> None:
            while not outcomes:
                found = await venue.outcomes([bid])
                outcomes.update({str(bid_id): o for bid_id, o in found.items()})
                await asyncio.sleep(0.2)

        asking = asyncio.create_task(ask())
        await eventually(lambda: bool(outcomes) or asking.done(), within_s=90)
        await asking
        await venue.close()

    asyncio.run(place())
    exchange.kill()
    exchange.start()
    asyncio.run(wait_for_contract())
    outcome = outcomes[str(bid.bid_id)]
    assert outcome.is_final
    assert sum(contract.energy_wh for contract in outcome.contracts) == bid.energy_wh
    assert clock.now() >= profile.gate_closes_s(bid.period)
    assert exchange.stop() == 0


def test_settings_that_are_wrong_end_it_at_once(tmp_path: Path) -> None:
    program = Program(
        module="gridcord.simulation.exchange",
        folder=tmp_path,
        settings={"market": {"state": "s", "tls": "t", "shown_areas": ["okinawa"]}},
    )
    program.start()
    with pytest.raises(ProgramFailed, match="okinawa"):
        program.wait_ready()
    assert program.stop() == 2
