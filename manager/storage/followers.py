"""How far followers have come; moved in the transaction that does what they follow for."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from manager.storage.engine import upsert
from manager.storage.rows import FollowerRow

FOLLOWER: sa.Table = FollowerRow.__table__  # type: ignore[attr-defined]


def cursor_of(connection: Connection, name: str) -> str:
    """A follower's cursor; empty before its first step."""
    query = sa.select(FOLLOWER.c.cursor).where(FOLLOWER.c.name == name)
    return connection.execute(query).scalar() or ""


def move_cursor(connection: Connection, name: str, cursor: str) -> None:
    """Move a follower on."""
    upsert(connection, FOLLOWER, [{"name": name, "cursor": cursor}])
