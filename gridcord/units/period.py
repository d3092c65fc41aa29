"""Settlement periods: half-open UTC intervals, and the numbers that markets give them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

HALF_HOUR_S = 1800  # the market's length; a default for settings, never assumed by logic


@dataclass(frozen=True, slots=True, order=True)
class Period:
    """The half-open interval [start_s, start_s + length_s) of UTC.

    Args:
        start_s: Seconds since 1970-01-01 UTC, a multiple of `length_s`.
        length_s: Seconds, > 0.

    Raises:
        ValueError: Not aligned, or no positive length.
    """

    start_s: int
    length_s: int = HALF_HOUR_S

    def __post_init__(self) -> None:
        if self.length_s <= 0 or self.start_s % self.length_s:
            message = f"no period of {self.length_s} s starts at {self.start_s}"
            raise ValueError(message)

    @classmethod
    def containing(cls, instant: datetime | float, length_s: int = HALF_HOUR_S) -> Period:
        """The period an instant lies in.

        Args:
            instant: An aware datetime, or seconds since 1970 UTC.
            length_s: Seconds, > 0.
        """
        seconds = _seconds(instant)
        return cls(int(seconds // length_s) * length_s, length_s)

    @property
    def end_s(self) -> int:
        """First second after the period."""
        return self.start_s + self.length_s

    @property
    def start(self) -> datetime:
        """Start, inclusive, aware UTC."""
        return datetime.fromtimestamp(self.start_s, UTC)

    @property
    def end(self) -> datetime:
        """End, exclusive, aware UTC."""
        return datetime.fromtimestamp(self.end_s, UTC)

    def next(self, count: int = 1) -> Period:
        """The period `count` later; earlier when negative."""
        return Period(self.start_s + count * self.length_s, self.length_s)

    def __contains__(self, instant: datetime | float) -> bool:
        return self.start_s <= _seconds(instant) < self.end_s

    def __str__(self) -> str:
        return self.start.strftime("%Y-%m-%dT%H:%M:%SZ")


def _seconds(instant: datetime | float) -> float:
    if not isinstance(instant, datetime):
        return instant
    if instant.tzinfo is None:
        message = f"a time without a zone says nothing: {instant}"
        raise ValueError(message)
    return instant.timestamp()


@dataclass(frozen=True, slots=True)
class Calendar:
    """Names periods as a market does: local date and number from 1.

    A local day of 23 or 25 hours has 46 or 50 half hours, so the pair is only a label; the UTC
    start is the key (Elexon settlement periods, JEPX time codes).

    Args:
        zone: IANA name, such as "Asia/Tokyo".
        length_s: Seconds of a period; divides an hour.
    """

    zone: str
    length_s: int = HALF_HOUR_S

    def periods_of(self, day: date) -> tuple[Period, ...]:
        """All periods of a local day, in order."""
        return _periods_of(self.zone, self.length_s, day)

    def label(self, period: Period) -> tuple[date, int]:
        """The local date of a period and its number, from 1."""
        day = period.start.astimezone(ZoneInfo(self.zone)).date()
        first = self.periods_of(day)[0]
        return day, (period.start_s - first.start_s) // self.length_s + 1

    def period(self, day: date, number: int) -> Period:
        """The period of a label.

        Raises:
            ValueError: The day has no such number.
        """
        periods = self.periods_of(day)
        if not 1 <= number <= len(periods):
            message = f"{day} in {self.zone} has periods 1 to {len(periods)}, not {number}"
            raise ValueError(message)
        return periods[number - 1]

    def days(self, first: date, last: date) -> Iterator[date]:
        """Days from `first` to `last`, both included."""
        while first <= last:
            yield first
            first += timedelta(days=1)


@lru_cache(maxsize=4096)
def _periods_of(zone: str, length_s: int, day: date) -> tuple[Period, ...]:
    start, end = (_midnight(zone, d) for d in (day, day + timedelta(days=1)))
    return tuple(Period(s, length_s) for s in range(start, end, length_s))


def _midnight(zone: str, day: date) -> int:
    """The first instant of a local day; where midnight is skipped, the first after it."""
    return int(datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone)).timestamp())
