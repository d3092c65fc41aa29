"""The queue before a commit: nobody fills it alone, everybody's order is kept; when it is calm."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import cast

from gridcord.session.entry import EntryKey, digest_of
from gridcord.session.manager import Decision, Folded, Offer
from manager.ports import Journals, ReceivedEntry
from manager.usecases.commit_entries import CALM_S, Committer

MOST = 4


class Stream:
    """A session that notes what it is told."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.acked = 0

    def ack(self, committed_sequence: int) -> None:
        self.acked = committed_sequence

    def refuse(self, decision: Decision | None) -> None:
        raise AssertionError(decision)

    def entry(self, sequence: int) -> ReceivedEntry:
        offer = Offer(
            key=EntryKey(self.name, 1, sequence),
            digest=digest_of(b"body"),
            fence=1,
            previous_sequence=sequence - 1,
        )
        return ReceivedEntry(offer, "TRANSFER", 0, b"body", b"signature")


class SlowJournals:
    """Stores a batch when it is let."""

    def __init__(self) -> None:
        self.may = asyncio.Semaphore(0)
        self.batches: list[list[EntryKey]] = []

    async def commit(self, entries: Sequence[ReceivedEntry], *, now_s: int) -> Folded:
        keys = [entry.offer.key for entry in entries]
        self.batches.append(keys)
        await self.may.acquire()
        acks = {(key.cable_id, 1): key.sequence for key in keys}
        return Folded(rulings=(), cursors={}, acks=acks, ended={})


async def settled() -> None:
    """Let everything run that can."""
    for _ in range(50):
        await asyncio.sleep(0)


def test_a_cable_that_ignores_its_window_fills_its_own_share_only() -> None:
    async def scenario() -> None:
        journals = SlowJournals()
        committer = Committer(
            journals=cast(Journals, journals), now=lambda: 0.0, most_rows=3, most_of_session=MOST
        )
        running = asyncio.create_task(committer.run())
        greedy, modest = Stream("greedy"), Stream("modest")

        async def flood() -> None:
            for sequence in range(1, 31):
                await committer.offer(greedy.entry(sequence), greedy)

        flooding = asyncio.create_task(flood())
        await settled()
        assert committer.pending <= MOST
        await asyncio.wait_for(committer.offer(modest.entry(1), modest), 30)
        assert committer.pending <= MOST + 1
        while greedy.acked < 30:
            journals.may.release()
            await settled()
            assert committer.pending <= MOST + 1
        assert flooding.done()
        stored = [key.sequence for batch in journals.batches for key in batch if key[0] != "modest"]
        assert stored == list(range(1, 31))
        assert modest.acked == 1
        running.cancel()

    asyncio.run(scenario())


def test_who_derives_waits_for_the_end_of_a_burst_and_only_for_that() -> None:
    async def scenario() -> None:
        journals = SlowJournals()
        committer = Committer(journals=cast(Journals, journals), now=lambda: 0.0)
        loop = asyncio.get_running_loop()
        running = asyncio.create_task(committer.run())
        began_s = loop.time()
        for _ in range(1_000):
            await committer.calm(at_most_s=30)
        assert loop.time() - began_s < 1_000 * CALM_S

        stream = Stream("cable")
        await committer.offer(stream.entry(1), stream)
        calming = asyncio.create_task(committer.calm(at_most_s=30))
        await asyncio.sleep(3 * CALM_S)
        assert not calming.done()
        journals.may.release()
        await asyncio.wait_for(calming, 30)
        assert stream.acked == 1
        await committer.offer(stream.entry(2), stream)
        await committer.calm(at_most_s=2 * CALM_S)
        assert stream.acked == 1, "a burst without end is waited for no longer than told"
        running.cancel()

    asyncio.run(scenario())
