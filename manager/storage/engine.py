"""One database, SQLite or PostgreSQL, behind two doors: `read` and `write`.

Every write of the process goes through one thread in the order it was asked for, each as one
transaction that is durable when the call returns; reads run beside it and see whole transactions.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import QueuePool

from manager.ports import StoreFull, StoreUnavailable

T = TypeVar("T")

READERS = 4
BUSY_TIMEOUT_MS = 30_000


class Database:
    """A database and the threads that speak with it.

    Args:
        url: `sqlite:///FILE` or `postgresql+psycopg://...`.

    Raises:
        ValueError: Another kind of database.
    """

    def __init__(self, url: str) -> None:
        self.url = sa.make_url(url)
        if self.url.get_backend_name() not in ("sqlite", "postgresql"):
            message = f"neither sqlite nor postgresql: {self.url.get_backend_name()}"
            raise ValueError(message)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self._writer = _engine(self.url, immediate=True, size=1)
        self._reader = _engine(self.url, immediate=False, size=READERS)
        self._write_thread = ThreadPoolExecutor(1, thread_name_prefix="store-write")
        self._read_threads = ThreadPoolExecutor(READERS, thread_name_prefix="store-read")

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in one transaction; durable once this returns.

        Raises:
            StoreFull: No room; nothing was stored.
            StoreUnavailable: No answer.
        """
        return await asyncio.get_running_loop().run_in_executor(
            self._write_thread, self.write_now, work
        )

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work` on one snapshot of what is committed."""
        return await asyncio.get_running_loop().run_in_executor(
            self._read_threads, self.read_now, work
        )

    def write_now(self, work: Callable[[Connection], T]) -> T:
        """`write` for a caller without an event loop."""
        with _translated(), self._writer.begin() as connection:
            return work(connection)

    def read_now(self, work: Callable[[Connection], T]) -> T:
        """`read` for a caller without an event loop."""
        with _translated(), self._reader.begin() as connection:
            return work(connection)

    def close(self) -> None:
        """Finish what is asked for and close."""
        self._write_thread.shutdown()
        self._read_threads.shutdown()
        self._writer.dispose()
        self._reader.dispose()


def _engine(url: sa.URL, *, immediate: bool, size: int) -> Engine:
    if url.get_backend_name() != "sqlite":
        return sa.create_engine(url, pool_size=size, max_overflow=0, pool_pre_ping=True)
    if url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(
        url,
        poolclass=QueuePool,
        pool_size=size,
        max_overflow=0,
        connect_args={"check_same_thread": False, "timeout": BUSY_TIMEOUT_MS / 1000},
    )
    begin = "BEGIN IMMEDIATE" if immediate else "BEGIN"
    sa.event.listen(engine, "connect", _prepare_sqlite)
    sa.event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(begin))
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    """WAL with a sync at each commit: the only mode that lost nothing at a power cut."""
    connection.isolation_level = None  # the begin event says how a transaction starts
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "cache_size=-65536"):
        connection.execute(f"PRAGMA {pragma}")


class _translated:  # noqa: N801  (reads as a verb phrase)
    """Names the failures of either driver."""

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if not isinstance(error, OperationalError):
            return
        text = str(error.orig)
        if "full" in text or "No space left" in text:
            raise StoreFull(text) from error
        raise StoreUnavailable(text) from error


def insert_many(
    connection: Connection, table: sa.Table, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]
) -> None:
    """Insert many rows by the fastest path of the dialect: the ORM is 17 times slower here.

    Raises:
        IntegrityError: A key exists already: callers decide about duplicates before.
    """
    if not rows:
        return
    names = ", ".join(columns)
    if connection.dialect.name == "sqlite":
        marks = ", ".join("?" * len(columns))
        connection.exec_driver_sql(
            f"INSERT INTO {table.name} ({names}) VALUES ({marks})",  # noqa: S608  (our own names)
            list(rows),
        )
        return
    arrays = ", ".join(f"%s::{PG_TYPES[type(table.c[name].type)]}[]" for name in columns)
    connection.exec_driver_sql(
        f"INSERT INTO {table.name} ({names}) SELECT * FROM unnest({arrays})",  # noqa: S608
        tuple(list(column) for column in zip(*rows, strict=True)),
    )


PG_TYPES: dict[type, str] = {
    sa.BigInteger: "bigint",
    sa.String: "text",
    sa.Text: "text",
    sa.LargeBinary: "bytea",
    sa.Float: "double precision",
    sa.Boolean: "boolean",
}


def upsert(
    connection: Connection,
    table: sa.Table,
    rows: Iterable[dict[str, Any]],
    *,
    keep: frozenset[str] = frozenset(),
) -> None:
    """Insert rows or replace those of the same primary key, all columns but `keep`."""
    rows = list(rows)
    if not rows:
        return
    insert: Any
    if connection.dialect.name == "sqlite":
        from sqlalchemy.dialects.sqlite import insert
    else:
        from sqlalchemy.dialects.postgresql import insert
    statement = insert(table)
    keys = [column.name for column in table.primary_key]
    changed = {
        name: statement.excluded[name] for name in rows[0] if name not in keys and name not in keep
    }
    connection.execute(
        statement.on_conflict_do_update(index_elements=keys, set_=changed)
        if changed
        else statement.on_conflict_do_nothing(),
        rows,
    )


def take_numbers(connection: Connection, counter: str, count: int) -> int:
    """Reserve `count` consecutive numbers in commit order; returns the first.

    The counter's row stays locked until the transaction ends, so a lower number is never
    committed after a higher one: readers may follow the numbers as a cursor.
    """
    from manager.storage.rows import CounterRow

    table = CounterRow.__table__  # type: ignore[attr-defined]
    row = connection.execute(
        table.update()
        .where(table.c.name == counter)
        .values(value=table.c.value + count)
        .returning(table.c.value)
    ).first()
    assert row is not None, f"no counter {counter}"
    return int(row[0]) - count + 1
