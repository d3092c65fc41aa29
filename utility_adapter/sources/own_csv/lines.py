"""Our own CSV: comma, UTF-8, a header of column names, a closing line `end,<rows>`.

The closing line tells a whole file from one that was cut off; its count must be right. Times are
ISO 8601 with a zone. Columns may come in any order; one that is not known is refused, so that a
misspelt name is not silently left out.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO, TypeVar

from utility_adapter.sources.amounts import parse_integer
from utility_adapter.sources.defect import Defect
from utility_adapter.sources.document import comma_fields, lines
from utility_adapter.sources.source import Document, Limits

END = "end"
V = TypeVar("V")


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The columns of one kind of file.

    Args:
        required: Columns that must be there.
        optional: Columns that may be absent, and what an absent or empty one means.
    """

    required: tuple[str, ...]
    optional: Mapping[str, str]

    @property
    def columns(self) -> tuple[str, ...]:
        """All of them, as we write them."""
        return (*self.required, *self.optional)


READINGS = Table(
    required=("site_id", "period_start", "import_wh", "export_wh"),
    optional={"period_s": "", "step_wh": "1", "quality": "VALID", "revision": "0", "method": ""},
)
TRANSFERS = Table(
    required=(
        "cable_id",
        "site_id",
        "period_start",
        "site_to_vehicle_wh",
        "vehicle_to_site_wh",
    ),
    optional={"period_s": "", "step_wh": "1", "revision": "0"},
)
SITES = Table(
    required=("site_id",),
    optional={
        "latitude_deg": "",
        "longitude_deg": "",
        "meter_ids": "",
        "rated_power_w": "",
        "service_voltage_v": "",
        "asset_id": "",
        "area_id": "",
    },
)
ASSETS = Table(
    required=("asset_id", "kind", "rated_va"),
    optional={"parent_id": "", "load_limit_percent": "100", "feed_limit_percent": "100"},
)
LOADINGS = Table(required=("asset_id", "measured_at", "loading_percent"), optional={"rated_va": ""})


@dataclass(frozen=True, slots=True)
class Record:
    """One row.

    Args:
        line: Where it stands.
        values: By column, stripped; defaults filled in.
    """

    line: int
    values: Mapping[str, str]

    def read(self, column: str, parse: Callable[[str], V]) -> V:
        """A value.

        Raises:
            Defect: It is none of its kind.
        """
        try:
            return parse(self.values[column])
        except (ValueError, OverflowError) as error:
            raise Defect(self.line, f"{column}: {error}") from None

    def read_or_none(self, column: str, parse: Callable[[str], V]) -> V | None:
        """A value; None where the column is empty."""
        return self.read(column, parse) if self.values[column] else None


def records(document: Document, table: Table, limits: Limits) -> Iterator[Record]:
    """The rows of a file.

    Raises:
        Defect: No such header, a row of another width, or no right closing line.
    """
    count, line, header, ended = 0, 1, None, False
    for line, text in lines(document, limits):
        fields = [field.strip() for field in comma_fields(text, line)]
        if ended:
            raise Defect(line, f"a row after the closing line {END!r}")
        if header is None:
            header = _header(fields, table, line)
        elif fields[0] == END:
            _check_end(fields, count, line)
            ended = True
        else:
            count += 1
            yield _record(fields, header, table, line)
    if not ended:
        raise Defect(line, f"cut off: no closing line '{END},<rows>'")


def header_score(fields: Iterable[str], table: Table) -> int:
    """How much a first line looks like the header of a kind of file; 0 when it does not.

    A header with a column too many or too few is still recognised, so that the reader can say
    which.
    """
    names = {field.strip() for field in fields}
    required = sum(name in names for name in table.required)
    enough = 2 * required >= len(table.required) and table.required[0] in names
    return sum(name in names for name in table.columns) if enough else 0


def _header(fields: list[str], table: Table, line: int) -> list[str]:
    unknown = [name for name in fields if name not in table.columns]
    missing = [name for name in table.required if name not in fields]
    if unknown or missing or len(set(fields)) < len(fields):
        reason = f"columns missing: {missing}, not known: {[name[:40] for name in unknown]}"
        raise Defect(line, reason if unknown or missing else "a column stands twice")
    return fields


def _check_end(fields: list[str], count: int, line: int) -> None:
    if len(fields) != 2 or fields[1] != str(count):
        reason = f"{count} rows, but the closing line says {','.join(fields[1:])[:40]!r}"
        raise Defect(line, reason)


def _record(fields: list[str], header: list[str], table: Table, line: int) -> Record:
    if len(fields) != len(header):
        raise Defect(line, f"{len(header)} fields expected, not {len(fields)}")
    told = {name: value for name, value in zip(header, fields, strict=True) if value}
    for name in table.required:
        told.setdefault(name, "")
    return Record(line, {**table.optional, **told})


def parse_wh(text: str) -> int:
    """Whole Wh, >= 0.

    Raises:
        ValueError: It is none.
    """
    wh = parse_integer(text)
    if wh < 0:
        message = f"negative: {text[:40]}"
        raise ValueError(message)
    return wh


def write_table(rows: Iterable[Mapping[str, object]], table: Table, out: BinaryIO) -> None:
    """Write a whole file; a None is written as an empty field."""
    text = io.TextIOWrapper(out, encoding="utf-8", newline="", write_through=True)
    try:
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(table.columns)
        count = 0
        for row in rows:
            values = (row.get(name) for name in table.columns)
            writer.writerow(["" if value is None else value for value in values])
            count += 1
        writer.writerow([END, count])
    finally:
        text.detach()
