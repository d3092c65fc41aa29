"""Rows of a query as CSV, JSON lines or Parquet: streamed, and a file only when it is whole."""

from __future__ import annotations

import csv
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Any, BinaryIO, Protocol, TextIO

import pyarrow as pa
import sqlalchemy as sa
from pyarrow import parquet

from gridcord.cli.ending import CommandError

Rows = Sequence[Sequence[Any]]


class Form(StrEnum):
    """How rows are written."""

    CSV = "csv"
    JSON = "json"
    PARQUET = "parquet"


class RowFile(Protocol):
    """Takes rows, some at a time."""

    def add(self, rows: Rows) -> None:
        """Write rows."""
        ...

    def close(self) -> None:
        """Write what comes at the end."""
        ...


class CsvFile:
    """RFC 4180 with a line of names.

    Args:
        file: Open.
        columns: Of each row.
    """

    def __init__(self, file: TextIO, columns: Sequence[sa.Column[Any]]) -> None:
        self._writer = csv.writer(file)
        self._writer.writerow([column.name for column in columns])

    def add(self, rows: Rows) -> None:
        """Write rows."""
        self._writer.writerows(rows)

    def close(self) -> None:
        """Nothing comes at the end."""


class JsonFile:
    """One object a line.

    Args:
        file: Open.
        columns: Of each row.
    """

    def __init__(self, file: TextIO, columns: Sequence[sa.Column[Any]]) -> None:
        self._file = file
        self._names = [column.name for column in columns]

    def add(self, rows: Rows) -> None:
        """Write rows."""
        objects = (dict(zip(self._names, row, strict=True)) for row in rows)
        self._file.writelines(json.dumps(each, ensure_ascii=False) + "\n" for each in objects)

    def close(self) -> None:
        """Nothing comes at the end."""


class ParquetFile:
    """Parquet, zstd; a row group for each time it is given rows.

    Args:
        file: Open.
        columns: Of each row.
    """

    def __init__(self, file: BinaryIO, columns: Sequence[sa.Column[Any]]) -> None:
        fields = [pa.field(column.name, _arrow_type(column)) for column in columns]
        self._schema = pa.schema(fields)
        self._writer = parquet.ParquetWriter(file, self._schema, compression="zstd")

    def add(self, rows: Rows) -> None:
        """Write rows as one group."""
        by_column = zip(*rows, strict=True)
        arrays = [
            pa.array(values, type=field.type)
            for values, field in zip(by_column, self._schema, strict=True)
        ]
        self._writer.write_batch(pa.record_batch(arrays, schema=self._schema))

    def close(self) -> None:
        """Write the footer."""
        self._writer.close()


def _arrow_type(column: sa.Column[Any]) -> pa.DataType:
    if isinstance(column.type, sa.Integer):
        return pa.int64()
    return pa.float64() if isinstance(column.type, sa.Float) else pa.string()


def form_of(output: Path | None, form: Form | None) -> Form:
    """What is said, else what the file's name ends in, else CSV.

    Raises:
        CommandError: Parquet was asked for without a file.
    """
    endings = {".parquet": Form.PARQUET, ".json": Form.JSON, ".jsonl": Form.JSON}
    chosen = form or endings.get(output.suffix.lower() if output else "", Form.CSV)
    if chosen is Form.PARQUET and output is None:
        message = "Parquet is written to a file: give -o FILE.parquet"
        raise CommandError(message)
    return chosen


@contextmanager
def open_rows(
    output: Path | None, form: Form, columns: Sequence[sa.Column[Any]]
) -> Iterator[RowFile]:
    """A file for rows; it gets its name when all of them are in it, and none before.

    Args:
        output: The file; None for standard output.
        form: How rows are written.
        columns: Of each row.

    Raises:
        CommandError: It cannot be written.
    """
    if output is None:
        rows = (JsonFile if form is Form.JSON else CsvFile)(sys.stdout, columns)
        yield rows
        rows.close()
        return
    draft = output.with_name(f".{output.name}.{os.getpid()}.draft")
    try:
        with draft.open("wb") as file:
            yield from _filled(file, form, columns)
            os.fsync(file.fileno())
        draft.replace(output)
    except OSError as error:
        message = f"{output} cannot be written: {error.strerror}"
        raise CommandError(message) from error
    finally:
        draft.unlink(missing_ok=True)


def _filled(file: BinaryIO, form: Form, columns: Sequence[sa.Column[Any]]) -> Iterator[RowFile]:
    if form is Form.PARQUET:
        table = ParquetFile(file, columns)
        try:
            yield table
        finally:
            table.close()  # also of a file that is thrown away: it knows its file still
        return
    with open(file.fileno(), "w", encoding="utf-8", newline="", closefd=False) as text:
        lines = (JsonFile if form is Form.JSON else CsvFile)(text, columns)
        yield lines
        lines.close()
