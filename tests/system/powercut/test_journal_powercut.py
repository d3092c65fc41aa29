"""The power may be cut at any moment: what the journal confirmed is there."""

from __future__ import annotations

import sqlite3
import sys
from pathlib import Path

import pytest

from cable_node.journal import Journal, JournalError
from tests.system.powercut import journal_writer, plain_writer
from tests.system.powercut.explorer import explore
from tests.system.powercut.journal_writer import body_of
from tests.system.powercut.recording import require_strace

ENTRIES = 50


@pytest.fixture(autouse=True)
def _strace() -> None:
    require_strace()


def journal_problem(path: Path, acknowledged: int) -> str | None:
    """What is wrong with a journal of which so many entries were acknowledged."""
    try:
        journal = Journal(path)
    except JournalError as error:
        return f"does not open: {error}"
    try:
        return _content_problem(journal, acknowledged)
    except JournalError as error:
        return str(error)
    finally:
        journal.close()


def _content_problem(journal: Journal, acknowledged: int) -> str | None:
    durable = journal.durable
    last = durable.next_sequence - 1
    if last not in {acknowledged, acknowledged + 1}:
        return f"{acknowledged} acknowledged, {last} there"
    entries = journal.entries(from_sequence=0, limit=10_000)
    if [entry.body for entry in entries] != [body_of(n) for n in range(1, last + 1)]:
        return "other entries than were written"
    if journal.recall("registers") != (b"%d" % last if last else None):
        return "registers of another moment than the last entry"
    if journal.next_pagination != last + 1 or durable.acked_sequence > last:
        return f"counters do not fit: {durable}"
    (health,) = journal._database.execute("PRAGMA integrity_check").fetchone()
    return None if health == "ok" else str(health)


def rows_problem(path: Path, acknowledged: int) -> str | None:
    """What is wrong with a plain table of which so many rows were acknowledged."""
    try:
        with sqlite3.connect(path) as database:
            (health,) = database.execute("PRAGMA integrity_check").fetchone()
            if health != "ok":
                return f"damaged: {health}"
            tables = database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            rows = database.execute("SELECT sequence FROM entry").fetchall() if tables else []
    except sqlite3.DatabaseError as error:
        return f"damaged: {error}"
    finally:
        database.close()
    if len(rows) < acknowledged:
        return f"lost: {acknowledged} acknowledged, {len(rows)} there"
    return None


@pytest.mark.parametrize("ending", ["cut", "close"])
def test_every_disk_that_a_power_cut_leaves_has_what_was_confirmed(
    tmp_path: Path, ending: str
) -> None:
    database = tmp_path / "journal.db"
    command = [sys.executable, journal_writer.__file__, str(database), str(ENTRIES), ending]

    report = explore(command, database, journal_problem)
    print(report)

    assert report.first is None, str(report)
    assert report.acknowledged == ENTRIES
    assert report.states >= 1_000
    assert report.syncs >= ENTRIES


@pytest.mark.parametrize(
    ("mode", "synchronous", "problem"),
    [
        ("WAL", "NORMAL", "lost"),  # the usual advice
        ("WAL", "OFF", ""),
        ("DELETE", "FULL", "lost"),  # what sqlite3 does when nobody says anything
    ],
)
def test_the_exploration_bites(tmp_path: Path, mode: str, synchronous: str, problem: str) -> None:
    database = tmp_path / "plain.db"
    command = [sys.executable, plain_writer.__file__, str(database), "40", mode, synchronous]

    report = explore(command, database, rows_problem)
    print(mode, synchronous, report)

    assert report.first is not None, f"{mode} and {synchronous} passed: {report}"
    assert report.first.problem.startswith(problem)


def test_full_synchronisation_of_the_log_is_enough(tmp_path: Path) -> None:
    database = tmp_path / "plain.db"
    command = [sys.executable, plain_writer.__file__, str(database), "40", "WAL", "FULL"]

    report = explore(command, database, rows_problem)
    print(report)

    assert report.first is None, str(report)
