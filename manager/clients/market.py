"""The market, over gRPC."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

from gridcord.api.market.v1 import market_service_pb2 as pb
from gridcord.api.market.v1.market_service_pb2_grpc import MarketServiceStub
from gridcord.settlement.imbalance import Contract
from gridcord.wire.values import (
    period_from_proto,
    period_to_proto,
    price_from_proto,
    price_to_proto,
    time_from_proto,
)
from manager.clients.peer import Connect, Peer
from manager.domain.bidding.bid import Bid, MarketTerms
from manager.domain.bidding.market_news import AreaContract, ImbalancePrice, MarketNews
from manager.domain.dispatch.demand import Demand
from manager.ports import AreaPrice

if TYPE_CHECKING:
    from gridcord.api.market.v1.market_service_pb2_grpc import MarketServiceAsyncStub


class GrpcMarket:
    """`manager.ports.Market` over gRPC.

    Args:
        connect: Opens channels to the market adapter.
    """

    def __init__(self, connect: Connect) -> None:
        self._peer: Peer[MarketServiceAsyncStub] = Peer("market", connect, MarketServiceStub)

    async def terms(self, market_id: str) -> MarketTerms | None:
        """What a market takes; None when there is none of that id with a gate."""
        async with self._peer.called() as stub:
            response = await stub.ListMarkets(pb.ListMarketsRequest())
        found = [market for market in response.markets if market.market_id == market_id]
        return _terms(found[0]) if found and found[0].HasField("next_gate_time") else None

    async def submit(self, bids: Sequence[Bid]) -> dict[str, str]:
        """Send bids; the reason of each that was refused, by id."""
        async with self._peer.called() as stub:
            response = await stub.SubmitBids(
                pb.SubmitBidsRequest(bids=[_bid(bid) for bid in bids]), timeout=30.0
            )
        return {
            result.bid_id: result.reason
            for result in response.results
            if result.state == pb.BID_STATE_REJECTED
        }

    async def watch_demand(self, cursor: str) -> AsyncIterator[tuple[Demand | None, str]]:
        """Demand as it changes, with the cursor behind each; None is a sign of life."""
        async with self._peer.called() as stub:
            async for response in stub.WatchDemand(pb.WatchDemandRequest(cursor=cursor)):
                has = response.HasField("demand")
                yield (_demand(response.demand) if has else None), response.cursor

    async def watch_contracts(self, cursor: str) -> AsyncIterator[tuple[MarketNews | None, str]]:
        """Contracts as they come, with the cursor behind each; None is a sign of life."""
        async with self._peer.called() as stub:
            request = pb.WatchContractsRequest(cursor=cursor)
            async for response in stub.WatchContracts(request):
                has = response.HasField("contract")
                yield (_contract(response.contract) if has else None), response.cursor

    async def watch_prices(self, cursor: str) -> AsyncIterator[tuple[MarketNews | None, str]]:
        """Imbalance prices as they come, as `watch_contracts`; others are passed over."""
        async with self._peer.called() as stub:
            async for response in stub.WatchPrices(pb.WatchPricesRequest(cursor=cursor)):
                is_one = response.price.kind == pb.PRICE_KIND_IMBALANCE
                yield (_imbalance_price(response.price) if is_one else None), response.cursor

    async def watch_day_ahead(self, cursor: str) -> AsyncIterator[tuple[AreaPrice | None, str]]:
        """Day-ahead prices as they are published; others are passed over."""
        async with self._peer.called() as stub:
            async for response in stub.WatchPrices(pb.WatchPricesRequest(cursor=cursor)):
                is_one = response.price.kind == pb.PRICE_KIND_DAY_AHEAD
                yield (_area_price(response.price) if is_one else None), response.cursor


def _bid(bid: Bid) -> pb.Bid:
    return pb.Bid(
        bid_id=bid.bid_id,
        market_id=bid.market_id,
        area_id=bid.area_id,
        period=period_to_proto(bid.period),
        side=pb.SIDE_BUY if bid.buys else pb.SIDE_SELL,
        energy_wh=bid.energy_wh,
        limit_price=None if bid.limit_price is None else price_to_proto(bid.limit_price),
    )


def _terms(message: pb.Market) -> MarketTerms:
    first = period_from_proto(message.next_gate_first_period)
    return MarketTerms(
        market_id=message.market_id,
        area_ids=tuple(message.area_ids),
        currency=message.currency_code,
        lot_wh=message.lot_wh,
        tick_micros_per_kwh=message.tick_micros_per_kwh,
        gate_s=time_from_proto(message.next_gate_time, field="next_gate_time"),
        gate_first=first,
        gate_count=message.next_gate_period_count,
    )


def _contract(message: pb.Contract) -> AreaContract:
    sign = -1 if message.side == pb.SIDE_BUY else 1
    return AreaContract(
        area_id=message.area_id,
        period=period_from_proto(message.period),
        contract=Contract(
            # Venues number on their own; of two in one adapter the numbers may meet.
            contract_id=f"{message.market_id}/{message.contract_id}",
            energy_wh=sign * message.energy_wh,
            price=price_from_proto(message.price, field="contract.price"),
        ),
    )


def _imbalance_price(message: pb.AreaPrice) -> ImbalancePrice:
    return ImbalancePrice(
        area_id=message.area_id,
        period=period_from_proto(message.period),
        price=price_from_proto(message.price, field="price"),
    )


def _area_price(message: pb.AreaPrice) -> AreaPrice:
    return (
        message.area_id,
        period_from_proto(message.period),
        price_from_proto(message.price, field="price"),
    )


def _demand(message: pb.Demand) -> Demand:
    return Demand(
        area_id=message.area_id,
        period=period_from_proto(message.period),
        target_wh=message.target_wh,
        contracted_wh=message.contracted_wh,
        revision=message.revision,
        sources=tuple(message.sources),
        import_limit_w=message.import_limit_w if message.HasField("import_limit_w") else None,
        export_limit_w=message.export_limit_w if message.HasField("export_limit_w") else None,
        activation=message.activation,
    )
