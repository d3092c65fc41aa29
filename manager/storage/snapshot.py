"""One state of a manager's database, for long reads that change nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine


@contextmanager
def open_snapshot(url: sa.URL) -> Iterator[Connection]:
    """A connection that sees one state of a database, however long it reads.

    Args:
        url: `sqlite:///FILE` or `postgresql+psycopg://...`.

    Raises:
        SQLAlchemyError: It cannot be opened or read, now or later.
    """
    engine = _postgres(url) if url.get_backend_name() == "postgresql" else _sqlite(url)
    try:
        with engine.connect() as connection, connection.begin():
            yield connection
    finally:
        engine.dispose()


def _postgres(url: sa.URL) -> Engine:
    engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
    return engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)


def _sqlite(url: sa.URL) -> Engine:
    file = Path(url.database or "").resolve()
    engine = sa.create_engine(f"sqlite:///file:{file}?mode=ro&uri=true")
    sa.event.listen(engine, "connect", _manual)
    sa.event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    return engine


def _manual(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the begin event says how a transaction starts
