"""MarketService: one face for the markets."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import grpc

from gridcord.api.market.v1 import market_service_pb2 as pb
from gridcord.api.market.v1.market_service_pb2_grpc import MarketServiceServicer
from gridcord.chassis.authorization import Policy
from gridcord.chassis.failures import Failure, FailureTable
from gridcord.chassis.identity import Kind
from gridcord.wire.values import WireError, is_number, seconds_from_proto
from market_adapter.domain.profile import MarketProfile
from market_adapter.service.market_messages import (
    bid_from_proto,
    bid_id_from_proto,
    bid_to_proto,
    contract_to_proto,
    demand_to_proto,
    market_to_proto,
    price_message,
    result_to_proto,
)
from market_adapter.storage.store import MarketStore, Page
from market_adapter.usecases.desk import Desk

if TYPE_CHECKING:
    Context = grpc.aio.ServicerContext[Any, Any]

_SERVICE = "/gridcord.api.market.v1.MarketService"
_METHODS = (
    "SubmitBids",
    "WithdrawBids",
    "ListBids",
    "ListContracts",
    "WatchContracts",
    "WatchPrices",
    "WatchDemand",
    "ListMarkets",
)
POLICY = Policy({f"{_SERVICE}/{name}": frozenset({Kind.MANAGER}) for name in _METHODS})
FAILURES = FailureTable({WireError: (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")})

MOST = 1000
HEARTBEAT_S = 10.0
LOOK_S = 0.25
_FOR_EVER_S = 2**40

Value = TypeVar("Value")


class MarketServicer(MarketServiceServicer):
    """Serves the manager.

    Args:
        desk: Trades.
        store: What is known.
        profiles: What each market takes.
        now: The adapter's clock, seconds since 1970 UTC.
    """

    def __init__(
        self,
        *,
        desk: Desk,
        store: MarketStore,
        profiles: Mapping[str, MarketProfile],
        now: Callable[[], float],
    ) -> None:
        self._desk = desk
        self._store = store
        self._profiles = profiles
        self._now = now

    async def SubmitBids(
        self, request: pb.SubmitBidsRequest, context: Context
    ) -> pb.SubmitBidsResponse:
        """Send bids to the market; each gets its own result."""
        _check_count(len(request.bids))
        bids = [bid_from_proto(bid) for bid in request.bids]
        results = await self._desk.place(bids)
        return pb.SubmitBidsResponse(
            results=[result_to_proto(bid.bid_id, results[bid.bid_id]) for bid in bids]
        )

    async def WithdrawBids(
        self, request: pb.WithdrawBidsRequest, context: Context
    ) -> pb.WithdrawBidsResponse:
        """Take bids back; each gets its own result."""
        _check_count(len(request.bid_ids))
        bid_ids = [bid_id_from_proto(text) for text in request.bid_ids]
        results = await self._desk.withdraw(bid_ids)
        return pb.WithdrawBidsResponse(
            results=[result_to_proto(bid_id, results[bid_id]) for bid_id in bid_ids]
        )

    async def ListBids(self, request: pb.ListBidsRequest, context: Context) -> pb.ListBidsResponse:
        """Return bids in the order they came."""
        size = _page_size(request.page_size)
        page = await asyncio.to_thread(
            lambda: self._store.bids(
                start_s=_time(request, "start_time", 0),
                end_s=_time(request, "end_time", _FOR_EVER_S),
                after=_number(request.page_token),
                limit=size,
            )
        )
        token = str(page.cursor) if len(page.values) == size else ""
        return pb.ListBidsResponse(
            bids=[bid_to_proto(status) for status in page.values], next_page_token=token
        )

    async def ListContracts(
        self, request: pb.ListContractsRequest, context: Context
    ) -> pb.ListContractsResponse:
        """Return contracts in the order they were made."""
        size = _page_size(request.page_size)
        page = await asyncio.to_thread(
            lambda: self._store.contracts(
                start_s=_time(request, "start_time", 0),
                end_s=_time(request, "end_time", _FOR_EVER_S),
                after=_number(request.page_token),
                limit=size,
            )
        )
        token = str(page.cursor) if len(page.values) == size else ""
        return pb.ListContractsResponse(
            contracts=[contract_to_proto(each) for each in page.values], next_page_token=token
        )

    async def WatchContracts(
        self, request: pb.WatchContractsRequest, context: Context
    ) -> AsyncIterator[pb.WatchContractsResponse]:
        """Stream contracts from a cursor on."""
        async for contract, cursor in _watch(
            lambda after: self._store.contracts(after=after, limit=MOST), request.cursor
        ):
            message = None if contract is None else contract_to_proto(contract)
            yield pb.WatchContractsResponse(contract=message, cursor=cursor)

    async def WatchPrices(
        self, request: pb.WatchPricesRequest, context: Context
    ) -> AsyncIterator[pb.WatchPricesResponse]:
        """Stream prices from a cursor on."""
        async for price, cursor in _watch(
            lambda after: self._store.prices(after=after, limit=MOST), request.cursor
        ):
            message = None if price is None else price_message(price)
            yield pb.WatchPricesResponse(price=message, cursor=cursor)

    async def WatchDemand(
        self, request: pb.WatchDemandRequest, context: Context
    ) -> AsyncIterator[pb.WatchDemandResponse]:
        """Stream demand: first what stands, then each change."""
        from_s = 0 if request.cursor else int(self._now())
        async for demand, cursor in _watch(
            lambda after: self._store.demands(after=after, from_s=from_s, limit=MOST),
            request.cursor,
        ):
            message = None if demand is None else demand_to_proto(demand)
            yield pb.WatchDemandResponse(demand=message, cursor=cursor)

    async def ListMarkets(
        self, request: pb.ListMarketsRequest, context: Context
    ) -> pb.ListMarketsResponse:
        """Return what each market takes: lots, ticks, gates."""
        markets = [
            market_to_proto(profile, now_s=self._now()) for profile in self._profiles.values()
        ]
        return pb.ListMarketsResponse(markets=markets)


async def _watch(
    read: Callable[[int], Page[Value]], cursor: str
) -> AsyncIterator[tuple[Value | None, str]]:
    """Values behind a cursor as they come, each with the page's cursor; None after 10 s."""
    after = _number(cursor)
    quiet_since = time.monotonic()
    while True:
        page = await asyncio.to_thread(read, after)
        for value in page.values[:-1]:
            yield value, str(after)
        for value in page.values[-1:]:
            yield value, str(page.cursor)
        after = page.cursor
        if page.values:
            quiet_since = time.monotonic()
        elif time.monotonic() - quiet_since >= HEARTBEAT_S:
            quiet_since = time.monotonic()
            yield None, str(after)
        else:
            await asyncio.sleep(LOOK_S)


def _check_count(count: int) -> None:
    if not 1 <= count <= MOST:
        raise Failure(
            grpc.StatusCode.INVALID_ARGUMENT, "COUNT_INVALID", f"1 to {MOST} bids, not {count}"
        )


def _page_size(asked: int) -> int:
    if not 0 <= asked <= MOST:
        raise Failure(
            grpc.StatusCode.INVALID_ARGUMENT,
            "PAGE_SIZE_INVALID",
            f"page_size is 0 (for 100) to {MOST}, not {asked}",
        )
    return asked or 100


def _number(text: str) -> int:
    if text and not is_number(text):
        raise Failure(
            grpc.StatusCode.INVALID_ARGUMENT,
            "CURSOR_INVALID",
            "cursor or page_token is not one that this service gave",
        )
    return int(text or 0)


def _time(request: Any, name: str, default: int) -> int:
    if not request.HasField(name):
        return default
    return seconds_from_proto(getattr(request, name), field=name)
