"""Waiting for what is new in a table, together: one look serves everybody who watches.

The look is at the database, not at this process's memory: another replica may have written.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from typing import TypeVar

import structlog

from manager.ports import StoreFull, StoreUnavailable

LOOK_S = 0.25  # real seconds between two looks

Item = TypeVar("Item")

log = structlog.get_logger()


class Changes:
    """Knows the last number of a table whose rows are numbered as they change.

    It looks only while somebody waits.

    Args:
        last: Reads the last number, >= 0.
        look_s: Real seconds between two looks, > 0.
    """

    def __init__(self, last: Callable[[], Awaitable[int]], *, look_s: float = LOOK_S) -> None:
        self._last = last
        self._look_s = look_s
        self._number = -1
        self._waiting = 0
        self._changed = asyncio.Event()
        self._looking: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """How many wait now."""
        return self._waiting

    async def beyond(self, number: int, *, within_s: float) -> int | None:
        """Wait until the last number is above `number`.

        Args:
            number: The last one that the caller has seen.
            within_s: Real seconds.

        Returns:
            The last number: whoever reads now reads at least up to it. None when nothing came.
        """
        with self._among_those_who_wait(), contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while self._number <= number:
                    await self._changed.wait()
                return self._number
        return None

    async def follow(
        self,
        read: Callable[[int], Awaitable[Sequence[Item]]],
        number_of: Callable[[Item], int],
        *,
        after: int,
        most: int,
        quiet_s: float,
    ) -> AsyncGenerator[tuple[Item | None, int], None]:
        """Rows as they come, for ever; close it to end it.

        Args:
            read: Reads up to `most` rows behind a number, in order.
            number_of: The number of a row.
            after: Where to begin.
            most: Rows a read can give.
            quiet_s: Real seconds without a row after which None says that all is well.

        Yields:
            A row or None, and the number to go on behind.
        """
        seen = after
        while True:
            rows = await read(after)
            for row in rows:
                after = number_of(row)
                yield row, after
            if len(rows) >= most:
                continue
            number = await self.beyond(max(seen, after), within_s=quiet_s)
            if number is None:
                yield None, after
            else:
                seen = number

    @contextlib.contextmanager
    def _among_those_who_wait(self) -> Iterator[None]:
        self._waiting += 1
        if self._looking is None:
            self._looking = asyncio.ensure_future(self._look())
        try:
            yield
        finally:
            self._waiting -= 1

    async def _look(self) -> None:
        """Look while somebody waits."""
        try:
            while self._waiting:
                await self._look_once()
                await asyncio.sleep(self._look_s)
        finally:
            self._looking = None

    async def _look_once(self) -> None:
        try:
            number = await self._last()
        except (StoreFull, StoreUnavailable) as error:
            log.error("changes.not_read", error=str(error)[:200])
            return
        if number != self._number:
            self._number = number
            changed, self._changed = self._changed, asyncio.Event()
            changed.set()
