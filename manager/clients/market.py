"""The market, over gRPC."""

from __future__ import annotations

from collections.abc import AsyncIterator

import grpc

from gridcord.api.market.v1 import market_service_pb2 as pb
from gridcord.api.market.v1.market_service_pb2_grpc import MarketServiceStub
from gridcord.chassis.failures import failure_of
from gridcord.wire.values import period_from_proto
from manager.domain.demand import Demand
from manager.ports import PeerUnavailable


class GrpcMarket:
    """`manager.ports.Market` over a channel.

    Args:
        channel: To the market adapter.
    """

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = MarketServiceStub(channel)

    async def watch_demand(self, cursor: str) -> AsyncIterator[tuple[Demand | None, str]]:
        """Demand as it changes, with the cursor behind each; None is a sign of life."""
        try:
            async for response in self._stub.WatchDemand(pb.WatchDemandRequest(cursor=cursor)):
                has = response.HasField("demand")
                yield (_demand(response.demand) if has else None), response.cursor
        except grpc.aio.AioRpcError as error:
            failure = failure_of(error)
            raise PeerUnavailable("market", failure.reason, failure.message) from error


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
