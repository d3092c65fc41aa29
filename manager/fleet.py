"""Who is connected to this process: the live sessions and what goes out on them.

Nothing here is needed for correctness: it is gone with the process, and cables come back.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Message = TypeVar("Message")
Ended = TypeVar("Ended")


@dataclass(slots=True, eq=False)
class Outbox(Generic[Message, Ended]):
    """What is to be sent on one stream; never blocks whoever puts something in.

    Values under a name replace each other (an acknowledgement, a directive): the reader gets the
    latest. A reader that does not read costs at most `most_queued` messages.
    """

    most_queued: int = 64
    _latest: dict[str, Message] = field(default_factory=dict)
    _queue: deque[Message] = field(default_factory=deque)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _ended: Ended | None = None

    def put_latest(self, name: str, message: Message) -> None:
        """Send this unless something newer of that name comes before."""
        self._latest[name] = message
        self._wake.set()

    def put(self, message: Message) -> None:
        """Send this in order; the oldest is dropped when too many wait."""
        if len(self._queue) >= self.most_queued:
            self._queue.popleft()
        self._queue.append(message)
        self._wake.set()

    def end(self, ended: Ended) -> None:
        """Send what is in, then end; the first reason counts."""
        if self._ended is None:
            self._ended = ended
            self._wake.set()

    async def take(self) -> tuple[list[Message], Ended | None]:
        """Wait for something to send; the reason when it is the last."""
        await self._wake.wait()
        self._wake.clear()
        messages = [*self._latest.values(), *self._queue]
        self._latest.clear()
        self._queue.clear()
        return messages, self._ended


class Linked:
    """A live session that a registry can hold; `superseded` ends it."""

    device_id: str
    fence: int

    def superseded(self) -> None:
        """Another session of the same device took over."""
        raise NotImplementedError


Link = TypeVar("Link", bound=Linked)


class Registry(Generic[Link]):
    """The live sessions of this process, one a device."""

    def __init__(self) -> None:
        self._links: dict[str, Link] = {}

    def __contains__(self, device_id: str) -> bool:
        return device_id in self._links

    def __len__(self) -> int:
        return len(self._links)

    def __iter__(self) -> Iterator[Link]:
        return iter(list(self._links.values()))

    def get(self, device_id: str) -> Link | None:
        """The live session of a device."""
        return self._links.get(device_id)

    def add(self, link: Link) -> None:
        """Register a session; an older one of the same device is ended."""
        before = self._links.get(link.device_id)
        if before is not None and before.fence > link.fence:
            link.superseded()
            return
        self._links[link.device_id] = link
        if before is not None:
            before.superseded()

    def remove(self, link: Link) -> None:
        """Forget a session, unless another took its place."""
        if self._links.get(link.device_id) is link:
            del self._links[link.device_id]
