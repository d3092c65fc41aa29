"""Many rows in one statement: what a batch needs is read, and changed, table by table.

A statement costs a hundred times what a row of it costs, and the next one the same again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from manager.storage.engine import PG_TYPES


def given(
    connection: Connection,
    table: sa.Table,
    columns: Sequence[str],
    rows: Sequence[tuple[Any, ...]],
) -> tuple[str, tuple[Any, ...]]:
    """Rows as a table `given` that a statement reads from, with the argument it takes.

    Args:
        connection: Whose dialect is spoken.
        table: Whose columns the values are of.
        columns: Names of them, and those of `given`: text or whole numbers.
        rows: Their values; at least one.
    """
    if connection.dialect.name == "sqlite":
        fields = ", ".join(
            f"json_extract(value, '$[{place}]') AS {name}" for place, name in enumerate(columns)
        )
        return f"(SELECT {fields} FROM json_each(?)) AS given", (json.dumps(rows),)  # noqa: S608
    arrays = ", ".join(f"%s::{PG_TYPES[type(table.c[name].type)]}[]" for name in columns)
    source = f"unnest({arrays}) AS given({', '.join(columns)})"
    return source, tuple(list(column) for column in zip(*rows, strict=True))


def rows_at(
    connection: Connection,
    table: sa.Table,
    columns: Sequence[str],
    keys: Iterable[tuple[Any, ...]],
) -> Sequence[Row[Any]]:
    """Rows whose columns have the values of one of the keys, in no order.

    Args:
        connection: Of the transaction.
        table: Which; values come as the driver gives them.
        columns: Names of columns that an index begins with.
        keys: Values of them; one that is named twice counts once.
    """
    wanted = list(dict.fromkeys(keys))
    if not wanted:
        return []
    source, arguments = given(connection, table, columns, wanted)
    name = table.name
    same = " AND ".join(f"{name}.{column} = given.{column}" for column in columns)
    statement = f"SELECT {name}.* FROM {source} CROSS JOIN {name} WHERE {same}"  # noqa: S608
    return connection.exec_driver_sql(statement, arguments).all()


def update_many(
    connection: Connection,
    table: sa.Table,
    columns: Sequence[str],
    rows: Sequence[tuple[Any, ...]],
) -> None:
    """Set columns of many rows.

    Args:
        connection: Of the transaction.
        table: Which.
        columns: Names of the columns to set.
        rows: The new values of a row, and then its primary key.
    """
    if not rows:
        return
    mark = "?" if connection.dialect.name == "sqlite" else "%s"
    changes = ", ".join(f"{name} = {mark}" for name in columns)
    same = " AND ".join(f"{column.name} = {mark}" for column in table.primary_key)
    statement = f"UPDATE {table.name} SET {changes} WHERE {same}"  # noqa: S608  (our own names)
    connection.exec_driver_sql(statement, list(rows))
