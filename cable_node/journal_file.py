"""The file of the journal: how it is made, opened and failed.

SQLite in WAL mode with `synchronous=FULL` on every connection: a commit is fsynced before it
returns. SQLite's default journal mode and WAL with NORMAL both lose confirmed commits when the
power is cut (tests/system/powercut shows it).
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import sqlite3
from collections.abc import Iterator
from pathlib import Path

# The log is folded back after 256 kB: it must fit a small partition beside the file.
_CHECKPOINT_PAGES = 64
_LAYOUT = 1

_SCHEMA = """
CREATE TABLE journal (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  journal_epoch INTEGER NOT NULL,
  next_sequence INTEGER NOT NULL,
  acked_sequence INTEGER NOT NULL,
  last_fence INTEGER NOT NULL,
  next_pagination INTEGER NOT NULL
);
CREATE TABLE entry (
  sequence INTEGER PRIMARY KEY,
  body BLOB NOT NULL,
  signature BLOB NOT NULL,
  digest BLOB NOT NULL,
  created_s INTEGER NOT NULL
);
CREATE TABLE hole (first INTEGER PRIMARY KEY, last INTEGER NOT NULL);
CREATE TABLE state (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
"""


class JournalError(Exception):
    """The journal did not do what was asked; nothing of it was written."""


class JournalFull(JournalError):
    """No space is left. Try again when there is."""


class JournalBroken(JournalError):
    """The disk failed, the file is damaged, or it is no journal. A human must look."""


def open_file(path: Path) -> sqlite3.Connection:
    """Open the file, or make it with mode 0600 and a random journal epoch.

    Raises:
        JournalFull: No space for a new file.
        JournalBroken: The file is damaged, of another layout, or on a file system without locks.
    """
    with declared(path):
        _create(path)
        database = _connect(path)
        try:
            _prepare(database)
        except BaseException:
            database.close()
            raise
    return database


@contextlib.contextmanager
def transaction(database: sqlite3.Connection, path: Path) -> Iterator[None]:
    """Write all or nothing; on disk when it ends."""
    with declared(path):
        try:
            database.execute("BEGIN IMMEDIATE")
            yield
            database.execute("COMMIT")
        except BaseException:
            # A full disk has rolled back by itself; asking again would hide the cause.
            if database.in_transaction:
                with contextlib.suppress(sqlite3.Error):
                    database.execute("ROLLBACK")
            raise


@contextlib.contextmanager
def declared(path: Path) -> Iterator[None]:
    """Turn what SQLite and the system say into what this module says."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        kind = JournalFull if code == sqlite3.SQLITE_FULL else JournalBroken
        message = f"{path}: {error}"
        raise kind(message) from error
    except OSError as error:
        kind = JournalFull if error.errno in {errno.ENOSPC, errno.EDQUOT} else JournalBroken
        message = f"{path}: {error.strerror}"
        raise kind(message) from error


def _create(path: Path) -> None:
    """Make the file with its permissions before anything is in it; SQLite's others follow suit."""
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _connect(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, isolation_level=None, timeout=5.0)
    (mode,) = database.execute("PRAGMA journal_mode = WAL").fetchone()
    database.execute("PRAGMA synchronous = FULL")
    database.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
    if mode != "wal":
        database.close()
        message = f"{path}: this file system gives no write-ahead log"
        raise JournalBroken(message)
    return database


def _prepare(database: sqlite3.Connection) -> None:
    (layout,) = database.execute("PRAGMA user_version").fetchone()
    if layout == 0:
        _lay_out(database)
    elif layout != _LAYOUT:
        message = f"layout {layout}, this program knows {_LAYOUT}"
        raise JournalBroken(message)
    (health,) = database.execute("PRAGMA quick_check(1)").fetchone()
    if health != "ok":
        raise JournalBroken(health)


def _lay_out(database: sqlite3.Connection) -> None:
    """Make the tables and the epoch in one transaction: a power cut leaves all or an empty file."""
    database.execute("BEGIN IMMEDIATE")
    for statement in _SCHEMA.strip().split(";\n"):
        database.execute(statement)
    # 63 bits: it fits a signed 64-bit column everywhere, and 0 stays free.
    epoch = secrets.randbits(63) or 1
    database.execute("INSERT INTO journal VALUES (1, ?, 1, 0, 0, 1)", (epoch,))
    database.execute(f"PRAGMA user_version = {_LAYOUT}")
    database.execute("COMMIT")
