"""Prices by local time of day: what taking and giving a kilowatt-hour costs in a period."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from gridcord.units import Period, Price

DAY_MIN = 24 * 60
EVERY_DAY = frozenset(range(7))


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """Two prices of one currency.

    Args:
        taken: For energy taken: charged by a vehicle, imported by a site.
        given: For energy given: discharged by a vehicle, exported by a site.

    Raises:
        ValueError: Two currencies.
    """

    taken: Price
    given: Price

    def __post_init__(self) -> None:
        if self.taken.currency != self.given.currency:
            message = f"prices in {self.taken.currency} and {self.given.currency} do not mix"
            raise ValueError(message)

    @classmethod
    def same(cls, price: Price) -> Prices:
        """One price both ways, as in the patent's figure 4."""
        return cls(taken=price, given=price)


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A part of the day, on some days of the week.

    Args:
        from_min: Minutes after local midnight, in [0, 1440).
        to_min: First minute after it, in (0, 1440]; not after `from_min` means over midnight.
        weekdays: Days on which it starts, Monday = 0.

    Raises:
        ValueError: No such minutes or days.
    """

    from_min: int
    to_min: int
    weekdays: frozenset[int] = EVERY_DAY

    def __post_init__(self) -> None:
        if not (0 <= self.from_min < DAY_MIN and 0 < self.to_min <= DAY_MIN):
            message = f"no such part of a day: minutes {self.from_min} to {self.to_min}"
            raise ValueError(message)
        if not self.weekdays or not self.weekdays <= EVERY_DAY:
            message = f"weekdays are 0 to 6, not {sorted(self.weekdays)}"
            raise ValueError(message)

    def holds(self, *, zone: str, at_s: int) -> bool:
        """Whether an instant, seconds since 1970 UTC, lies in it by local time."""
        weekday, minute = _local(zone, at_s - at_s % 60)
        if self.from_min < self.to_min:
            return weekday in self.weekdays and self.from_min <= minute < self.to_min
        before = (weekday - 1) % 7 in self.weekdays and minute < self.to_min
        return before or (weekday in self.weekdays and minute >= self.from_min)


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """Other prices for a part of the day."""

    window: Window
    prices: Prices


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Prices over the day.

    Args:
        zone: IANA name of the local time.
        base: Prices where no band holds.
        bands: The first that holds at the local start of a period counts.

    Raises:
        ValueError: Two currencies, or no such zone.
    """

    zone: str
    base: Prices
    bands: tuple[Band, ...] = ()

    def __post_init__(self) -> None:
        currencies = {prices.taken.currency for prices in self._all()}
        if len(currencies) != 1:
            message = f"a schedule has one currency, not {sorted(currencies)}"
            raise ValueError(message)
        check_zone(self.zone)

    @property
    def currency(self) -> str:
        """ISO 4217."""
        return self.base.taken.currency

    def at(self, period: Period) -> Prices:
        """The prices of a period."""
        for band in self.bands:
            if band.window.holds(zone=self.zone, at_s=period.start_s):
                return band.prices
        return self.base

    def _all(self) -> tuple[Prices, ...]:
        return self.base, *(band.prices for band in self.bands)


def check_zone(zone: str) -> None:
    """Raise ValueError unless it is the IANA name of a time zone."""
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        message = f"no such time zone: {zone!r}"
        raise ValueError(message) from None


@lru_cache(maxsize=65_536)
def _local(zone: str, at_s: int) -> tuple[int, int]:
    """Weekday and minute of the day of an instant, local."""
    local = datetime.fromtimestamp(at_s, ZoneInfo(zone))
    return local.weekday(), local.hour * 60 + local.minute
