"""One reader of an instrument that talks by itself, any number of listeners."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Generic, TypeVar

from cable_node.ports import InstrumentError, InstrumentUnavailable

T = TypeVar("T")

# A listener that is so far behind has stopped listening; the newest values are worth most.
_MAX_BEHIND = 256


class Feed(Generic[T]):
    """Runs `read` while somebody listens, and gives each value it publishes to every listener.

    When `read` fails all listeners get its error; the next one to listen starts it again.

    Args:
        read: Opens the line, calls its argument with each value for ever, releases the line when
            cancelled; raises InstrumentError when it cannot go on.
    """

    def __init__(self, read: Callable[[Callable[[T], None]], Awaitable[None]]) -> None:
        self._read = read
        self._queues: set[asyncio.Queue[T | InstrumentError]] = set()
        self._task: asyncio.Task[None] | None = None
        self._closed = False
        self.latest: T | None = None

    async def listen(self) -> AsyncGenerator[T, None]:
        """Values from now on.

        Raises:
            InstrumentError: What `read` raised, or InstrumentUnavailable after `close`.
        """
        queue: asyncio.Queue[T | InstrumentError] = asyncio.Queue()
        self._queues.add(queue)
        try:
            self._start()
            while True:
                item = await queue.get()
                if isinstance(item, InstrumentError):
                    raise item
                yield item
        finally:
            self._queues.discard(queue)

    async def next(self) -> T:
        """The next value.

        Raises:
            InstrumentError: As `listen`.
        """
        async with contextlib.aclosing(self.listen()) as values:
            return await anext(values)

    async def close(self) -> None:
        """Stop reading; listeners get InstrumentUnavailable."""
        self._closed = True
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self._give(InstrumentUnavailable("the driver was closed"))

    def _start(self) -> None:
        if self._closed:
            raise InstrumentUnavailable("the driver was closed")
        if self._task is None:
            self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        try:
            await self._read(self._publish)
        except InstrumentError as failure:
            self._task = None
            self._give(failure)

    def _publish(self, value: T) -> None:
        self.latest = value
        self._give(value)

    def _give(self, item: T | InstrumentError) -> None:
        for queue in self._queues:
            if queue.qsize() >= _MAX_BEHIND:
                queue.get_nowait()
            queue.put_nowait(item)
