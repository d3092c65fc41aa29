"""How far the servers of utilities were followed."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.engine import Connection, Engine

from utility_adapter.sources.espi.pull import PullCursor
from utility_adapter.storage.tables import PULL


def cursor_of(engine: Engine, name: str) -> PullCursor:
    """What the last stored delivery of a source was known by; an empty one before the first."""
    with engine.begin() as connection:
        row = connection.execute(sa.select(PULL).where(PULL.c.name == name)).first()
    return (
        PullCursor() if row is None else PullCursor(etag=row.etag, last_modified=row.last_modified)
    )


def put_cursor(connection: Connection, name: str, cursor: PullCursor) -> None:
    """Keep what a delivery was known by, in the transaction that takes it in."""
    told = insert(PULL).values(name=name, etag=cursor.etag, last_modified=cursor.last_modified)
    connection.execute(
        told.on_conflict_do_update(
            index_elements=[PULL.c.name],
            set_={"etag": told.excluded.etag, "last_modified": told.excluded.last_modified},
        )
    )
