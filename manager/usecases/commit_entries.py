"""Make entries durable, many at once, and acknowledge them after the commit.

Handlers of streams hand entries over and never write. Whatever has come in since the last commit
is the next batch: under load batches grow by themselves, without a timer (group commit).
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections import Counter
from collections.abc import Callable
from typing import Protocol

import structlog

from gridcord.session.manager import Decision, Folded
from manager.ports import Journals, ReceivedEntry, StoreFull, StoreUnavailable

MOST_ROWS = 2_000
MOST_PENDING = 20_000
MOST_OF_SESSION = 128  # twice the window: a cable that keeps to it never waits
CALM_S = 0.05  # real seconds

log = structlog.get_logger()


class Session(Protocol):
    """The live session that brought an entry. Neither call may block: it may be dead already."""

    def ack(self, committed_sequence: int) -> None:
        """Confirm entries; the latest number wins."""
        ...

    def refuse(self, decision: Decision | None) -> None:
        """End it: GAP, FENCED, or None when the store cannot take entries now."""
        ...


class Committer:
    """The only writer of the entry log in this process.

    Args:
        journals: Where to.
        now: The manager's clock, seconds since 1970 UTC.
        committed: Called after each commit that stored something new.
        most_rows: Of one transaction.
        most_pending: Entries that may wait; the next one waits at its session, which stops
            reading: the cable's window and HTTP/2 flow control do the rest.
        most_of_session: Entries of one session that may wait; the next one waits likewise, so a
            cable that ignores its window fills its own share of the queue and of memory.
    """

    def __init__(
        self,
        *,
        journals: Journals,
        now: Callable[[], float],
        committed: Callable[[], None] = lambda: None,
        most_rows: int = MOST_ROWS,
        most_pending: int = MOST_PENDING,
        most_of_session: int = MOST_OF_SESSION,
    ) -> None:
        self._journals = journals
        self._now = now
        self._committed = committed
        self._most_rows = most_rows
        self._most_pending = most_pending
        self._most_of_session = most_of_session
        self._pending: list[tuple[ReceivedEntry, Session]] = []
        self._of_session: Counter[Session] = Counter()
        self._work = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._idle = asyncio.Event()
        self._idle.set()
        self._last_s = -math.inf  # on the loop's clock

    @property
    def pending(self) -> int:
        """Entries that wait for a commit."""
        return len(self._pending)

    async def offer(self, entry: ReceivedEntry, session: Session) -> None:
        """Take an entry; returns when there is room, not when it is stored."""
        while (
            len(self._pending) >= self._most_pending
            or self._of_session[session] >= self._most_of_session
        ):
            self._room.clear()
            await self._room.wait()
        self._pending.append((entry, session))
        self._of_session[session] += 1
        self._idle.clear()
        self._work.set()

    async def run(self) -> None:
        """Commit for ever."""
        while True:
            await self._work.wait()
            batch = self._next_batch()
            self._room.set()
            await self._commit(batch)
            self._last_s = asyncio.get_running_loop().time()
            if not self._pending:
                self._idle.set()

    def _next_batch(self) -> list[tuple[ReceivedEntry, Session]]:
        batch = self._pending[: self._most_rows]
        del self._pending[: self._most_rows]
        if self._pending:
            self._of_session.subtract(session for _, session in batch)
            self._of_session = +self._of_session  # forgets sessions of which nothing waits
        else:
            self._of_session.clear()
            self._work.clear()
        return batch

    async def calm(self, *, at_most_s: float) -> None:
        """Wait until a burst is over: nothing to commit for `CALM_S`, or `at_most_s` have passed.

        What derives from entries waits here: it shares the writer with those still to be confirmed.
        Where it is calm already, there is no wait.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(at_most_s):
                while (left_s := self._restless_s()) > 0:
                    await asyncio.sleep(left_s)
                    await self._idle.wait()

    def _restless_s(self) -> float:
        """Seconds that are still to be waited for calm if nothing comes; 0 when it is calm."""
        if not self._idle.is_set():
            return CALM_S
        return max(0.0, self._last_s + CALM_S - asyncio.get_running_loop().time())

    async def _commit(self, batch: list[tuple[ReceivedEntry, Session]]) -> None:
        sessions = {
            (entry.offer.key.cable_id, entry.offer.fence): session for entry, session in batch
        }
        try:
            folded = await self._journals.commit(
                [entry for entry, _ in batch], now_s=int(self._now())
            )
        except (StoreFull, StoreUnavailable) as error:
            log.error("entries.refused", entries=len(batch), error=str(error)[:200])
            for session in sessions.values():
                session.refuse(None)
            return
        _answer(sessions, folded)
        if any(ruling.advances for ruling in folded.rulings):
            self._committed()


def _answer(sessions: dict[tuple[str, int], Session], folded: Folded) -> None:
    for key, sequence in folded.acks.items():
        sessions[key].ack(sequence)
    for key, decision in folded.ended.items():
        sessions[key].refuse(decision)
