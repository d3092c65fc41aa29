"""Refusals reach the audit log, counted together, and never without bound."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from manager.ports import StoreUnavailable
from manager.service.refusals import MOST_KINDS, OTHERS, RefusalLog

NOSY = ("cable/c-1", "NOT_PERMITTED", "/a.B/C")


class Notes:
    """An audit log in memory that can be out of order."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, str, str, int]] = []
        self.broken = 0
        self.written = asyncio.Event()

    async def __call__(self, refusals: Sequence[tuple[str, str, str, int]]) -> None:
        if self.broken:
            self.broken -= 1
            raise StoreUnavailable
        self.rows += refusals
        self.written.set()

    async def next(self) -> None:
        """Wait for something new."""
        async with asyncio.timeout(30):
            await self.written.wait()
        self.written.clear()


@asynccontextmanager
async def running(log: RefusalLog) -> AsyncIterator[None]:
    task = asyncio.ensure_future(log.run())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def test_the_first_is_noted_at_once_and_those_that_follow_together() -> None:
    async def scenario() -> None:
        notes, now_s = Notes(), [0.0]
        log = RefusalLog(note=notes, every_s=60.0, monotonic=lambda: now_s[0])
        async with running(log):
            log.refused(*NOSY)
            await notes.next()
            assert notes.rows == [(*NOSY, 1)]
            for _ in range(1_000):
                log.refused(*NOSY)
            log.refused("cable/c-2", *NOSY[1:])
            await notes.next()
            assert notes.rows[1:] == [("cable/c-2", *NOSY[1:], 1)]
            now_s[0] = 61.0
            log.refused(*NOSY)
            await notes.next()
            assert notes.rows[2:] == [(*NOSY, 1_001)]

    asyncio.run(scenario())


def test_what_waits_is_noted_before_the_end() -> None:
    async def scenario() -> None:
        notes = Notes()
        log = RefusalLog(note=notes)
        for _ in range(3):
            log.refused(*NOSY)
        await log.flush()
        await log.flush()
        assert notes.rows == [(*NOSY, 3)]

    asyncio.run(scenario())


def test_a_store_that_does_not_answer_loses_nothing() -> None:
    async def scenario() -> None:
        notes = Notes()
        notes.broken = 1
        log = RefusalLog(note=notes)
        async with running(log):
            log.refused(*NOSY)
            await notes.next()
        assert notes.rows == [(*NOSY, 1)]

    asyncio.run(scenario())


def test_a_crowd_of_strangers_costs_no_more_than_a_bound() -> None:
    async def scenario() -> None:
        notes = Notes()
        log = RefusalLog(note=notes)
        for number in range(5 * MOST_KINDS):
            log.refused(f"cable/c-{number}", *NOSY[1:])
        await log.flush()
        assert len(notes.rows) == MOST_KINDS + 1
        assert (*OTHERS, 4 * MOST_KINDS) in notes.rows
        assert sum(times for *_, times in notes.rows) == 5 * MOST_KINDS

    asyncio.run(scenario())
