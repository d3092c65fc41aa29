"""Reads what `gridcord match` replays: JSON lines, CSV and Parquet into sites and their periods.

Whatever is wrong with the input is one error with the number of its line or row.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from gridcord.metering.matching import HemsCoverage, MeteredSite, SitePeriod
from gridcord.units import Period
from gridcord.units.period import HALF_HOUR_S

MAX_WH = 10**9  # a GWh in a half hour is no house
COLUMNS = ("t", "import_wh", "export_wh", "cable_wh", "hems_wh", "session")
_SITE_DEFAULTS: Mapping[str, Any] = {
    "slot_s": HALF_HOUR_S,
    "resolution_wh": 1,
    "registers": "both",
    "hems": "none",
}


class MatchInputError(ValueError):
    """Input that cannot be replayed.

    Args:
        line: Line or row in the input, from 1.
        problem: What is wrong, and what was expected.
    """

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(f"line {line}: {problem}")
        self.line = line


def parse_message(text: str | bytes, *, line: int) -> dict[str, Any]:
    """One JSON object of a line.

    Raises:
        MatchInputError: It is none.
    """
    try:
        message = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise MatchInputError(line, f"not JSON: {error}") from None
    if not isinstance(message, dict):
        raise MatchInputError(line, "not a JSON object")
    return message


def parse_site(fields: Mapping[str, Any], *, line: int) -> MeteredSite:
    """What is known of a site; half hours, 1 Wh, both registers and no HEMS unless told.

    Raises:
        MatchInputError: A value that no site has.
    """
    known = {**_SITE_DEFAULTS, **fields}
    if known["registers"] not in ("both", "import"):
        raise MatchInputError(line, f"registers are 'both' or 'import', not {known['registers']!r}")
    try:
        return MeteredSite(
            step_wh=_whole(known, "resolution_wh", line),
            has_export=known["registers"] == "both",
            hems=HemsCoverage(known["hems"]),
            length_s=_whole(known, "slot_s", line),
        )
    except ValueError as error:
        if isinstance(error, MatchInputError):
            raise
        raise MatchInputError(line, str(error)) from None


def parse_period(fields: Mapping[str, Any], *, site: MeteredSite, line: int) -> SitePeriod:
    """One period of a site.

    Raises:
        MatchInputError: A field is missing or is not what it should be.
    """
    try:
        period = Period(_start_s(fields.get("t"), line), site.length_s)
    except ValueError as error:
        if isinstance(error, MatchInputError):
            raise
        raise MatchInputError(line, str(error)) from None
    values = {name: _optional(fields, name, line) for name in COLUMNS[1:]}
    for name in ("import_wh", "export_wh", "hems_wh"):
        if (values[name] or 0) < 0:
            raise MatchInputError(line, f"{name} is never negative, not {values[name]}")
    return SitePeriod(
        period=period,
        transferred_wh=_whole(fields, "cable_wh", line),
        import_wh=values["import_wh"],
        export_wh=values["export_wh"],
        consumption_wh=values["hems_wh"],
        session=values["session"],
    )


def read_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Rows of a file with their line numbers: .csv, .parquet, anything else as JSON lines.

    Raises:
        MatchInputError: The file is not of its kind.
        OSError: It cannot be read.
    """
    readers: dict[str, Callable[[Path], Iterator[tuple[int, dict[str, Any]]]]] = {
        ".csv": _csv_rows,
        ".parquet": _parquet_rows,
    }
    return readers.get(path.suffix.lower(), _json_rows)(path)


def _json_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with path.open("rb") as file:
        for line, text in enumerate(file, 1):
            if text.strip():
                yield line, parse_message(text, line=line)


def _csv_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file, strict=True)
        try:
            _check_columns(reader.fieldnames or ())
            for row in reader:
                if None in row:
                    raise MatchInputError(reader.line_num, "more cells than the header has columns")
                yield reader.line_num, {k: _cell(v) for k, v in row.items() if k in COLUMNS}
        except (csv.Error, UnicodeDecodeError) as error:
            raise MatchInputError(reader.line_num or 1, f"not CSV in UTF-8: {error}") from None


def _parquet_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        table = parquet.read_table(path)
    except pa.ArrowException as error:
        raise MatchInputError(1, f"not Parquet: {error}") from None
    _check_columns(table.column_names)
    rows = table.select([c for c in COLUMNS if c in table.column_names]).to_pylist()
    yield from enumerate(rows, 1)


def _check_columns(names: Any) -> None:
    names = list(names)
    twice = sorted({name for name in names if name in COLUMNS and names.count(name) > 1})
    if twice:
        raise MatchInputError(1, f"columns given twice: {', '.join(twice)}")
    missing = {"t", "import_wh", "cable_wh"} - set(names)
    if missing:
        raise MatchInputError(1, f"columns missing: {', '.join(sorted(missing))}")


def _cell(text: str | None) -> float | str | None:
    """A number where it is one: a column with holes is often written as 150.0."""
    if text is None or not text.strip():
        return None
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return text


def _start_s(value: Any, line: int) -> int:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise MatchInputError(line, f"t is no time: {value!r:.80}") from None
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise MatchInputError(line, f"t has no zone: {value}")
        value = int(value.timestamp())
    if type(value) is float and value.is_integer():
        value = int(value)
    if type(value) is not int or abs(value) > 10**11:
        raise MatchInputError(line, f"t is seconds since 1970 UTC, not {value!r:.80}")
    return value


def _optional(fields: Mapping[str, Any], name: str, line: int) -> int | None:
    return None if fields.get(name) is None else _whole(fields, name, line)


def _whole(fields: Mapping[str, Any], name: str, line: int) -> int:
    value = fields.get(name)
    if type(value) is float and value.is_integer():
        value = int(value)  # what a table with holes makes of integers
    if value is None:
        raise MatchInputError(line, f"{name} is a whole number, not empty: 0 where nothing flowed")
    if type(value) is not int:
        raise MatchInputError(line, f"{name} is a whole number, not {value!r:.80}")
    if abs(value) > MAX_WH:
        raise MatchInputError(line, f"{name} is beyond all reason: {value}")
    return value
