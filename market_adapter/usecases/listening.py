"""Listening: what feeds say becomes demand."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from gridcord.chassis.clock import Clock
from gridcord.units import Period
from market_adapter.ports import BidStore, FeedUnavailable, SignalFeed

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
