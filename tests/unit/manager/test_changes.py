"""Many who wait for what is new cost one look."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import aclosing

from manager.ports import StoreUnavailable
from manager.service.changes import Changes

LOOK_S = 0.001
LONG_S = 30.0


class Numbers:
    """A table of numbered rows."""

    def __init__(self, count: int = 0) -> None:
        self.rows = list(range(1, count + 1))
        self.looks = 0
        self.reads = 0
        self.broken = False

    async def last(self) -> int:
        self.looks += 1
        if self.broken:
            raise StoreUnavailable
        return self.rows[-1] if self.rows else 0

    async def behind(self, number: int) -> list[int]:
        self.reads += 1
        return [row for row in self.rows if row > number][:10]


def test_a_thousand_who_wait_cost_one_look_at_a_time() -> None:
    async def scenario() -> None:
        table = Numbers(3)
        changes = Changes(table.last, look_s=LOOK_S)
        waiting = [asyncio.ensure_future(changes.beyond(3, within_s=LONG_S)) for _ in range(1_000)]
        while table.looks < 5:  # noqa: ASYNC110  (it counts looks, not time)
            await asyncio.sleep(0)
        assert changes.waiting == 1_000
        assert not any(each.done() for each in waiting)
        table.rows.append(4)
        looks = table.looks
        assert await asyncio.gather(*waiting) == [4] * 1_000
        assert table.looks - looks <= 2
        assert changes.waiting == 0

    asyncio.run(scenario())


def test_nobody_looks_when_nobody_waits() -> None:
    async def scenario() -> None:
        table = Numbers()
        changes = Changes(table.last, look_s=LOOK_S)
        assert await changes.beyond(0, within_s=5 * LOOK_S) is None
        task = asyncio.ensure_future(changes.beyond(0, within_s=LONG_S))
        await asyncio.sleep(0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        while len(asyncio.all_tasks()) > 1:  # noqa: ASYNC110  (the look ends by itself)
            await asyncio.sleep(LOOK_S)
        looks = table.looks
        await asyncio.sleep(5 * LOOK_S)
        assert table.looks == looks

    asyncio.run(scenario())


def test_a_database_that_does_not_answer_is_waited_for() -> None:
    async def scenario() -> None:
        table = Numbers(1)
        table.broken = True
        changes = Changes(table.last, look_s=LOOK_S)
        waiting = asyncio.ensure_future(changes.beyond(0, within_s=LONG_S))
        while table.looks < 3:  # noqa: ASYNC110
            await asyncio.sleep(0)
        table.broken = False
        assert await waiting == 1

    asyncio.run(scenario())


def test_following_misses_nothing_and_tells_nothing_twice() -> None:
    """Also rows that come while others are told, and rows of others that it does not read."""

    async def scenario() -> None:
        table = Numbers(25)
        changes = Changes(table.last, look_s=LOOK_S)

        async def even(number: int) -> list[int]:
            return [row for row in await table.behind(number) if row % 2 == 0]

        told: list[int] = []
        following = changes.follow(even, int, after=0, most=5, quiet_s=LONG_S)
        async with aclosing(following) as rows:
            async for row, cursor in rows:
                assert row == cursor
                told.append(cursor)
                if cursor in (10, 24):
                    table.rows += [table.rows[-1] + 1, table.rows[-1] + 2]
                if cursor >= 28:
                    break
        assert told == list(range(2, 29, 2))
        assert changes.waiting == 0

    asyncio.run(scenario())


def test_silence_is_told_and_reads_little() -> None:
    async def scenario() -> None:
        table = Numbers(2)
        changes = Changes(table.last, look_s=LOOK_S)
        following = changes.follow(table.behind, int, after=0, most=10, quiet_s=10 * LOOK_S)
        async with aclosing(following) as rows:
            told = [await anext(rows) for _ in range(4)]
        assert told == [(1, 1), (2, 2), (None, 2), (None, 2)]
        assert table.reads == 2  # once more after each silence, whatever a look missed

    asyncio.run(scenario())
