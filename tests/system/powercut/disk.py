"""A disk as the system sees it and as a power cut may leave it.

What was synced is there. Of everything since, any part may be: each write, truncation, creation or
removal or none of them, in any order, and of a write any of its sectors. One thing is assumed, as
journalling file systems (ext4, xfs) do it: a sync of any file makes earlier creations and removals
durable too.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.system.powercut.recording import Ack, Create, Operation, Sync, Truncate, Unlink, Write

SECTOR = 512
Files = dict[str, bytes]


@dataclass
class Disk:
    """What is durable and what is pending.

    Args:
        durable: Contents by path.
        pending: Operations since the last sync that covered them, in order.
    """

    durable: dict[str, bytearray] = field(default_factory=dict)
    pending: list[Operation] = field(default_factory=list)

    def take(self, operation: Operation) -> None:
        """Let an operation happen."""
        if isinstance(operation, Sync):
            self._sync(operation.path)
        elif not isinstance(operation, Ack):
            self.pending.append(operation)

    def _sync(self, path: str) -> None:
        """Make a file's data durable, and all creations and removals.

        Data of another file that was removed stays pending behind its removal: what is applied in
        order ends in the same content.
        """
        left: list[Operation] = []
        for operation in self.pending:
            if isinstance(operation, Create | Unlink) or _path(operation) == path:
                apply(self.durable, operation)
            else:
                left.append(operation)
        self.pending = left

    def leavings(self, *, samples: int, dice: random.Random) -> Iterator[tuple[str, Files]]:
        """Contents that a power cut now may leave: nothing pending, all of it, random parts."""
        yield "nothing pending", self._after([])
        yield "all pending", self._after(self.pending)
        for _ in range(samples if self.pending else 0):
            yield "a part", self._after(_part(self.pending, dice))

    def _after(self, operations: list[Operation]) -> Files:
        files = {path: bytearray(content) for path, content in self.durable.items()}
        for operation in operations:
            apply(files, operation)
        return {path: bytes(content) for path, content in files.items()}


def _path(operation: Operation) -> str:
    return "" if isinstance(operation, Ack) else operation.path


def _part(pending: list[Operation], dice: random.Random) -> list[Operation]:
    chosen: list[Operation] = []
    for operation in pending:
        match dice.random():
            case luck if luck < 0.5:
                continue
            case luck if luck < 0.75 and isinstance(operation, Write):
                chosen.extend(_torn(operation, dice))
            case _:
                chosen.append(operation)
    return chosen


def _torn(write: Write, dice: random.Random) -> Iterator[Write]:
    """Some of a write's sectors: the first ones, or any."""
    start = write.offset - write.offset % SECTOR
    sectors = list(range(start, write.offset + len(write.data), SECTOR))
    kept = sectors[: dice.randrange(len(sectors) + 1)]
    if dice.random() < 0.5:
        kept = [sector for sector in sectors if dice.random() < 0.5]
    for sector in kept:
        first = max(sector, write.offset) - write.offset
        last = sector + SECTOR - write.offset
        yield Write(write.path, write.offset + first, write.data[first:last])


def apply(files: dict[str, bytearray], operation: Operation) -> None:
    """Perform an operation; one on a file that is not there is void."""
    match operation:
        case Create():
            files.setdefault(operation.path, bytearray())
        case Unlink():
            files.pop(operation.path, None)
        case Write() if operation.path in files:
            content = files[operation.path]
            end = operation.offset + len(operation.data)
            if len(content) < operation.offset:
                content.extend(bytes(operation.offset - len(content)))
            content[operation.offset : end] = operation.data
        case Truncate() if operation.path in files:
            content = files[operation.path]
            del content[operation.size :]
            content.extend(bytes(operation.size - len(content)))
