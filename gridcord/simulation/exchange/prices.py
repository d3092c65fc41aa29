"""Prices that the simulated market follows: a published series, or a synthetic one.

A series says a price per area and half hour in JPY/MWh, a multiple of 10. The synthetic one is a
pure function of its seed, so every process that is given the same seed sees the same market.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Protocol

from gridcord.protocols.jepx.fields import (
    AREA_CODES,
    MICROS_PER_KWH_OF_JPY_PER_MWH,
    PRICE_STEP_JPY_PER_MWH,
)
from gridcord.protocols.jepx_csv import SpotRow

FLOOR_JPY_PER_MWH = 10


class PriceSeries(Protocol):
    """Prices per area and half hour."""

    def price_jpy_per_mwh(self, *, area_cd: str, day: date, number: int) -> int | None:
        """Price of a half hour, a multiple of 10; None where the series says nothing.

        Args:
            area_cd: Area, "1" to "9".
            day: Delivery day in Japan.
            number: Half hour, 1 to 48.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SyntheticPrices:
    """A year of plausible prices out of a seed.

    The shape is the Japanese one: dear mornings and evenings, cheap nights, a solar valley at
    noon that is deepest in spring, cheap weekends, dear winters and summers, some scarce days,
    the west cheaper at noon than the east.

    Args:
        seed: Any number.
        level_jpy_per_mwh: Price around which all of it moves, > 0.
        restlessness: Deviation of the logarithm of each half hour's price from the day's shape.
    """

    seed: int
    level_jpy_per_mwh: int = 11_000
    restlessness: float = 0.06

    def price_jpy_per_mwh(self, *, area_cd: str, day: date, number: int) -> int:
        """Price of a half hour."""
        hour = (number - 0.5) / 2
        factor = (
            _season(day)
            * (0.86 if day.weekday() >= 5 else 1.0)
            * self._daily_shape(area_cd, day, hour)
            * math.exp(0.18 * self._noise("day", day))
            * math.exp(self.restlessness * self._noise(area_cd, day, number))
        )
        steps = round(self.level_jpy_per_mwh * factor / PRICE_STEP_JPY_PER_MWH)
        return max(FLOOR_JPY_PER_MWH, steps * PRICE_STEP_JPY_PER_MWH)

    def _daily_shape(self, area_cd: str, day: date, hour: float) -> float:
        sunny = 0.5 + 0.5 * self._uniform("sun", day)
        west = 1.25 if int(area_cd) >= int(AREA_CODES["kansai"]) else 1.0
        valley = 0.62 * sunny * west * _solar_season(day) * _bump(hour, 12.0, 2.6)
        scarce = 1.6 if self._uniform("scarce", day) > 0.96 else 0.0
        evening = (0.75 + scarce) * _bump(hour, 18.5, 1.6)
        return max(0.0, 0.92 + 0.22 * _bump(hour, 8.0, 1.4) + evening - valley)

    def _uniform(self, *of: object) -> float:
        digest = hashlib.blake2b(repr((self.seed, *of)).encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") / 2**64

    def _noise(self, *of: object) -> float:
        """About normal with deviation 1: the sum of twelve uniforms less six."""
        digest = hashlib.blake2b(repr((self.seed, *of)).encode(), digest_size=48).digest()
        return sum(int.from_bytes(digest[i : i + 4], "big") for i in range(0, 48, 4)) / 2**32 - 6


@dataclass(frozen=True, slots=True, kw_only=True)
class TablePrices:
    """Prices out of a table, such as the exchange's own published file.

    Args:
        table: (areaCd, day, half hour) -> JPY/MWh.
    """

    table: Mapping[tuple[str, date, int], int]

    def price_jpy_per_mwh(self, *, area_cd: str, day: date, number: int) -> int | None:
        """Price of a half hour."""
        return self.table.get((area_cd, day, number))

    @classmethod
    def of_rows(cls, rows: Iterable[SpotRow]) -> TablePrices:
        """The areas' prices of the exchange's public table."""
        return cls(
            table={
                (AREA_CODES[area], row.day, row.number): micros // MICROS_PER_KWH_OF_JPY_PER_MWH
                for row in rows
                for area, micros in row.price_micros_per_kwh.items()
                if area in AREA_CODES
            }
        )


def _season(day: date) -> float:
    """Dear at the end of January and of July, cheap between."""
    angle = 2 * math.pi * (day.timetuple().tm_yday - 28) / 182.6
    return 1.0 + 0.16 * math.cos(angle)


def _solar_season(day: date) -> float:
    """Deepest valley at the end of April."""
    return 0.85 + 0.35 * math.cos(2 * math.pi * (day.timetuple().tm_yday - 118) / 365.25)


def _bump(hour: float, centre: float, width: float) -> float:
    return math.exp(-(((hour - centre) / width) ** 2) / 2)
