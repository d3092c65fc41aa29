"""The database file: durable at every commit, and one adapter's alone."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, MetaData, create_engine, event, inspect

_BUSY_MS = 10_000


class StoreInUse(OSError):
    """Another adapter holds the file. Two of them would both send what waits to be sent."""


class StoreOfOtherVersion(OSError):
    """A file's tables are not those of this version."""


def open_engine(path: Path) -> Engine:
    """Open a SQLite file; every connection writes ahead and waits for the disk at each commit.

    With WAL and `synchronous=NORMAL`, and with SQLite's own defaults, a power cut may take back
    what was committed; with FULL it may not.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(f"sqlite:///{path}", connect_args={"check_same_thread": False})
    event.listen(engine, "connect", _connected)
    event.listen(engine, "begin", _begin)
    return engine


def make_tables(engine: Engine, metadata: MetaData, path: Path) -> None:
    """Make tables that are not there.

    Raises:
        StoreOfOtherVersion: One that is there lacks a column; nothing is changed.
    """
    found = inspect(engine)
    for table in metadata.sorted_tables:
        if not found.has_table(table.name):
            continue
        columns = {column["name"] for column in found.get_columns(table.name)}
        if missing := {column.name for column in table.columns} - columns:
            message = (
                f"{path} is of another version (table {table.name} has no {sorted(missing)[0]}): "
                "keep it and name a new file as store.file"
            )
            raise StoreOfOtherVersion(message)
    metadata.create_all(engine)


def lock_file(path: Path) -> int:
    """Hold a file's lock until the process ends, however it ends.

    Returns:
        The descriptor to close when the lock is no longer needed.

    Raises:
        StoreInUse: Another process holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        message = f"{path} is held by another process"
        raise StoreInUse(message) from error
    return descriptor


def _connected(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # SQLAlchemy begins; the driver must not
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        f"busy_timeout={_BUSY_MS}",
        "foreign_keys=ON",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: Any) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
