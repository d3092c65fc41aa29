"""Japan's public table of imbalance prices (インバランス料金単価): text -> prices.

The grid operators publish one file a month and bring it up to date as prices become known. Its
lines are of three kinds: `H`, whose third says when the file was brought up to date, `T`, the names
of the columns, and `D`, one half hour. Each area has two columns of prices in JPY/kWh, first
all areas' prices of a surplus, then those of a shortage, each with a flag that says whether it was
changed. Both prices are one under the rules in force since April 2022; where they are not, the
table is refused, for settlement here knows one price.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation

from gridcord.protocols.jepx_csv import AREA_NAMES
from gridcord.units import Calendar, Period, Price

CURRENCY = "JPY"
_TITLE = "インバランス料金単価"
_AREAS: Mapping[str, str] = {name: area for area, name in AREA_NAMES.items()} | {"沖縄": "okinawa"}
_CALENDAR = Calendar("Asia/Tokyo")
_FIXED = 5  # kind, day, number, begin and end of the half hour
_DATE = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})")
_NUMBER = re.compile(r"[0-9]{1,2}")
_MOST_JPY_PER_KWH = 10_000


class ImbalanceCsvError(ValueError):
    """A text is not that table.

    Args:
        line: Where, from 1.
        reason: What is wrong.
    """

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"line {line}: {reason}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImbalanceTable:
    """What a file tells.

    Args:
        published_s: When it was brought up to date, seconds since 1970 UTC.
        prices: By area and half hour; without those that are not known yet.
    """

    published_s: int
    prices: Mapping[tuple[str, Period], Price]


def is_imbalance_table(text: str) -> bool:
    """Whether a text claims to be that table."""
    return text.startswith(('"H"', "H,")) and _TITLE in text.partition("\n")[0]


def parse_imbalance(text: str) -> ImbalanceTable:
    """Read the table.

    Raises:
        ImbalanceCsvError: A line or value is none, a half hour comes twice, or prices of surplus
            and shortage differ.
    """
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    published_s: int | None = None
    columns: Sequence[tuple[str, int, int]] = ()
    prices: dict[tuple[str, Period], Price] = {}
    seen: set[Period] = set()
    try:
        for row in reader:
            line = reader.line_num
            match row[:1]:
                case ["H"]:
                    published_s = _published_s(row, published_s, line)
                case ["T"]:
                    columns = _columns(row, line)
                case ["D"]:
                    period = _period(row, line)
                    if period in seen or not columns:
                        reason = f"{period} comes twice" if columns else "no line T before it"
                        raise ImbalanceCsvError(line, reason)
                    seen.add(period)
                    prices |= _prices(row, period, columns, line)
                case _ if any(row):
                    raise ImbalanceCsvError(line, f"no line H, T or D: {row[0][:40]!r}")
    except csv.Error as error:
        raise ImbalanceCsvError(reader.line_num, str(error)) from None
    if published_s is None:
        raise ImbalanceCsvError(reader.line_num, "no line H with date and time of the file")
    return ImbalanceTable(published_s=published_s, prices=prices)


def _published_s(row: Sequence[str], before: int | None, line: int) -> int | None:
    """The one line H that begins with a date says it; the others are titles."""
    if len(row) < 3 or not _DATE.fullmatch(row[1]):
        return before
    try:
        told = datetime.strptime(f"{row[1]} {row[2]}+0900", "%Y%m%d %H:%M:%S%z")
    except ValueError:
        raise ImbalanceCsvError(line, f"no date and time: {row[1]} {row[2][:20]!r}") from None
    return int(told.timestamp())


def _columns(row: Sequence[str], line: int) -> Sequence[tuple[str, int, int]]:
    """(area, column of a surplus, column of a shortage) of each area."""
    places: dict[str, list[int]] = {}
    for index, name in enumerate(row[_FIXED:], start=_FIXED):
        if (area := _AREAS.get(name.strip())) is not None:
            places.setdefault(area, []).append(index)
        elif name.strip() and not name.startswith("変更"):
            raise ImbalanceCsvError(line, f"no area: {name[:20]!r}")
    if not places:
        raise ImbalanceCsvError(line, "no area")
    if odd := [area for area, found in places.items() if len(found) != 2]:
        message = f"{', '.join(odd)}: a column of surplus and one of shortage are needed"
        raise ImbalanceCsvError(line, message)
    return [(area, surplus, shortage) for area, (surplus, shortage) in places.items()]


def _period(row: Sequence[str], line: int) -> Period:
    if len(row) < _FIXED:
        raise ImbalanceCsvError(line, "too short")
    found, number = _DATE.fullmatch(row[1]), row[2]
    if not found or not _NUMBER.fullmatch(number):
        raise ImbalanceCsvError(line, f"no date and number: {row[1][:20]!r}, {number[:10]!r}")
    try:
        year, month, day = (int(part) for part in found.groups())
        return _CALENDAR.period(date(year, month, day), int(number))
    except ValueError as error:
        raise ImbalanceCsvError(line, str(error)) from None


def _prices(
    row: Sequence[str], period: Period, columns: Sequence[tuple[str, int, int]], line: int
) -> dict[tuple[str, Period], Price]:
    prices = {}
    for area, *places in columns:
        if max(places) >= len(row):
            raise ImbalanceCsvError(line, "fewer values than line T has names")
        surplus, shortage = (row[index].strip() for index in places)
        if not surplus and not shortage:
            continue
        price = _price(surplus, line)
        if price != _price(shortage, line):
            message = f"{area}: prices of surplus and shortage differ: {surplus}, {shortage}"
            raise ImbalanceCsvError(line, message)
        prices[area, period] = price
    return prices


def _price(text: str, line: int) -> Price:
    try:
        amount = Decimal(text)
        if not amount.is_finite() or abs(amount) >= _MOST_JPY_PER_KWH:
            raise ValueError
        return Price.per_kwh(CURRENCY, amount)
    except (InvalidOperation, ValueError):
        raise ImbalanceCsvError(line, f"no price in JPY/kWh: {text[:20]!r}") from None
