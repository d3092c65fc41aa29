"""The market adapter's figures for Prometheus; `docs/operating.md` says what to alert on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from prometheus_client import REGISTRY, CollectorRegistry, Gauge

from market_adapter.storage.store import MarketStore

READ_EVERY_S = 2.0  # real seconds


class BidWatch:
    """Tells how many bids are open.

    Args:
        store: Where they are.
        sleep: Waits, real seconds.
        registry: Where the figures are kept.
    """

    def __init__(
        self,
        store: MarketStore,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        registry: CollectorRegistry = REGISTRY,
    ) -> None:
        self._store = store
        self._sleep = sleep
        self._open = Gauge(
            "gridcord_market_open_bids",
            "Bids to which something may still happen, by state; SUBMITTING is the outbox",
            ["state"],
            registry=registry,
        )
        self._read_at = Gauge(
            "gridcord_market_figures_read_timestamp_seconds",
            "When the store was read last",
            registry=registry,
        )

    async def run(self) -> None:
        """Read for ever."""
        while True:
            for state, count in (await asyncio.to_thread(self._store.open_bids)).items():
                self._open.labels(state.value).set(count)
            self._read_at.set(time.time())
            await self._sleep(READ_EVERY_S)
