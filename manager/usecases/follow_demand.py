"""Follow what the market asks of the fleet, from a durable cursor."""

from __future__ import annotations

import asyncio

import structlog

from gridcord.chassis.retry import Backoff
from manager.ports import Demands, Market, PeerUnavailable, StoreFull, StoreUnavailable

log = structlog.get_logger()


async def follow_demand(market: Market, demands: Demands) -> None:
    """Take demand as it changes, for ever."""
    backoff = Backoff(first_s=0.5, longest_s=30.0)
    while True:
        try:
            async for demand, cursor in market.watch_demand(await demands.cursor()):
                backoff.reset()
                if demand is not None:
                    await demands.take(demand, cursor)
                    log.info(
                        "demand.taken",
                        area_id=demand.area_id,
                        period=str(demand.period),
                        target_wh=demand.target_wh,
                        revision=demand.revision,
                    )
        except (PeerUnavailable, StoreFull, StoreUnavailable) as error:
            log.warning("stream.lost", stream="market.demand", error=str(error)[:200])
        await asyncio.sleep(backoff.next_s())
