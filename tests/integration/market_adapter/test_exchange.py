"""The adapter and the simulated exchange as processes: a bid, its gate, a part of it contracted."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from gridcord.api.market.v1 import market_service_pb2 as pb
from gridcord.api.market.v1.market_service_pb2_grpc import MarketServiceStub
from gridcord.chassis.clock import SystemClock
from gridcord.chassis.identity import Kind
from gridcord.simulation.processes import Program
from gridcord.simulation.vtn import Vtn, setpoint_event
from tests.integration.adapters import Adapter, first, running_adapter
from tests.integration.market_adapter.trading import (
    AREA,
    PERIOD,
    PROFILE,
    ROUNDS,
    clock,
    has_demand,
    is_heartbeat,
    public_prices,
    sell,
)

LONG_BEFORE = clock(timedelta(hours=20))
LOTS = 100


@pytest.fixture
def exchange(tmp_path: Path) -> Iterator[Program]:
    """An exchange where others want 11 steps of 2 lots, less than we shall sell."""
    folder = tmp_path / "exchange"
    folder.mkdir()
    (folder / "prices.csv").write_text(public_prices(), "utf-8")
    program = Program(
        "gridcord.simulation.exchange",
        folder,
        {
            "market": {
                "state": "state.sqlite",
                "tls": "tls",
                "members": ["0841"],
                "prices": "prices.csv",
                "steps": 5,
                "step_wh": 2 * PROFILE.lot_wh,
            },
            "clock": LONG_BEFORE,
        },
    )
    program.start()
    yield program
    program.stop()


def jepx(exchange: Program) -> dict[str, object]:
    facts = exchange.wait_ready()
    host, _, port = str(facts["jepx"]).rpartition(":")
    return {
        "kind": "jepx",
        "host": host,
        "port": int(port),
        "roots": facts["certificate"],
        "member": "0841",
        "contract_code": "ABCD8",
        **ROUNDS,
    }


async def submit(adapter: Adapter, bid: pb.Bid) -> pb.BidResult:
    async with adapter.channel() as channel:
        stub = MarketServiceStub(channel)
        (result,) = (await stub.SubmitBids(pb.SubmitBidsRequest(bids=[bid]))).results
        again = await stub.SubmitBids(pb.SubmitBidsRequest(bids=[bid]))  # said twice: one bid
        assert [each.state for each in again.results] == [result.state]
        listed = await stub.ListBids(pb.ListBidsRequest())
        assert [each.bid_id for each in listed.bids] == [bid.bid_id]
        return result


def close_the_gate(exchange: Program, adapter: Adapter) -> None:
    """Let both live on a minute of their clock before the gate, each after a kill -9."""
    soon = clock(timedelta(minutes=1), speed=20.0)
    exchange.kill()
    exchange.settings = {**exchange.settings, "clock": soon}
    exchange.start()
    adapter.restart(venue=jepx(exchange), clock=soon)


async def contracted(adapter: Adapter, bid: pb.Bid) -> tuple[pb.Contract, str]:
    """The contract of a bid, and the cursor behind its demand."""
    async with adapter.channel() as channel:
        stub = MarketServiceStub(channel)
        stream = stub.WatchDemand(pb.WatchDemandRequest())
        told = await first(stream, has_demand)
        alive = await first(stream, is_heartbeat)
        (contract,) = (await stub.ListContracts(pb.ListContractsRequest())).contracts
        (held,) = (await stub.ListBids(pb.ListBidsRequest())).bids
        stream.cancel()
    assert told.demand.area_id == AREA
    assert told.demand.period.start_time.seconds == PERIOD.start_s
    assert told.demand.target_wh == told.demand.contracted_wh == -contract.energy_wh
    assert list(told.demand.sources) == [contract.contract_id]
    assert (contract.bid_id, held.state) == (bid.bid_id, pb.BID_STATE_PARTIALLY_CONTRACTED)
    assert 0 < contract.energy_wh < bid.energy_wh
    assert contract.energy_wh % PROFILE.lot_wh == 0
    assert alive.cursor == told.cursor
    return contract, told.cursor


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_bid_is_contracted_in_part_and_its_demand_streams_on_over_restarts(
    tmp_path: Path, exchange: Program
) -> None:
    tables = {"venue": jepx(exchange), "clock": LONG_BEFORE}
    bid = sell(LOTS)

    async def story(adapter: Adapter) -> None:
        assert (await submit(adapter, bid)).state == pb.BID_STATE_SUBMITTED
        await asyncio.to_thread(close_the_gate, exchange, adapter)
        contract, cursor = await contracted(adapter, bid)
        await goes_on(adapter, contract, cursor)

    with running_adapter(Kind.MARKET, tmp_path / "market", tables) as adapter:
        (adapter.program.folder / "vtn-secret").write_text("hush\n")
        asyncio.run(story(adapter))
        assert adapter.program.stop() == 0


async def goes_on(adapter: Adapter, contract: pb.Contract, cursor: str) -> None:
    """After another kill the stream goes on behind the cursor: with what came since, only."""
    vtn = Vtn(clock=SystemClock(), clients={"ven-7": "hush"})
    await vtn.start()
    program = vtn.put("programs", {"programName": "flexibility"})
    vtn.put("events", setpoint_event(program_id=program, first=PERIOD, kilowatts=[-10.0]))
    openadr = {
        "url": vtn.url,
        "client_id": "ven-7",
        "secret_file": "vtn-secret",
        "programs": ["flexibility"],
        "look_s": 1.0,
        "horizon": 200,
    }
    await asyncio.to_thread(adapter.restart, openadr=openadr)
    async with adapter.channel() as channel:
        stream = MarketServiceStub(channel).WatchDemand(pb.WatchDemandRequest(cursor=cursor))
        told = await first(stream, lambda _: True)
        stream.cancel()
    await vtn.stop()
    assert told.demand.contracted_wh == -contract.energy_wh
    assert told.demand.target_wh == -contract.energy_wh - 5_000  # 10 kW for half an hour
    assert told.demand.activation
    assert told.demand.revision > 1
