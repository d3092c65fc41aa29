"""Prices of an area over whole days, from the exchange's public table."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np

from gridcord.protocols.jepx_csv import (
    AREA_NAMES,
    PERIODS_A_DAY,
    SYSTEM,
    JepxCsvError,
    decoded,
    parse_spot,
)
from manager.backtest.failures import InputError
from manager.domain.dispatch.waterfill import Ints

AREAS = (*AREA_NAMES, SYSTEM)
CURRENCY = "JPY"
_EXCERPT_DAYS = 14


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceDays:
    """Day-ahead prices of consecutive days.

    Args:
        area_id: The area, or "system".
        first_day: Of the market's calendar.
        micros_per_kwh: Millionths of JPY per kWh, 48 a day.
    """

    area_id: str
    first_day: date
    micros_per_kwh: Ints

    @property
    def days(self) -> int:
        """How many days."""
        return len(self.micros_per_kwh) // PERIODS_A_DAY

    @property
    def last_day(self) -> date:
        """The last day."""
        return self.first_day + timedelta(days=self.days - 1)

    def excerpt(self, start: date | None) -> tuple[int, int]:
        """Index of the first day to show and of the day after the last: two weeks, or fewer.

        Args:
            start: First day wanted; None for the middle.

        Raises:
            InputError: The day is not among them.
        """
        count = min(_EXCERPT_DAYS, self.days)
        if start is None:
            first = (self.days - count) // 2
            return first, first + count
        first = (start - self.first_day).days
        if not 0 <= first < self.days:
            message = f"{start} is not between {self.first_day} and {self.last_day}"
            raise InputError(message)
        return first, min(first + count, self.days)


def read_prices(
    path: Path, *, area_id: str, start: date | None = None, end: date | None = None
) -> PriceDays:
    """Read a table.

    Args:
        path: `spot_summary_<year>.csv`.
        area_id: One of `AREAS`.
        start: First day; None for the table's.
        end: Last day; None for the table's.

    Raises:
        InputError: The file cannot be read, or lacks the area, a day or a half hour.
    """
    if area_id not in AREAS:
        message = f"no area {area_id!r}; there are {', '.join(AREAS)}"
        raise InputError(message)
    try:
        rows = parse_spot(decoded(path.read_bytes()))
    except OSError as error:
        message = f"{path}: {error.strerror}"
        raise InputError(message) from None
    except JepxCsvError as error:
        message = f"{path}: {error}"
        raise InputError(message) from None
    found = {
        (row.day, row.number): row.price_micros_per_kwh[area_id]
        for row in rows
        if area_id in row.price_micros_per_kwh
    }
    if not found:
        message = f"{path}: no prices of area {area_id}"
        raise InputError(message)
    first = start or min(day for day, _ in found)
    last = end or max(day for day, _ in found)
    return PriceDays(
        area_id=area_id, first_day=first, micros_per_kwh=_series(path, found, first, last)
    )


def _series(path: Path, found: dict[tuple[date, int], int], first: date, last: date) -> Ints:
    if last < first:
        message = f"the last day, {last}, is before the first, {first}"
        raise InputError(message)
    keys = [
        (first + timedelta(days=day), number)
        for day in range((last - first).days + 1)
        for number in range(1, PERIODS_A_DAY + 1)
    ]
    for day, number in keys:
        if (day, number) not in found:
            message = (
                f"{path}: no price of {day}, time code {number}; "
                "--start and --end choose days without a gap"
            )
            raise InputError(message)
    return np.array([found[key] for key in keys], np.int64)
