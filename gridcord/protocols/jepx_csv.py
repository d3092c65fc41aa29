"""JEPX's public table of day-ahead prices (`spot_summary_<fiscal year>.csv`): text -> rows.

Columns are found by words in their header, because the exchange adds and moves columns over the
years: the delivery date, the time code 1 to 48, the system price and one price for each area, in
JPY/kWh with two decimals. The original is in code page 932, copies are in UTF-8.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation

AREA_NAMES: Mapping[str, str] = {
    "hokkaido": "北海道",
    "tohoku": "東北",
    "tokyo": "東京",
    "chubu": "中部",
    "hokuriku": "北陸",
    "kansai": "関西",
    "chugoku": "中国",
    "shikoku": "四国",
    "kyushu": "九州",
}
"""Area id -> its name in headers."""

SYSTEM = "system"
PERIODS_A_DAY = 48  # Japan has no clock changes
MICROS_PER_JPY = 1_000_000
_PRICE_STEP_MICROS = 10_000  # 0.01 JPY/kWh
_MOST_JPY_PER_KWH = 1000  # the exchange takes prices from 0 to 999.99
_TIME_CODE = re.compile(r"[0-9]{1,2}")
_DATE = re.compile(r"([0-9]{4})[/-]([0-9]{1,2})[/-]([0-9]{1,2})")


class JepxCsvError(ValueError):
    """A text is not that table.

    Args:
        line: Where, from 1.
        reason: What is wrong.
    """

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"line {line}: {reason}")
        self.line = line
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class SpotRow:
    """Prices of one half hour.

    Args:
        day: Delivery date in Japan.
        number: Time code, 1 (00:00) to 48.
        price_micros_per_kwh: Millionths of JPY per kWh by area id, and by "system"; without what
            the table leaves empty.
    """

    day: date
    number: int
    price_micros_per_kwh: Mapping[str, int]


def decoded(data: bytes) -> str:
    """The text of a file in UTF-8 or code page 932.

    Raises:
        JepxCsvError: It is neither.
    """
    for encoding in ("utf-8-sig", "cp932"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise JepxCsvError(1, "neither UTF-8 nor code page 932")


def parse_spot(text: str) -> tuple[SpotRow, ...]:
    """Read the table.

    Returns:
        Rows as they stand; each half hour once.

    Raises:
        JepxCsvError: A column is missing, a value is none, or a half hour comes twice.
    """
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[SpotRow] = []
    seen: set[tuple[date, int]] = set()
    try:
        columns = _columns(next(reader, []))
        for values in reader:
            if not any(value.strip() for value in values):
                continue
            row = _row(values, columns, reader.line_num)
            if (row.day, row.number) in seen:
                raise JepxCsvError(reader.line_num, f"{row.day} {row.number} comes twice")
            seen.add((row.day, row.number))
            rows.append(row)
    except csv.Error as error:
        raise JepxCsvError(reader.line_num, str(error)) from None
    return tuple(rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Columns:
    day: int
    number: int
    prices: Mapping[str, int]


def _columns(header: Sequence[str]) -> _Columns:
    names = {SYSTEM: "システムプライス", **{k: f"エリアプライス{v}" for k, v in AREA_NAMES.items()}}
    prices = {key: _find(header, name) for key, name in names.items()}
    if not any(index is not None for index in prices.values()):
        raise JepxCsvError(1, "no column of prices")
    return _Columns(
        day=_required(header, ("受渡日", "年月日")),
        number=_required(header, ("時刻コード",)),
        prices={key: index for key, index in prices.items() if index is not None},
    )


def _find(header: Sequence[str], word: str) -> int | None:
    return next((index for index, name in enumerate(header) if word in name), None)


def _required(header: Sequence[str], words: Sequence[str]) -> int:
    for word in words:
        if (index := _find(header, word)) is not None:
            return index
    raise JepxCsvError(1, f"no column {' or '.join(words)}: not a table of day-ahead prices")


def _row(values: Sequence[str], columns: _Columns, line: int) -> SpotRow:
    most = max(columns.day, columns.number, *columns.prices.values())
    if len(values) <= most:
        raise JepxCsvError(line, f"{len(values)} values where {most + 1} are needed")
    return SpotRow(
        day=_day(values[columns.day], line),
        number=_number(values[columns.number], line),
        price_micros_per_kwh={
            area: _price(values[index], line)
            for area, index in columns.prices.items()
            if values[index].strip()
        },
    )


def _day(text: str, line: int) -> date:
    if found := _DATE.fullmatch(text.strip()):
        year, month, day = (int(part) for part in found.groups())
        with suppress(ValueError):
            return date(year, month, day)
    raise JepxCsvError(line, f"no date: {text[:40]!r}")


def _number(text: str, line: int) -> int:
    if _TIME_CODE.fullmatch(text.strip()) and 1 <= int(text) <= PERIODS_A_DAY:
        return int(text)
    raise JepxCsvError(line, f"no time code from 1 to {PERIODS_A_DAY}: {text[:40]!r}")


def _price(text: str, line: int) -> int:
    try:
        price = Decimal(text.strip())
    except InvalidOperation:
        raise JepxCsvError(line, f"no price: {text[:40]!r}") from None
    if not price.is_finite() or not 0 <= price < _MOST_JPY_PER_KWH:
        raise JepxCsvError(line, f"no price in JPY/kWh: {text[:40]!r}")
    micros = price * MICROS_PER_JPY
    if micros % _PRICE_STEP_MICROS:
        raise JepxCsvError(line, f"finer than 0.01 JPY/kWh: {text[:40]!r}")
    return int(micros)
