"""The files that tell the utility what cables transferred: each whole, or as it was before.

One file of everything, or one for each day. They are made anew out of what was reported, so they
never depend on what a process remembers: the one file is written again at each start, and which
days changed since they were written is stored with the reports.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import date, timedelta
from pathlib import Path

import structlog

from utility_adapter.domain.transfers import PeriodTransfer, period_transfers
from utility_adapter.sources.series import NotExpressible
from utility_adapter.sources.source import TransferWriter
from utility_adapter.storage.store import Store

_FIRST_DAY = date(1970, 1, 1)

log = structlog.get_logger()


class Outbox:
    """Writes the files.

    Args:
        store: What was reported.
        file: Of everything; None for none.
        folder: Of one file for each day, `transfers-2026-05-15<suffix>`; None for none.
        suffix: Of the files in the folder.
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
        folder: Path | None = None,
        suffix: str = ".csv",
        write: TransferWriter,
        now: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
        write_every_s: float,
    ) -> None:
        self._store = store
        self._file = file
        self._folder = folder
        self._suffix = suffix
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
        """Write everything that was reported, or the days of it that changed."""
        if self._file is not None:
            await asyncio.to_thread(self._write_all, self._file)
        if self._folder is not None:
            await asyncio.to_thread(self._write_days, self._folder)

    def _write_all(self, file: Path) -> None:
        self._put(file, period_transfers(reports=self._store.transfers()))

    def _write_days(self, folder: Path) -> None:
        for day, changes in self._store.changed_days().items():
            reports = self._store.transfers_of(day)
            of_day = [
                transfer
                for transfer in period_transfers(reports=reports)
                if self._store.day_of(transfer.period.start_s) == day
            ]
            name = f"transfers-{_FIRST_DAY + timedelta(days=day)}{self._suffix}"
            if self._put(folder / name, of_day):
                self._store.told(day, changes)

    def _put(self, file: Path, transfers: Sequence[PeriodTransfer]) -> bool:
        file.parent.mkdir(parents=True, exist_ok=True)
        draft = file.with_name(f".{file.name}")
        try:
            with draft.open("wb") as out:
                self._writer(transfers, out, written_at_s=int(self._now()))
                out.flush()
                os.fsync(out.fileno())
        except NotExpressible as error:
            log.error("outbox.not_written", file=file.name, cause=str(error))
            draft.unlink()
            return False
        draft.replace(file)
        _to_disk(file.parent)
        self.written_s = time.time()
        return True


def _to_disk(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
