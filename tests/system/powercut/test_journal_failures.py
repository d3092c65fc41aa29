"""A disk that fails or is full at any write or sync: said so, nothing lost, and it goes on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from cable_node.journal import Journal
from tests.system.powercut import stubborn_writer
from tests.system.powercut.journal_writer import body_of
from tests.system.powercut.recording import require_strace

ENTRIES = 12
FAILURES = {
    "full": ("pwrite64:error=ENOSPC", "JournalFull"),
    "write fails": ("pwrite64:error=EIO", "JournalBroken"),
    "sync fails": ("fdatasync:error=EIO", "JournalBroken"),
}


@pytest.fixture(autouse=True)
def _strace() -> None:
    require_strace()


def run(database: Path, injection: str) -> list[str]:
    """The lines of a writer some of whose system calls on the database fail."""
    files = [f"{database}{suffix}" for suffix in ("", "-wal", "-journal")]
    strace = ["strace", "-f", "-o", "/dev/null", *(part for file in files for part in ("-P", file))]
    command = [sys.executable, stubborn_writer.__file__, str(database), str(ENTRIES)]
    done = subprocess.run(
        [*strace, "-e", f"inject={injection}", *command],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[3],
        env={"PYTHONPATH": str(Path(__file__).parents[3]), "PATH": "/usr/bin:/bin"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def acknowledged(lines: list[str]) -> list[int]:
    return [int(line.split()[1]) for line in lines if line.startswith("ACK ")]


@pytest.mark.parametrize("name", FAILURES)
@pytest.mark.parametrize("nth", [1, 2, 4, 7, 9, 13, 18, 26])
def test_one_failure_is_declared_and_overcome(tmp_path: Path, name: str, nth: int) -> None:
    injection, declared = FAILURES[name]
    database = tmp_path / "journal.db"

    lines = run(database, f"{injection}:when={nth}")

    assert acknowledged(lines) == list(range(1, ENTRIES + 1))
    assert set(lines) - {f"ACK {n}" for n in range(1, ENTRIES + 1)} <= {declared}
    journal = Journal(database)
    bodies = [entry.body for entry in journal.entries(from_sequence=0, limit=100)]
    assert bodies == [body_of(number) for number in range(1, ENTRIES + 1)]
    assert journal.recall("registers") == b"%d" % ENTRIES
    assert journal.next_pagination == ENTRIES + 1


@pytest.mark.parametrize("name", FAILURES)
@pytest.mark.parametrize("nth", [1, 6, 14])
def test_a_failure_that_stays_loses_nothing_and_ends_with_its_cause(
    tmp_path: Path, name: str, nth: int
) -> None:
    injection, declared = FAILURES[name]
    database = tmp_path / "journal.db"

    lines = run(database, f"{injection}:when={nth}+")
    confirmed = acknowledged(lines)

    assert declared in lines
    assert confirmed == list(range(1, len(confirmed) + 1))
    assert len(confirmed) < ENTRIES
    journal = Journal(database)  # the disk is well again
    assert journal.durable.next_sequence - 1 in {len(confirmed), len(confirmed) + 1}
    bodies = [entry.body for entry in journal.entries(from_sequence=0, limit=100)]
    assert bodies == [body_of(number) for number in range(1, journal.durable.next_sequence)]
