"""Commits entries as the manager does and says so: `store_writer.py FILE COMMITS [PRAGMA]`.

Each step is one transaction of the shipped committer's: several cables, some duplicates, and now
and then the second version of an entry, which goes to quarantine.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import sqlalchemy as sa

from gridcord.session.entry import EntryKey, digest_of
from gridcord.session.manager import Offer
from gridcord.session.opening import CableCursor, Lineage
from manager.ports import ReceivedEntry
from manager.storage.engine import Database
from manager.storage.log.journals import commit_entries, store_cursor
from manager.storage.schema import migrate

CABLES = 3
FENCE = 1
EPOCH = 7
FIRST_PERIOD_S = 1_800_000_000


def body_of(cable: int, sequence: int) -> bytes:
    """The body of an entry, different in each, of the size of a real one."""
    return (b"cable %d entry %d;" % (cable, sequence)) * (15 + (cable + sequence) % 7)


def entry(cable: int, sequence: int, body: bytes) -> ReceivedEntry:
    """An entry as the service hands it to the committer."""
    return ReceivedEntry(
        Offer(
            key=EntryKey(f"cable-{cable}", EPOCH, sequence),
            digest=digest_of(body),
            fence=FENCE,
            previous_sequence=sequence - 1,
        ),
        "TRANSFER",
        FIRST_PERIOD_S + 1800 * sequence,
        body,
        b"signature",
    )


def step(number: int) -> list[ReceivedEntry]:
    """What the commit of a number brings: one entry of each cable, and what happens besides."""
    batch = [entry(cable, number, body_of(cable, number)) for cable in range(CABLES)]
    if number > 1 and number % 3 == 0:
        batch.append(entry(0, number - 1, body_of(0, number - 1)))  # a duplicate
    if number > 1 and number % 5 == 0:
        batch.append(entry(1, number - 1, b"another version of %d" % number))
    return batch


def main() -> None:
    """Make the tables, open the sessions, then commit and acknowledge step by step."""
    path, count = Path(sys.argv[1]), int(sys.argv[2])
    database = Database(f"sqlite:///{path}")
    # The log is folded back often, so that cuts meet checkpoints too.
    _set(database, "wal_autocheckpoint=64")
    for bug in sys.argv[3:]:
        _set(database, bug)
    migrate(database)
    asyncio.run(_commit(database, count))
    os._exit(0)  # as a power cut: nothing is closed


def _set(database: Database, pragma: str) -> None:
    """Set something on the connection that writes."""
    sa.event.listen(
        database._writer, "connect", lambda raw, _record: raw.execute(f"PRAGMA {pragma}")
    )


async def _commit(database: Database, count: int) -> None:
    cursor = CableCursor(fence=FENCE, lineages=(Lineage(journal_epoch=EPOCH),))
    for cable in range(CABLES):
        await database.write(
            lambda c, name=f"cable-{cable}": store_cursor(  # type: ignore[misc]
                c, name, cursor, signing_key=b"key", now_s=0
            )
        )
    os.write(1, b"ACK 0\n")
    for number in range(1, count + 1):
        await database.write(lambda c, n=number: commit_entries(c, step(n), now_s=n))  # type: ignore[misc]
        os.write(1, b"ACK %d\n" % number)


if __name__ == "__main__":
    main()
