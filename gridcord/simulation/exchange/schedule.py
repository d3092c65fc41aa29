"""When the exchange takes bids, in Japan's time (JEPX trading rules Art. 16 and 63)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from gridcord.protocols.jepx.fields import PERIODS_A_DAY, time_cd
from gridcord.units import Calendar, Period

JAPAN = ZoneInfo("Asia/Tokyo")
CALENDAR = Calendar(zone="Asia/Tokyo")

_DAY_AHEAD_OPENS_DAYS = 14  # ten business days are never more
_DAY_AHEAD_OPENS = time(7, 0)
_INTRADAY_OPENS = time(17, 0)
_INTRADAY_LEAD_S = 3600


@dataclass(frozen=True, slots=True)
class AuctionGate:
    """When the auction of a delivery day is held; the exchange's own hour by default.

    Args:
        closes: Wall clock of the exchange, without a zone.
        days_before: Days from there to the delivery day, >= 0.
    """

    closes: time = time(10, 0)
    days_before: int = 1

    def closes_s(self, day: date) -> float:
        """First second after the gate of a delivery day."""
        return _at(day - timedelta(days=self.days_before), self.closes)

    def takes(self, day: date, now_s: float) -> bool:
        """Whether bids for a delivery day are taken now."""
        opens_s = _at(day - timedelta(days=_DAY_AHEAD_OPENS_DAYS), _DAY_AHEAD_OPENS)
        return opens_s <= now_s < self.closes_s(day)


def local(instant_s: float) -> datetime:
    """Wall clock of the exchange, without a zone as its messages have it."""
    return datetime.fromtimestamp(instant_s, JAPAN).replace(tzinfo=None)


def today(instant_s: float) -> date:
    """The exchange's day."""
    return local(instant_s).date()


def period_of(day: date, code: str) -> Period:
    """The period of a half hour of a day."""
    return CALENDAR.period(day, int(code))


def takes_intraday(day: date, code: str, now_s: float) -> bool:
    """Whether intraday bids for a half hour are taken now."""
    opens_s = _at(day - timedelta(days=1), _INTRADAY_OPENS)
    return opens_s <= now_s < period_of(day, code).start_s - _INTRADAY_LEAD_S


def intraday_products(now_s: float) -> list[tuple[date, str]]:
    """Half hours of today and tomorrow that are traded now."""
    first = today(now_s)
    return [
        (day, time_cd(number))
        for day in (first, first + timedelta(days=1))
        for number in range(1, PERIODS_A_DAY + 1)
        if takes_intraday(day, time_cd(number), now_s)
    ]


def _at(day: date, at: time) -> float:
    return datetime.combine(day, at, tzinfo=JAPAN).timestamp()
