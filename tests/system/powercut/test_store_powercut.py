"""Every disk that a power cut can leave of the manager's database holds what was confirmed."""

from __future__ import annotations

import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.system.powercut import store_writer
from tests.system.powercut.explorer import explore
from tests.system.powercut.recording import require_strace
from tests.system.powercut.store_writer import CABLES, body_of, step

COMMITS = 40


@pytest.fixture(autouse=True)
def _strace() -> None:
    require_strace()


def store_problem(path: Path, acknowledged: int) -> str | None:
    """What is wrong with a database of which so many commits were acknowledged."""
    try:
        with closing(sqlite3.connect(path)) as database:
            (health,) = database.execute("PRAGMA integrity_check").fetchone()
            return str(health) if health != "ok" else _content_problem(database, acknowledged)
    except sqlite3.DatabaseError as error:
        return f"damaged: {error}"


def _content_problem(database: sqlite3.Connection, acknowledged: int) -> str | None:
    if not acknowledged and not _laid_out(database):
        return None  # the cut came before the first migration had ended
    cursors = {row[0] for row in database.execute("SELECT committed_sequence FROM journal")}
    if len(cursors) > 1:
        return f"half a commit: cursors {cursors}"
    committed = max(cursors, default=0)
    if committed < acknowledged:
        return f"lost: {acknowledged} acknowledged, {committed} there"
    if committed > acknowledged + 1:
        return f"invented: {acknowledged} acknowledged, {committed} there"
    rows = database.execute("SELECT cable_id, sequence, body FROM entry ORDER BY entry_number")
    expected = [
        (f"cable-{cable}", number, body_of(cable, number))
        for number in range(1, committed + 1)
        for cable in range(CABLES)
    ]
    if rows.fetchall() != expected:
        return "other entries than were committed"
    (second,) = database.execute("SELECT count(*) FROM quarantine").fetchone()
    if second != sum(len(step(n)) - CABLES - (n % 3 == 0) for n in range(2, committed + 1)):
        return f"{second} second versions in quarantine"
    return None


def _laid_out(database: sqlite3.Connection) -> bool:
    found = database.execute("SELECT count(*) FROM sqlite_master WHERE name = 'entry_no_delete'")
    return bool(found.fetchone()[0])


def command(database: Path, *bugs: str) -> list[str]:
    return [sys.executable, store_writer.__file__, str(database), str(COMMITS), *bugs]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_every_disk_that_a_power_cut_leaves_has_what_the_manager_confirmed(tmp_path: Path) -> None:
    database = tmp_path / "manager.db"

    report = explore(command(database), database, store_problem, samples=6)
    print(report)

    assert report.first is None, str(report)
    assert report.acknowledged == COMMITS
    assert report.states >= 1_000
    assert report.syncs >= COMMITS


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("bug", ["synchronous=OFF", "synchronous=NORMAL"])
def test_the_exploration_notices_commits_that_do_not_wait_for_the_disk(
    tmp_path: Path, bug: str
) -> None:
    database = tmp_path / "manager.db"

    report = explore(command(database, bug), database, store_problem, samples=1)
    print(bug, report)

    assert report.first is not None, f"{bug} passed: {report}"
