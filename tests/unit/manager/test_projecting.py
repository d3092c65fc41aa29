"""Deriving from the log in batches: in its order, each once, also after a failure."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import cast

import pytest

from gridcord.session.entry import EntryKey
from manager.domain.records.logged_entry import LoggedEntry, ReadEntry
from manager.ports import Projection, StoreUnavailable
from manager.usecases.project import MOST_ENTRIES, MOST_LOADED, Projector
from manager.usecases.read_entries import EntryReader

COUNT = MOST_LOADED + MOST_ENTRIES + 7


def logged(number: int) -> LoggedEntry:
    return LoggedEntry(
        number=number,
        key=EntryKey("cable-1", 1, number),
        kind="EVENT",
        body=b"",
        signature=b"",
        signing_key=b"",
        rated_power_w=1500,
        receive_s=0,
    )


class Log:
    """A log whose cursor moves with what is applied; may fail once."""

    def __init__(self, *, fails_at: int = 0) -> None:
        self.applied: list[int] = []
        self.sizes: list[int] = []
        self._fails_at = fails_at

    async def pending(self, limit: int) -> list[LoggedEntry]:
        after = len(self.applied)
        return [logged(number) for number in range(after + 1, min(after + limit, COUNT) + 1)]

    async def apply(self, entries: Sequence[ReadEntry], *, now_s: int) -> None:
        numbers = [each.entry.number for each in entries]
        if self._fails_at in numbers:
            self._fails_at = 0
            raise StoreUnavailable
        self.sizes.append(len(numbers))
        self.applied += numbers


class Reader:
    """Reads whatever it is given; tells how far it was ahead."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self.ahead = 0

    async def read(self, entries: Sequence[LoggedEntry]) -> list[ReadEntry]:
        self.ahead = max(self.ahead, entries[-1].number - len(self._log.applied))
        await asyncio.sleep(0)
        return [ReadEntry(entry=entry, content=None) for entry in entries]


def projector(log: Log, reader: Reader, calms: list[int]) -> Projector:
    async def calm() -> None:
        calms.append(len(log.applied))
        await asyncio.sleep(0)

    return Projector(
        projection=cast(Projection, log),
        reader=cast(EntryReader, reader),
        now=lambda: 0.0,
        calm=calm,
    )


@pytest.mark.parametrize("fails_at", [0, 1, MOST_ENTRIES + 3, COUNT])
def test_every_entry_is_derived_from_once_and_in_order(fails_at: int) -> None:
    async def scenario() -> None:
        log = Log(fails_at=fails_at)
        reader, calms = Reader(log), list[int]()
        subject = projector(log, reader, calms)
        failures = 0
        while True:
            try:
                if not await subject.step():
                    break
            except StoreUnavailable:
                failures += 1
        assert log.applied == list(range(1, COUNT + 1))
        assert failures == bool(fails_at)
        assert max(log.sizes) == MOST_ENTRIES
        assert len(calms) == len(log.sizes) + failures, "each batch waits for calm"
        assert MOST_ENTRIES < reader.ahead <= 2 * MOST_ENTRIES, "one batch is read ahead, no more"

    asyncio.run(scenario())
