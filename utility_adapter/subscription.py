"""A utility's server that is asked for readings again and again, over Green Button Connect."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import httpx
import structlog

from utility_adapter.sources.defect import FileRefused
from utility_adapter.sources.espi.pull import EspiPull, EspiSubscription
from utility_adapter.sources.pull import PullFailed
from utility_adapter.sources.source import ReadOptions
from utility_adapter.storage.pulls import cursor_of
from utility_adapter.storage.store import Store

log = structlog.get_logger()


class Subscription:
    """Follows one subscription. What it got and how far it got are stored together.

    Args:
        subscription: Whose server, and who we are to it.
        store: Where deliveries are taken in.
        period_s: Length of the periods wanted, seconds.
        now: The adapter's clock, seconds since 1970 UTC.
        monotonic: Seconds of a clock that never steps.
        sleep: Waits, real seconds.
        every_s: Between two questions, unless the server names another time.
    """

    def __init__(
        self,
        subscription: EspiSubscription,
        *,
        store: Store,
        period_s: int,
        now: Callable[[], float],
        monotonic: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
        every_s: float,
    ) -> None:
        self._subscription = subscription
        self._store = store
        self._period_s = period_s
        self._now = now
        self._monotonic = monotonic
        self._sleep = sleep
        self._every_s = every_s

    async def run(self) -> None:
        """Ask for ever."""
        name = self._subscription.batch_url
        cursor = await asyncio.to_thread(lambda: cursor_of(self._store.engine, name))
        async with httpx.AsyncClient() as http:
            pull = EspiPull(self._subscription, http, monotonic=self._monotonic, cursor=cursor)
            while True:
                await self._sleep(await self._ask(pull))

    async def _ask(self, pull: EspiPull) -> float:
        """Take in what is new; returns when to ask again, seconds from now."""
        try:
            delivery = await pull.fetch(
                ReadOptions(
                    received_at_s=self._now(),
                    period_s=self._period_s,
                    known_registers=self._store.registers,
                )
            )
        except PullFailed as error:
            log.warning("pull.failed", cause=str(error), retry_after_s=error.retry_after_s)
            return float(error.retry_after_s or self._every_s)
        except FileRefused as error:
            log.error("pull.refused", source=error.file, line=error.line, reason=error.reason)
            return self._every_s
        if delivery is None:
            return self._every_s
        with delivery:
            received_s = self._now()
            digest = pull.cursor.etag or str(received_s)
            facts, conflicts = await asyncio.to_thread(
                lambda: self._store.take(
                    delivery, digest=digest, received_s=received_s, cursor=pull.cursor
                )
            )
        log.info("pull.taken", source=delivery.name, facts=facts, conflicts=conflicts)
        return self._every_s
