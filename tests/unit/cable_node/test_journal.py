"""The cable's journal: what it keeps, what it refuses, what it survives."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cable_node.journal import (
    AsyncJournal,
    Journal,
    JournalBroken,
    JournalFull,
    NumberTaken,
    WrittenEntry,
)
from gridcord.session.cable_state import Hole

NOW_S = 1_800_000_000
DAY_S = 86_400


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


def append(journal: Journal, *, at_s: float = NOW_S, size: int = 300, fiscal: bool = False) -> int:
    sequence = journal.durable.next_sequence
    return journal.append(
        sequence=sequence,
        body=b"%d:" % sequence + b"x" * size,
        signature=b"signature %d" % sequence,
        created_s=at_s,
        fiscal=fiscal,
    )


def held(journal: Journal) -> list[int]:
    return [entry.sequence for entry in journal.entries(from_sequence=0, limit=10_000)]


def test_a_new_journal_is_empty_private_and_of_its_own_epoch(path: Path, tmp_path: Path) -> None:
    journal, other = Journal(path), Journal(tmp_path / "other.db")
    append(journal)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()} == {0o600}
    assert 0 < journal.durable.journal_epoch < 2**63
    assert journal.durable.journal_epoch != other.durable.journal_epoch
    assert other.durable.next_sequence == other.durable.oldest_retained == 1


def test_entries_come_back_as_they_were_written(path: Path) -> None:
    journal = Journal(path)
    for _ in range(5):
        append(journal)

    assert journal.entries(from_sequence=2, limit=2) == [
        WrittenEntry(
            sequence=sequence,
            body=b"%d:" % sequence + b"x" * 300,
            signature=b"signature %d" % sequence,
            created_s=NOW_S,
        )
        for sequence in (2, 3)
    ]
    assert journal.entry(4).sequence == 4
    with pytest.raises(JournalBroken, match="no entry 6"):
        journal.entry(6)


def test_everything_is_there_after_opening_again(path: Path) -> None:
    journal = Journal(path)
    append(journal, fiscal=True)
    append(journal)
    journal.note_acked(1)
    journal.note_fence(8)
    journal.note_fence(5)
    journal.remember({"registers": b"before"})
    journal.jump_to(7)
    journal.append(
        sequence=7, body=b"b", signature=b"s", created_s=NOW_S, state={"registers": b"after"}
    )
    before = journal.durable
    journal.close()

    again = Journal(path)
    assert again.durable == before
    assert again.durable.acked_sequence == 1
    assert again.durable.last_fence == 8
    assert again.durable.holes == (Hole(3, 6),)
    assert again.next_pagination == 2
    assert again.recall("registers") == b"after"
    assert again.recall("matcher") is None
    assert held(again) == [1, 2, 7]


def test_an_entry_under_a_wrong_number_is_not_written(path: Path) -> None:
    journal = Journal(path)
    append(journal)

    for wrong in (1, 3):
        with pytest.raises(NumberTaken, match="2 is next"):
            journal.append(sequence=wrong, body=b"", signature=b"", created_s=0)
    assert held(journal) == [1]
    assert append(journal) == 2


def test_a_jump_goes_forward_only(path: Path) -> None:
    journal = Journal(path)
    append(journal)
    journal.jump_to(1)
    journal.jump_to(2)

    assert journal.durable.next_sequence == 2
    assert journal.durable.holes == ()


def test_state_is_written_with_its_entry_or_not_at_all(path: Path) -> None:
    journal = Journal(path)
    journal.remember({"registers": b"old"})

    with pytest.raises(NumberTaken):
        journal.append(
            sequence=9, body=b"", signature=b"", created_s=0, state={"registers": b"new"}
        )
    with pytest.raises(JournalBroken):
        journal.append(
            sequence=1,
            body=b"",
            signature=b"",
            created_s=0,
            state={"registers": None},  # type: ignore[dict-item]
        )
    assert journal.recall("registers") == b"old"
    assert held(journal) == []


class TestPruning:
    """Old and confirmed entries go; nothing else."""

    def test_only_confirmed_entries_past_their_retention_go(self, path: Path) -> None:
        journal = Journal(path)
        for age in (200, 150, 100, 95, 10):
            append(journal, at_s=NOW_S - age * DAY_S)
        journal.note_acked(3)

        assert journal.prune(now_s=NOW_S) == 4
        assert held(journal) == [4, 5]
        journal.note_acked(5)
        assert journal.prune(now_s=NOW_S) == 5
        assert held(journal) == [5]

    def test_nothing_unconfirmed_goes_however_old(self, path: Path) -> None:
        journal = Journal(path)
        append(journal, at_s=NOW_S - 1_000 * DAY_S)

        assert journal.prune(now_s=NOW_S) == 1
        assert held(journal) == [1]

    def test_an_empty_journal_keeps_its_numbers(self, path: Path) -> None:
        journal = Journal(path)
        append(journal, at_s=NOW_S - 100 * DAY_S)
        journal.note_acked(1)

        assert journal.prune(now_s=NOW_S) == 2
        assert held(journal) == []
        assert append(journal) == 2

    def test_entries_of_a_board_without_a_clock_live_as_long_as_the_next(self, path: Path) -> None:
        journal = Journal(path)
        append(journal, at_s=30)
        append(journal, at_s=NOW_S - 80 * DAY_S)
        append(journal, at_s=60)
        journal.note_acked(3)

        assert journal.prune(now_s=NOW_S) == 1
        assert journal.prune(now_s=NOW_S + 11 * DAY_S) == 3

    def test_a_clock_that_stepped_back_keeps_more_not_less(self, path: Path) -> None:
        journal = Journal(path)
        append(journal, at_s=NOW_S - 10 * DAY_S)
        append(journal, at_s=NOW_S - 100 * DAY_S)
        journal.note_acked(2)

        assert journal.prune(now_s=NOW_S) == 1


def test_three_months_fit_in_ten_megabytes(path: Path) -> None:
    journal = Journal(path)
    journal._database.execute("PRAGMA synchronous = OFF")  # only the size matters here
    for period in range(90 * 48):
        append(journal, at_s=NOW_S + period * 1_800, size=850)

    assert path.stat().st_size < 10_000_000


def test_a_full_disk_is_declared_and_leaves_no_half(path: Path) -> None:
    journal = Journal(path)
    pages = journal._database.execute("PRAGMA page_count").fetchone()[0]
    journal._database.execute(f"PRAGMA max_page_count = {pages + 4}")

    written = 0
    with pytest.raises(JournalFull):
        while True:
            append(journal, size=2_000)
            written += 1

    assert written > 0
    assert held(journal) == list(range(1, written + 1))
    assert journal.durable.next_sequence == written + 1
    journal._database.execute("PRAGMA max_page_count = 1000000")
    assert append(journal) == written + 1


def test_a_folder_that_is_not_there_is_declared(tmp_path: Path) -> None:
    with pytest.raises(JournalBroken, match="No such file"):
        Journal(tmp_path / "nowhere" / "journal.db")


def test_a_file_that_is_no_journal_is_not_touched(path: Path) -> None:
    path.write_bytes(b"holiday pictures" * 1_000)

    with pytest.raises(JournalBroken, match="not a database"):
        Journal(path)
    assert path.read_bytes() == b"holiday pictures" * 1_000


def test_a_journal_of_a_later_program_is_not_touched(path: Path) -> None:
    Journal(path).close()
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 2")
    database.close()

    with pytest.raises(JournalBroken, match="layout 2"):
        Journal(path)


def test_a_changed_byte_of_an_entry_is_found(path: Path) -> None:
    journal = Journal(path)
    append(journal)
    journal._database.execute("UPDATE entry SET body = ?", (b"1:y",))

    with pytest.raises(JournalBroken, match="entry 1 is not what was written"):
        journal.entry(1)


def test_durability_is_asked_for_on_every_connection(path: Path) -> None:
    for _ in range(2):
        database = Journal(path)._database
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert database.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
        assert database.execute("PRAGMA wal_autocheckpoint").fetchone() == (64,)


WRITER = """
import os, sys
from pathlib import Path
from cable_node.journal import Journal
journal = Journal(Path(sys.argv[1]))
while True:
    number = journal.durable.next_sequence
    journal.append(sequence=number, body=b"%d" % number, signature=b"", created_s=0,
                   fiscal=True, state={"registers": b"%d" % number})
    os.write(1, b"%d\\n" % number)
"""


def test_kill_9_loses_nothing_that_was_confirmed(path: Path) -> None:
    confirmed = 0
    for round_number in range(6):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout is not None
        for _ in range(5 + 7 * round_number):
            confirmed = int(writer.stdout.readline())
        os.kill(writer.pid, signal.SIGKILL)
        confirmed = max([confirmed, *map(int, writer.stdout.read().split())])
        writer.wait()

        journal = Journal(path)
        last = journal.durable.next_sequence - 1
        assert last in {confirmed, confirmed + 1}
        assert held(journal) == list(range(1, last + 1))
        assert journal.recall("registers") == b"%d" % last
        assert journal.next_pagination == last + 1
        journal.close()


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("append"), st.integers(0, 200)),
            st.tuples(st.just("ack"), st.integers(0, 12)),
            st.tuples(st.just("jump"), st.integers(1, 20)),
            st.tuples(st.just("prune"), st.integers(0, 300)),
            st.tuples(st.just("reopen"), st.just(0)),
        ),
        max_size=25,
    )
)
def test_a_journal_behaves_like_its_model(tmp_path: Path, steps: list[tuple[str, int]]) -> None:
    """A plain list, whatever is done to both."""
    file = tmp_path / f"{len(list(tmp_path.iterdir()))}.db"
    journal, model, following, acked = Journal(file), dict[int, int](), 1, 0
    for step, number in steps:
        match step:
            case "append":
                append(journal, at_s=NOW_S + number * DAY_S)
                model[following] = NOW_S + number * DAY_S
                following += 1
            case "ack":
                acked = min(number, following - 1)
                journal.note_acked(acked)
            case "jump":
                journal.jump_to(number)
                following = max(following, number)
            case "prune":
                before_s = NOW_S + (number - 90) * DAY_S
                journal.prune(now_s=NOW_S + number * DAY_S)
                for sequence in sorted(model):
                    if sequence > acked or model[sequence] >= before_s:
                        break
                    del model[sequence]
            case "reopen":
                journal.close()
                journal = Journal(file)
    assert held(journal) == sorted(model)
    assert journal.durable.next_sequence == following
    assert journal.durable.acked_sequence == acked
    assert journal.durable.oldest_retained == min(model, default=following)
    journal.close()


class TestAsyncJournal:
    """The same from an event loop."""

    def test_one_thread_does_it_all_in_order(self, path: Path) -> None:
        async def scenario() -> None:
            journal = await AsyncJournal.open(path)
            for number in range(1, 4):
                assert journal.next_sequence == number
                await journal.append(
                    sequence=number, body=b"b", signature=b"s", created_s=NOW_S, fiscal=True
                )
            await journal.note_acked(2)
            await journal.note_fence(3)
            await journal.jump_to(9)
            await journal.remember({"matcher": b"m"})
            assert await journal.recall("matcher") == b"m"
            assert (await journal.entry(3)).sequence == 3
            assert len(await journal.entries(from_sequence=1, limit=2)) == 2
            assert await journal.prune(now_s=NOW_S + 100 * DAY_S) == 3
            assert journal.next_pagination == 4
            assert journal.durable.acked_sequence == 2
            assert journal.next_sequence == 9
            assert journal.journal_epoch == journal.durable.journal_epoch
            await journal.close()

        asyncio.run(scenario())

    def test_failures_come_through_and_do_not_stop_it(self, path: Path) -> None:
        async def scenario() -> None:
            journal = await AsyncJournal.open(path)
            with pytest.raises(NumberTaken):
                await journal.append(sequence=5, body=b"", signature=b"", created_s=0)
            await journal.append(sequence=1, body=b"", signature=b"", created_s=0)
            await journal.close()

        asyncio.run(scenario())

    def test_a_file_that_is_no_journal(self, path: Path) -> None:
        path.write_bytes(b"x" * 5_000)

        async def scenario() -> None:
            with pytest.raises(JournalBroken):
                await AsyncJournal.open(path)

        asyncio.run(scenario())

    def test_writers_that_race_are_told_and_none_is_lost(self, path: Path) -> None:
        async def write(journal: AsyncJournal) -> None:
            while True:
                number = journal.next_sequence
                await asyncio.sleep(0)
                try:
                    await journal.append(sequence=number, body=b"", signature=b"", created_s=0)
                except NumberTaken:
                    continue
                return

        async def scenario() -> None:
            journal = await AsyncJournal.open(path)
            await asyncio.gather(*(write(journal) for _ in range(20)))
            assert journal.next_sequence == 21
            await journal.close()

        asyncio.run(scenario())
