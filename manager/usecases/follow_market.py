"""Follow contracts and imbalance prices, each from a durable cursor: the ledger settles by them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import structlog

from gridcord.chassis.retry import Backoff
from manager.domain.bidding.market_news import MarketNews
from manager.ports import MarketFacts, PeerUnavailable, StoreFull, StoreUnavailable

News = AsyncIterator[tuple[MarketNews | None, str]]

log = structlog.get_logger()


async def follow_market(watch: Callable[[str], News], facts: MarketFacts, stream: str) -> None:
    """Take what the market tells on a stream, for ever.

    Args:
        watch: Opens the stream behind a cursor.
        facts: Where it is kept.
        stream: Under which name its cursor is kept.
    """
    backoff = Backoff(first_s=0.5, longest_s=30.0)
    while True:
        try:
            async for news, cursor in watch(await facts.cursor(stream)):
                backoff.reset()
                if news is not None:
                    await facts.take(news, stream, cursor)
                    log.info("market.told", stream=stream, period=str(news.period))
        except (PeerUnavailable, StoreFull, StoreUnavailable) as error:
            log.warning("stream.lost", stream=stream, error=str(error)[:200])
        await asyncio.sleep(backoff.next_s())
