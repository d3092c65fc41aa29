"""A folder into which the utility puts files: each is taken in whole, or refused with the reason.

A file is moved to `done/` once it is stored, or to `refused/` with a text beside it that says line
and reason. A file that is still being written is left alone until its size rests; senders do best
to write elsewhere and rename.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from pathlib import Path

import structlog

from utility_adapter.sources.defect import FileRefused
from utility_adapter.sources.formats import read_file
from utility_adapter.sources.source import ReadOptions
from utility_adapter.storage.store import Store

DONE = "done"
REFUSED = "refused"

log = structlog.get_logger()


class Inbox:
    """Watches one folder.

    Args:
        folder: Where files arrive; made when missing.
        store: Where they are taken in.
        period_s: Length of the periods wanted, seconds.
        now: The adapter's clock, seconds since 1970 UTC.
        sleep: Waits, real seconds.
        look_s: Between two looks.
    """

    def __init__(
        self,
        folder: Path,
        *,
        store: Store,
        period_s: int,
        now: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
        look_s: float,
    ) -> None:
        self._folder = folder
        self._store = store
        self._period_s = period_s
        self._now = now
        self._sleep = sleep
        self._look_s = look_s
        self._sizes: dict[Path, int] = {}
        self._ended: Callable[[str], None] = lambda _: None
        for name in ("", DONE, REFUSED):
            (folder / name).mkdir(parents=True, exist_ok=True)

    @property
    def waiting(self) -> int:
        """Files that the last look found; what it took in is gone by the next."""
        return len(self._sizes)

    def on_ended(self, ended: Callable[[str], None]) -> None:
        """Have somebody told of each file: "taken" or "refused"."""
        self._ended = ended

    async def run(self) -> None:
        """Watch for ever."""
        while True:
            for path in await asyncio.to_thread(self._resting):
                try:
                    await asyncio.to_thread(self.take, path)
                except OSError as error:  # gone again, or not ours to read: the others wait
                    log.error("file.not_taken", file=path.name, cause=str(error))
            await self._sleep(self._look_s)

    def take(self, path: Path) -> None:
        """Take in one file and move it away.

        Raises:
            OSError: It cannot be read or moved; taking it again does no harm.
        """
        try:
            facts, conflicts = self._read(path)
        except FileRefused as error:
            log.error("file.refused", file=path.name, line=error.line, reason=error.reason)
            (self._folder / REFUSED / f"{path.name}.txt").write_text(f"{error}\n", "utf-8")
            path.replace(self._folder / REFUSED / path.name)
            self._ended("refused")
            return
        log.info("file.taken", file=path.name, facts=facts, conflicts=conflicts)
        path.replace(self._folder / DONE / path.name)
        self._ended("taken")

    def _read(self, path: Path) -> tuple[int, int]:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if self._store.known(path.name, digest):
            return 0, 0
        options = ReadOptions(
            received_at_s=self._now(),
            period_s=self._period_s,
            known_registers=self._store.registers,
        )
        with read_file(path, options) as delivery:
            return self._store.take(delivery, digest=digest, received_s=self._now())

    def _resting(self) -> list[Path]:
        """Files whose size has not changed since the last look, oldest first."""
        found = [
            path
            for path in self._folder.iterdir()
            if path.is_file() and not path.name.startswith(".")
        ]
        sizes = {path: path.stat().st_size for path in found}
        resting = [path for path, size in sizes.items() if self._sizes.get(path) == size]
        self._sizes = sizes
        return sorted(resting, key=lambda path: (path.stat().st_mtime_ns, path.name))
