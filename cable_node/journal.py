"""The cable's journal: every entry is signed, numbered and on disk before anybody hears of it.

State that must agree with the entries (register snapshots, the matcher) is written in the same
transaction. Energy between two instants is the difference of cumulative registers, so an entry that
could not be written costs a record, never a watt-hour.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ParamSpec, Self, TypeVar

from cable_node.journal_file import (
    JournalBroken,
    JournalError,
    JournalFull,
    declared,
    open_file,
    transaction,
)
from gridcord.session.cable_state import Durable, Hole
from gridcord.session.entry import digest_of

__all__ = [
    "AsyncJournal",
    "Journal",
    "JournalBroken",
    "JournalError",
    "JournalFull",
    "NumberTaken",
    "WrittenEntry",
]

RETENTION_S = 90 * 86_400.0
# Earlier stamps are those of a board that booted without a clock.
_EARLIEST_S = 1_577_836_800  # 2020-01-01

P = ParamSpec("P")
T = TypeVar("T")


class NumberTaken(JournalError):
    """The entry was signed under a number that is not the next: sign it anew and try again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenEntry:
    """An entry as it was written.

    Args:
        sequence: Its number.
        body: The bytes that were signed.
        signature: Over its identity and body.
        created_s: When it was written, seconds since 1970 UTC by the clock of then.
    """

    sequence: int
    body: bytes
    signature: bytes
    created_s: int


class Journal:
    """The journal. Blocking, for one thread; `AsyncJournal` is for the event loop.

    Args:
        path: The file; made when it does not exist.

    Raises:
        JournalError: See the class raised; the same holds for all methods.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._database = open_file(path)
        self._load()

    @property
    def durable(self) -> Durable:
        """What the session engine starts from."""
        return self._durable

    @property
    def next_pagination(self) -> int:
        """The pagination of the next fiscal record (OCMF `PG: F<n>`), from 1 without a gap."""
        return self._next_pagination

    def close(self) -> None:
        """Close the file; the journal is complete at any moment, also without this."""
        self._database.close()

    def append(
        self,
        *,
        sequence: int,
        body: bytes,
        signature: bytes,
        created_s: float,
        fiscal: bool = False,
        state: Mapping[str, bytes] | None = None,
    ) -> int:
        """Write an entry; it is on disk when this returns.

        Args:
            sequence: The number it was signed under.
            body: The bytes that were signed.
            signature: Over its identity, hence also its number, and body.
            created_s: Now, seconds since 1970 UTC.
            fiscal: It carries the next pagination.
            state: Named values to be written with it, all or nothing.

        Returns:
            The number.

        Raises:
            NumberTaken: The number is not the next; the journal may have jumped meanwhile.
        """
        with self._transaction():
            following = self._durable.next_sequence
            if sequence != following:
                message = f"entry {sequence}: {following} is next"
                raise NumberTaken(message)
            self._database.execute(
                "INSERT INTO entry VALUES (?, ?, ?, ?, ?)",
                (sequence, body, signature, digest_of(body), int(created_s)),
            )
            self._database.execute(
                "UPDATE journal SET next_sequence = ?, next_pagination = next_pagination + ?",
                (sequence + 1, int(fiscal)),
            )
            self._write_state(state or {})
        self._load()
        return sequence

    def entries(self, *, from_sequence: int, limit: int) -> list[WrittenEntry]:
        """Entries from a number on, in order, at most `limit`.

        Raises:
            JournalBroken: An entry is not what was written.
        """
        with declared(self._path):
            rows = self._database.execute(
                "SELECT sequence, body, signature, digest, created_s FROM entry"
                " WHERE sequence >= ? ORDER BY sequence LIMIT ?",
                (from_sequence, limit),
            ).fetchall()
        for sequence, body, _, digest, _ in rows:
            if digest != digest_of(body):
                message = f"{self._path}: entry {sequence} is not what was written"
                raise JournalBroken(message)
        return [
            WrittenEntry(sequence=sequence, body=body, signature=signature, created_s=created_s)
            for sequence, body, signature, _, created_s in rows
        ]

    def entry(self, sequence: int) -> WrittenEntry:
        """One entry.

        Raises:
            JournalBroken: There is none, or it is not what was written.
        """
        for entry in self.entries(from_sequence=sequence, limit=1):
            if entry.sequence == sequence:
                return entry
        message = f"{self._path}: no entry {sequence}"
        raise JournalBroken(message)

    def note_acked(self, sequence: int) -> None:
        """Remember how far the manager has the journal; lower than before after its restore."""
        self._set("acked_sequence = ?", sequence)

    def note_fence(self, fence: int) -> None:
        """Remember the highest fence seen; it never falls."""
        self._set("last_fence = max(last_fence, ?)", fence)

    def jump_to(self, sequence: int) -> None:
        """Let the next entry have at least this number; what is skipped stays a hole."""
        following = self._durable.next_sequence
        if sequence <= following:
            return
        with self._transaction():
            self._database.execute("INSERT INTO hole VALUES (?, ?)", (following, sequence - 1))
            self._database.execute("UPDATE journal SET next_sequence = ?", (sequence,))
        self._load()

    def prune(self, *, now_s: float, retention_s: float = RETENTION_S) -> int:
        """Give up entries that are confirmed and old. Call it with a synchronised clock only.

        Entries stamped by a clock that was never set are as old as the next one that was.

        Args:
            now_s: Seconds since 1970 UTC.
            retention_s: Keep confirmed entries this long: a manager that is restored from a backup
                is refilled from them.

        Returns:
            The oldest entry still held, the next number when there is none.
        """
        before_s = now_s - retention_s
        with self._transaction():
            self._database.execute(
                "DELETE FROM entry WHERE sequence <= ("
                "  SELECT max(sequence) FROM entry WHERE created_s >= ? AND created_s < ?"
                "    AND sequence <= (SELECT acked_sequence FROM journal)"
                "    AND sequence < coalesce("
                "      (SELECT min(sequence) FROM entry WHERE created_s >= ?), sequence + 1))",
                (_EARLIEST_S, before_s, before_s),
            )
        self._load()
        return self._durable.oldest_retained

    def remember(self, state: Mapping[str, bytes]) -> None:
        """Write named values, all or nothing."""
        with self._transaction():
            self._write_state(state)

    def recall(self, name: str) -> bytes | None:
        """A named value; None when it was never written."""
        with declared(self._path):
            query = "SELECT value FROM state WHERE name = ?"
            found = self._database.execute(query, (name,)).fetchone()
        return None if found is None else bytes(found[0])

    def _transaction(self) -> contextlib.AbstractContextManager[None]:
        return transaction(self._database, self._path)

    def _set(self, assignment: str, value: int) -> None:
        with self._transaction():
            self._database.execute(f"UPDATE journal SET {assignment}", (value,))  # noqa: S608
        self._load()

    def _write_state(self, state: Mapping[str, bytes]) -> None:
        self._database.executemany(
            "INSERT INTO state VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value",
            state.items(),
        )

    def _load(self) -> None:
        """Bring what is held in memory in step with the file."""
        with declared(self._path):
            epoch, following, acked, fence, pagination, oldest = self._database.execute(
                "SELECT journal_epoch, next_sequence, acked_sequence, last_fence, next_pagination,"
                " (SELECT min(sequence) FROM entry) FROM journal"
            ).fetchone()
            holes = self._database.execute("SELECT first, last FROM hole ORDER BY first")
            self._next_pagination = int(pagination)
            self._durable = Durable(
                journal_epoch=epoch,
                next_sequence=following,
                oldest_retained=following if oldest is None else oldest,
                acked_sequence=acked,
                last_fence=fence,
                holes=tuple(Hole(first, last) for first, last in holes),
            )


class AsyncJournal:
    """The journal for the event loop: one thread does what `Journal` does, one call at a time.

    A task that is cancelled while it waits does not stop a write that has begun; `durable` says
    whether it happened.
    """

    def __init__(self, journal: Journal, thread: ThreadPoolExecutor) -> None:
        self._journal = journal
        self._thread = thread

    @classmethod
    async def open(cls, path: Path) -> Self:
        """Open or make the file; raises like `Journal`."""
        thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="journal")
        loop = asyncio.get_running_loop()
        try:
            return cls(await loop.run_in_executor(thread, Journal, path), thread)
        except BaseException:
            thread.shutdown(wait=False)
            raise

    @property
    def durable(self) -> Durable:
        """See `Journal`."""
        return self._journal.durable

    @property
    def journal_epoch(self) -> int:
        """Made at random with the file."""
        return self._journal.durable.journal_epoch

    @property
    def next_sequence(self) -> int:
        """The number to sign the next entry under."""
        return self._journal.durable.next_sequence

    @property
    def next_pagination(self) -> int:
        """See `Journal`."""
        return self._journal.next_pagination

    async def append(
        self,
        *,
        sequence: int,
        body: bytes,
        signature: bytes,
        created_s: float,
        fiscal: bool = False,
        state: Mapping[str, bytes] | None = None,
    ) -> int:
        """See `Journal`."""
        return await self._call(
            self._journal.append,
            sequence=sequence,
            body=body,
            signature=signature,
            created_s=created_s,
            fiscal=fiscal,
            state=state,
        )

    async def entries(self, *, from_sequence: int, limit: int) -> list[WrittenEntry]:
        """See `Journal`."""
        return await self._call(self._journal.entries, from_sequence=from_sequence, limit=limit)

    async def entry(self, sequence: int) -> WrittenEntry:
        """See `Journal`."""
        return await self._call(self._journal.entry, sequence)

    async def note_acked(self, sequence: int) -> None:
        """See `Journal`."""
        await self._call(self._journal.note_acked, sequence)

    async def note_fence(self, fence: int) -> None:
        """See `Journal`."""
        await self._call(self._journal.note_fence, fence)

    async def jump_to(self, sequence: int) -> None:
        """See `Journal`."""
        await self._call(self._journal.jump_to, sequence)

    async def prune(self, *, now_s: float, retention_s: float = RETENTION_S) -> int:
        """See `Journal`."""
        return await self._call(self._journal.prune, now_s=now_s, retention_s=retention_s)

    async def remember(self, state: Mapping[str, bytes]) -> None:
        """See `Journal`."""
        await self._call(self._journal.remember, state)

    async def recall(self, name: str) -> bytes | None:
        """See `Journal`."""
        return await self._call(self._journal.recall, name)

    async def close(self) -> None:
        """Finish what has begun and close the file."""
        await self._call(self._journal.close)
        self._thread.shutdown()

    async def _call(self, method: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, partial(method, *args, **kwargs))
