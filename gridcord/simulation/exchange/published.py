"""The exchange's published yearly file of day-ahead prices (`spot_summary_YYYY.csv`).

Columns are found by words of their headers, because their number has changed over the years; the
text is the exchange's own cp932 or somebody's UTF-8.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import date
from decimal import Decimal, InvalidOperation

from gridcord.protocols.jepx.fields import (
    AREA_CODES,
    MAX_PRICE_JPY_PER_MWH,
    PERIODS_A_DAY,
    PRICE_STEP_JPY_PER_MWH,
)
from gridcord.simulation.exchange.prices import TablePrices

_DAY, _TIME, _AREA_PRICE = "受渡日", "時刻コード", "エリアプライス"
_NAMES = {
    "北海道": "hokkaido",
    "東北": "tohoku",
    "東京": "tokyo",
    "中部": "chubu",
    "北陸": "hokuriku",
    "関西": "kansai",
    "中国": "chugoku",
    "四国": "shikoku",
    "九州": "kyushu",
}


class PublishedFileError(ValueError):
    """A file is not the exchange's price file; the text names the line."""


def read_published_prices(data: bytes) -> TablePrices:
    """Read the file.

    Raises:
        PublishedFileError: It is no such file.
    """
    rows = csv.reader(io.StringIO(_text(data)))
    header = next(rows, [])
    day_at, time_at = _column(header, _DAY), _column(header, _TIME)
    areas = {_area_cd(name): at for at, name in enumerate(header) if _AREA_PRICE in name}
    if not areas:
        message = f"line 1: no column {_AREA_PRICE}"
        raise PublishedFileError(message)
    table: dict[tuple[str, date, int], int] = {}
    for line, row in enumerate(rows, start=2):
        if not row:
            continue
        try:
            day = date.fromisoformat(row[day_at].replace("/", "-"))
            number = _number(row[time_at])
            for area_cd, at in areas.items():
                if row[at].strip():
                    table[area_cd, day, number] = _jpy_per_mwh(row[at])
        except (ValueError, IndexError, InvalidOperation) as error:
            message = f"line {line}: {error}"
            raise PublishedFileError(message) from error
    return TablePrices(table=table)


def _text(data: bytes) -> str:
    for encoding in ("utf-8-sig", "cp932"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    message = "neither UTF-8 nor cp932"
    raise PublishedFileError(message)


def _column(header: Sequence[str], word: str) -> int:
    for at, name in enumerate(header):
        if word in name:
            return at
    message = f"line 1: no column {word}"
    raise PublishedFileError(message)


def _area_cd(name: str) -> str:
    for word, area_id in _NAMES.items():
        if word in name:
            return AREA_CODES[area_id]
    message = f"line 1: no area in {name!r}"
    raise PublishedFileError(message)


def _number(text: str) -> int:
    number = int(text)
    if not 1 <= number <= PERIODS_A_DAY:
        message = f"no half hour {number}"
        raise ValueError(message)
    return number


def _jpy_per_mwh(text: str) -> int:
    """JPY/kWh with two decimals as JPY/MWh."""
    price = Decimal(text) * 1000
    if not 0 <= price <= MAX_PRICE_JPY_PER_MWH or price % PRICE_STEP_JPY_PER_MWH:
        message = f"no price: {text}"
        raise ValueError(message)
    return int(price)
