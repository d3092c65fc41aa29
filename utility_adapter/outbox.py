"""The file that tells the utility what cables transferred: whole, or as it was before.

It is made anew out of everything that was reported, so it never depends on what a process
remembers: at each start it is written again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import structlog

from utility_adapter.domain.transfers import period_transfers
from utility_adapter.sources.series import NotExpressible
from utility_adapter.sources.source import TransferWriter
from utility_adapter.storage.store import Store

log = structlog.get_logger()


class Outbox:
    """Writes one file.

    Args:
        store: What was reported.
        file: Where; None for nowhere.
        write: In which format.
        now: The adapter's clock, seconds since 1970 UTC.
        sleep: Waits, real seconds.
        write_every_s: Not more often than this.
    """

    def __init__(
        self,
        store: Store,
        file: Path | None,
        *,
        write: TransferWriter,
        now: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
        write_every_s: float,
    ) -> None:
        self._store = store
        self._file = file
        self._writer = write
        self._now = now
        self._sleep = sleep
        self._write_every_s = write_every_s
        self.written_s = 0.0  # seconds since 1970 UTC, real time; 0 before the first time
        self._changed = asyncio.Event()
        self._changed.set()  # a process before this one may have died between report and file

    @property
    def waiting(self) -> bool:
        """Something that was reported is not in the file yet."""
        return self._changed.is_set()

    def wake(self) -> None:
        """Something was reported."""
        self._changed.set()

    async def run(self) -> None:
        """Write after each change, for ever."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            await self.write()
            await self._sleep(self._write_every_s)

    async def write(self) -> None:
        """Write everything that was reported."""
        if self._file is not None:
            await asyncio.to_thread(self._write, self._file)

    def _write(self, file: Path) -> None:
        transfers = period_transfers(reports=self._store.transfers())
        file.parent.mkdir(parents=True, exist_ok=True)
        draft = file.with_name(f".{file.name}")
        try:
            with draft.open("wb") as out:
                self._writer(transfers, out, written_at_s=int(self._now()))
        except NotExpressible as error:
            log.error("outbox.not_written", file=file.name, cause=str(error))
            draft.unlink()
            return
        draft.replace(file)
        self.written_s = time.time()
