"""Listening: what feeds say becomes demand, and what sources of prices tell is kept."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from gridcord.chassis.clock import Clock
from gridcord.units import Period
from market_adapter.ports import BidStore, FeedUnavailable, PriceSource, SignalFeed

log = structlog.get_logger()


async def listen_once(
    *, feed: SignalFeed, store: BidStore, clock: Clock, period_length_s: int, horizon: int
) -> bool:
    """Ask a feed and keep what it says of the running and the coming periods.

    Args:
        feed: The feed.
        store: Where its signals are kept.
        clock: Time.
        period_length_s: Length of the market's periods.
        horizon: How many periods, the running one among them.

    Returns:
        Whether it answered; what it said last still stands when it did not.
    """
    running = Period.containing(clock.now(), period_length_s)
    periods: Sequence[Period] = [running.next(n) for n in range(horizon)]
    try:
        signals = await feed.signals(periods)
    except FeedUnavailable as error:
        log.warning("feed.unavailable", feed=feed.name, cause=str(error))
        return False
    await asyncio.to_thread(store.replace_signals, feed.name, signals, from_s=running.start_s)
    return True


async def listen(
    *,
    feed: SignalFeed,
    store: BidStore,
    clock: Clock,
    period_length_s: int,
    horizon: int,
    every_s: float,
) -> None:
    """Ask a feed again and again, until cancelled."""
    while True:
        await listen_once(
            feed=feed, store=store, clock=clock, period_length_s=period_length_s, horizon=horizon
        )
        await clock.sleep(every_s)


async def learn_prices_once(*, source: PriceSource, store: BidStore) -> bool:
    """Ask a source and keep what it tells; returns whether it answered."""
    try:
        prices = await asyncio.to_thread(source.prices)
    except FeedUnavailable as error:
        log.warning("prices.unavailable", source=source.name, cause=str(error))
        return False
    kept = await asyncio.to_thread(store.keep_prices, prices)
    source.kept()
    if kept:
        log.info("prices.kept", source=source.name, count=kept)
    return True


async def learn_prices(
    *, source: PriceSource, store: BidStore, clock: Clock, every_s: float
) -> None:
    """Ask a source again and again, until cancelled."""
    while True:
        await learn_prices_once(source=source, store=store)
        await clock.sleep(every_s)
