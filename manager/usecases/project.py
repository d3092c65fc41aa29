"""Follow the entry log: check, read, derive; woken by commits, resumed after a crash."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from manager.domain.records.logged_entry import LoggedEntry, ReadEntry
from manager.ports import Projection, StoreFull, StoreUnavailable
from manager.usecases.read_entries import EntryReader

MOST_ENTRIES = 250  # of one transaction: so long may a confirmation have to wait for it
MOST_LOADED = 1000  # entries taken from the log at once
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
        """Project what waits, batch by batch; False when there was nothing.

        The next batch is read while one is applied; the log's order is kept.
        """
        entries = await self._projection.pending(MOST_LOADED)
        batches = [entries[at : at + MOST_ENTRIES] for at in range(0, len(entries), MOST_ENTRIES)]
        reading = self._begin_to_read(batches)
        try:
            while reading is not None:
                read = await reading
                reading = self._begin_to_read(batches)
                await self._apply(read)
        finally:
            if reading is not None:
                reading.cancel()
        return bool(entries)

    def _begin_to_read(
        self, batches: list[list[LoggedEntry]]
    ) -> asyncio.Task[list[ReadEntry]] | None:
        """Read the first of the batches and take it away; None when there is none."""
        return asyncio.create_task(self._reader.read(batches.pop(0))) if batches else None

    async def _apply(self, read: list[ReadEntry]) -> None:
        if self._calm is not None:
            await self._calm()
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
        log.info("entries.projected", entries=len(read), quarantined=len(doubted))
        self._projected()
