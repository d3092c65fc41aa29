"""The real adapter at the other venues, at a VTN, and with settings that cannot work."""

from __future__ import annotations

import asyncio
import csv
import io
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest

from gridcord.api.market.v1 import market_service_pb2 as pb
from gridcord.api.market.v1.market_service_pb2_grpc import MarketServiceStub
from gridcord.chassis.clock import SystemClock
from gridcord.chassis.exit_codes import ExitCode
from gridcord.chassis.identity import Kind
from gridcord.simulation.exchange.imbalance import imbalance_table
from gridcord.simulation.processes import ProgramFailed
from gridcord.simulation.vtn import Vtn, setpoint_event
from gridcord.units import Period
from market_adapter.venues.file_drop.folder import write_whole
from tests.integration.adapters import Adapter, first, running_adapter, until
from tests.integration.market_adapter.trading import (
    PERIOD,
    PROFILE,
    ROUNDS,
    clock,
    has_demand,
    public_prices,
    sell,
)

BEFORE, AFTER = clock(timedelta(hours=20)), clock(timedelta(minutes=-1))


async def place(stub: Any, bid: pb.Bid) -> pb.BidResult:
    (result,) = (await stub.SubmitBids(pb.SubmitBidsRequest(bids=[bid]))).results
    assert isinstance(result, pb.BidResult)
    return result


async def demand_of(stub: Any, period: Period) -> pb.WatchDemandResponse:
    stream = stub.WatchDemand(pb.WatchDemandRequest())
    told = await first(
        stream,
        lambda message: (
            has_demand(message) and message.demand.period.start_time.seconds == period.start_s
        ),
    )
    stream.cancel()
    assert isinstance(told, pb.WatchDemandResponse)
    return told


def dropped(folder: Path) -> list[dict[str, str]]:
    texts = [path.read_text("utf-8") for path in sorted((folder / "out").glob("bids-*.csv"))]
    return [row for text in texts for row in csv.DictReader(io.StringIO(text))]


def taken(folder: Path, bid: pb.Bid) -> None:
    """The market's answer: it has the bid."""
    answer = f"bid_id,result,venue_bid_id,detail\n{bid.bid_id},TAKEN,v-1,\n"
    write_whole(folder / "in" / "acknowledgements-1.csv", answer.encode())


def contracted(folder: Path, bid: pb.Bid, *, lots: int) -> None:
    """The market's answer: so much of a bid."""
    contract = (
        "contract_id,bid_id,energy_wh,currency,price_per_kwh,made_at\n"
        f"c-1,{bid.bid_id},{lots * PROFILE.lot_wh},JPY,21.50,2026-11-23T01:10:00Z\n"
    )
    write_whole(folder / "in" / "contracts-1.csv", contract.encode())


def test_files_out_and_in_make_a_contract(tmp_path: Path) -> None:
    folder = tmp_path / "drop"
    venue = {"kind": "file_drop", "folder": str(folder), **ROUNDS}
    bid = sell(4)

    async def story(adapter: Adapter) -> None:
        async with adapter.channel() as channel:
            stub = MarketServiceStub(channel)
            assert (await place(stub, bid)).state == pb.BID_STATE_SUBMITTING
            (row,) = dropped(folder)
            assert (row["action"], row["bid_id"]) == ("PLACE", bid.bid_id)
            assert (row["side"], row["energy_wh"]) == ("SELL", str(bid.energy_wh))
            taken(folder, bid)
            await until(
                lambda: stub.ListBids(pb.ListBidsRequest()),
                lambda listed: listed.bids[0].state == pb.BID_STATE_SUBMITTED,
            )
            contracted(folder, bid, lots=3)
            told = await demand_of(stub, PERIOD)
        assert told.demand.target_wh == -3 * PROFILE.lot_wh
        assert (folder / "in" / "contracts-1.csv.ok").exists()

    tables = {"venue": venue, "clock": BEFORE}
    with running_adapter(Kind.MARKET, tmp_path / "market", tables) as adapter:
        asyncio.run(story(adapter))


def test_contracts_of_two_venues_make_one_demand(tmp_path: Path) -> None:
    """Sold day-ahead, bought back in part during the day, in one process."""
    folders = {name: tmp_path / name for name in ("venue", "intraday")}
    sold, bought = sell(4), sell(1)
    bought.market_id, bought.side = "jepx.intraday", pb.SIDE_BUY

    async def story(adapter: Adapter) -> None:
        async with adapter.channel() as channel:
            stub = MarketServiceStub(channel)
            listed = await stub.ListMarkets(pb.ListMarketsRequest())
            assert {each.market_id for each in listed.markets} == {"jepx.dayahead", "jepx.intraday"}
            await place(stub, sold)
            assert (await place(stub, bought)).reason == "GATE_NOT_OPEN"
        adapter.restart(clock=clock(timedelta(hours=-8)))  # the evening before
        bought.bid_id = sell(1).bid_id
        async with adapter.channel() as channel:
            stub = MarketServiceStub(channel)
            await place(stub, bought)
            for folder, bid, lots in zip(folders.values(), (sold, bought), (4, 1), strict=True):
                (row,) = dropped(folder)
                assert row["bid_id"] == bid.bid_id
                taken(folder, bid)
                contracted(folder, bid, lots=lots)
            stream = stub.WatchDemand(pb.WatchDemandRequest())
            await first(
                stream,
                lambda each: has_demand(each) and each.demand.target_wh == -3 * PROFILE.lot_wh,
            )
            stream.cancel()

    tables: dict[str, Any] = {
        name: {"kind": "file_drop", "folder": str(folder), **ROUNDS}
        for name, folder in folders.items()
    }
    with running_adapter(Kind.MARKET, tmp_path / "market", tables | {"clock": BEFORE}) as adapter:
        asyncio.run(story(adapter))


def test_an_auction_around_a_file_of_prices(tmp_path: Path) -> None:
    prices = tmp_path / "spot_summary.csv"
    prices.write_bytes(public_prices("21.00").encode("cp932"))
    venue = {
        "kind": "price_file",
        "prices": str(prices),
        "journal": str(tmp_path / "auction.jsonl"),
        **ROUNDS,
    }
    bid = sell(2)

    async def story(adapter: Adapter) -> None:
        async with adapter.channel() as channel:
            assert (await place(MarketServiceStub(channel), bid)).state == pb.BID_STATE_SUBMITTED
        adapter.restart(clock=AFTER)
        async with adapter.channel() as channel:
            stub = MarketServiceStub(channel)
            told = await demand_of(stub, PERIOD)
            (contract,) = (await stub.ListContracts(pb.ListContractsRequest())).contracts
            price = await first(
                stub.WatchPrices(pb.WatchPricesRequest()), lambda message: message.HasField("price")
            )
        assert told.demand.target_wh == -bid.energy_wh
        # Selling moves the market against us, by no more than a step here.
        assert 20_500_000 <= contract.price.price_micros_per_kwh <= 21_000_000
        assert (price.price.area_id, price.price.market_id) == ("tokyo", PROFILE.market_id)

    tables = {"venue": venue, "clock": BEFORE}
    with running_adapter(Kind.MARKET, tmp_path / "market", tables) as adapter:
        asyncio.run(story(adapter))


def test_what_an_imbalance_costs_is_told_and_told_again(tmp_path: Path) -> None:
    folder = tmp_path / "imbalance"
    folder.mkdir()

    def publish(jpy_per_mwh: int) -> None:
        text = imbalance_table({PERIOD: jpy_per_mwh}, areas=["tokyo"], published_s=PERIOD.end_s)
        write_whole(folder / "imbalance_202611.csv", text.encode("cp932"))

    async def told(stream: Any) -> pb.AreaPrice:
        price = (await first(stream, lambda message: message.HasField("price"))).price
        assert isinstance(price, pb.AreaPrice)
        return price

    async def story(adapter: Adapter) -> None:
        publish(12_340)
        async with adapter.channel() as channel:
            stream = MarketServiceStub(channel).WatchPrices(pb.WatchPricesRequest())
            price = await told(stream)
            assert price.kind == pb.PRICE_KIND_IMBALANCE
            assert (price.market_id, price.area_id) == ("imbalance", "tokyo")
            assert price.period.start_time.seconds == PERIOD.start_s
            assert price.price.price_micros_per_kwh == 12_340_000
            publish(-10)
            assert (await told(stream)).price.price_micros_per_kwh == -10_000

    tables = {"imbalance": {"folder": str(folder), "look_s": 0.1}}
    with running_adapter(Kind.MARKET, tmp_path / "market", tables) as adapter:
        asyncio.run(story(adapter))


def test_demand_response_becomes_demand_and_ends_with_its_event(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hush\n", "utf-8")

    async def story() -> None:
        vtn = Vtn(clock=SystemClock(), clients={"ven-7": "hush"})
        await vtn.start()
        program = vtn.put("programs", {"programName": "flexibility"})
        event = setpoint_event(program_id=program, first=PERIOD, kilowatts=[-35.0, 20.0])
        event_id = vtn.put("events", event)
        openadr = {
            "url": vtn.url,
            "client_id": "ven-7",
            "secret_file": str(tmp_path / "secret"),
            "programs": ["flexibility"],
            "area": "kansai",
            "look_s": 0.2,
            "horizon": 200,
        }
        tables = {"openadr": openadr, "clock": BEFORE}
        with running_adapter(Kind.MARKET, tmp_path / "market", tables) as adapter:
            await asyncio.to_thread(adapter.program.wait_ready)  # the VTN lives in this loop
            async with adapter.channel() as channel:
                stub = MarketServiceStub(channel)
                begun = await demand_of(stub, PERIOD)
                after = await demand_of(stub, PERIOD.next())
                del vtn.objects["events"][event_id]
                stream = stub.WatchDemand(pb.WatchDemandRequest(cursor=after.cursor))
                ended = await first(
                    stream, lambda each: has_demand(each) and not each.demand.target_wh
                )
                stream.cancel()
        await vtn.stop()
        assert (begun.demand.area_id, begun.demand.target_wh) == ("kansai", -17_500)
        assert begun.demand.activation
        assert after.demand.target_wh == 10_000
        assert ended.demand.revision > begun.demand.revision

    asyncio.run(story())


def test_nobody_but_a_manager_may_bid_and_no_other_adapter_may_have_the_store(
    tmp_path: Path,
) -> None:
    store = {"file": str(tmp_path / "one.db")}

    async def story(adapter: Adapter) -> None:
        async with grpc.aio.insecure_channel(adapter.address) as plain:
            with pytest.raises(grpc.aio.AioRpcError) as refusal:
                await MarketServiceStub(plain).ListBids(pb.ListBidsRequest(), timeout=30)
        assert refusal.value.code() is grpc.StatusCode.UNAVAILABLE
        async with adapter.channel() as channel:  # without a venue: everything but a market
            stub = MarketServiceStub(channel)
            assert not (await stub.ListMarkets(pb.ListMarketsRequest())).markets
            result = await place(stub, sell(1))
        assert (result.state, result.reason) == (pb.BID_STATE_REJECTED, "UNKNOWN_MARKET")

    with running_adapter(Kind.MARKET, tmp_path / "one", {"store": store}) as one:
        asyncio.run(story(one))
        with running_adapter(Kind.MARKET, tmp_path / "two", {"store": store}) as two:
            assert refused(two).endswith("is held by another process")
        assert one.program.stop() == ExitCode.OK


def test_settings_that_cannot_work_end_it_at_once_with_the_key(tmp_path: Path) -> None:
    tables = {"venue": {"kind": "file_drop"}}
    with running_adapter(Kind.MARKET, tmp_path, tables) as adapter:
        assert refused(adapter) == "gridcord-market-adapter: venue.folder: file_drop needs it"


def refused(adapter: Adapter) -> str:
    """The last words of an adapter that ends at once."""
    with pytest.raises(ProgramFailed, match="ended at once"):
        adapter.program.wait_ready()
    assert adapter.program.stop() == ExitCode.USAGE
    return adapter.program.log.read_text("utf-8").splitlines()[-1]
