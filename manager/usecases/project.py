"""Follow the entry log: check, read, derive; woken by commits, resumed after a crash."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from manager.ports import Projection, StoreFull, StoreUnavailable
from manager.usecases.read_entries import EntryReader

MOST_ENTRIES = 250  # of one transaction: so long may a confirmation have to wait for it
LOOK_S = 1.0  # real seconds: entries of another process of the manager, or after a failure

log = structlog.get_logger()


class Projector:
    """Derives rows from the log.

    Args:
        projection: Where from and where to.
        reader: Checks and reads entries.
        now: The manager's clock, seconds since 1970 UTC.
        projected: Called after each batch.
        calm: Returns when no burst of entries is being stored, or after a bounded time: what was
            received is confirmed before anything is derived from it.
    """

    def __init__(
        self,
        *,
        projection: Projection,
        reader: EntryReader,
        now: Callable[[], float],
        projected: Callable[[], None] = lambda: None,
        calm: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._projection = projection
        self._reader = reader
        self._now = now
        self._projected = projected
        self._calm = calm
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Something was committed here."""
        self._wake.set()

    async def run(self) -> None:
        """Follow for ever."""
        while True:
            self._wake.clear()
            try:
                while await self.step():
                    pass
            except (StoreFull, StoreUnavailable) as error:
                log.error("entries.not_projected", error=str(error)[:200])
                await asyncio.sleep(LOOK_S)
            try:
                async with asyncio.timeout(LOOK_S):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def step(self) -> bool:
        """Project one batch; False when there was nothing."""
        entries = await self._projection.pending(MOST_ENTRIES)
        if not entries:
            return False
        if self._calm is not None:
            await self._calm()
        read = await self._reader.read(entries)
        await self._projection.apply(read, now_s=int(self._now()))
        doubted = [each for each in read if each.doubt is not None]
        for each in doubted:
            assert each.doubt is not None
            log.warning(
                "entry.quarantined",
                cable_id=each.entry.key.cable_id,
                sequence=each.entry.key.sequence,
                reason=each.doubt.reason,
                detail=each.doubt.detail,
            )
        log.info("entries.projected", entries=len(entries), quarantined=len(doubted))
        self._projected()
        return True
