"""Market profiles: what a market takes, as data.

A profile is read from a TOML file (`market_adapter/profiles`); no rule of a venue is code. Periods
are named by the market's own calendar, gates are instants of its local time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from fractions import Fraction
from itertools import count, takewhile
from zoneinfo import ZoneInfo

from gridcord.units import Calendar, Energy, Money, Period, Price

_GATES_WITHIN_S = 4 * 86_400  # no auction has its gate longer before delivery


class ProfileError(ValueError):
    """A profile contradicts itself."""


class Clearing(StrEnum):
    """How a market makes contracts."""

    AUCTION = "AUCTION"  # all bids of a day at once, after its gate
    CONTINUOUS = "CONTINUOUS"  # whenever two bids meet


class MoneyRounding(StrEnum):
    """How an amount becomes a multiple of the smallest payable unit."""

    FLOOR = "FLOOR"  # towards zero (JEPX trading rules Art. 5)
    HALF_UP = "HALF_UP"  # halves away from zero


@dataclass(frozen=True, slots=True, kw_only=True)
class DayTime:
    """A local time some days before the delivery day.

    Args:
        days_before: Days before the delivery day, >= 0.
        at: Local wall-clock time.
    """

    days_before: int
    at: time

    def on(self, *, day: date, zone: str) -> int:
        """The instant for a delivery day, seconds since 1970 UTC."""
        local = datetime.combine(
            day - timedelta(days=self.days_before), self.at, tzinfo=ZoneInfo(zone)
        )
        return int(local.timestamp())


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """When bids for a period are taken.

    Args:
        opens: The first instant; None when there is none.
        closes: The first instant after the last, for all periods of a day; None when `lead_s`
            says it for each period.
        lead_s: Seconds before a period's start at which its gate closes, >= 0.

    Raises:
        ProfileError: Both or neither of `closes` and `lead_s` are given, or `lead_s` is negative.
    """

    opens: DayTime | None = None
    closes: DayTime | None = None
    lead_s: int | None = None

    def __post_init__(self) -> None:
        if (self.closes is None) == (self.lead_s is None) or (self.lead_s or 0) < 0:
            message = "a gate closes at a time of a day or some seconds before each period"
            raise ProfileError(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketProfile:
    """What a market takes.

    Args:
        market_id: Its id, such as "jepx.dayahead".
        areas: Area id -> the venue's own code.
        calendar: Zone and period length.
        clearing: How contracts are made.
        gate: When bids are taken.
        lot_wh: Energy of one lot over a period, Wh, > 0.
        currency: ISO 4217.
        tick_micros_per_kwh: Step of prices, > 0.
        min_price_micros_per_kwh: Lowest price, a multiple of the tick.
        max_price_micros_per_kwh: Highest price, a multiple of the tick.
        money_step_micros: Smallest payable amount, > 0.
        money_rounding: How amounts become multiples of it.

    Raises:
        ProfileError: A bound is missing or off its step.
    """

    market_id: str
    areas: Mapping[str, str]
    calendar: Calendar
    clearing: Clearing
    gate: Gate
    lot_wh: int
    currency: str
    tick_micros_per_kwh: int
    min_price_micros_per_kwh: int
    max_price_micros_per_kwh: int
    money_step_micros: int = 1
    money_rounding: MoneyRounding = MoneyRounding.HALF_UP

    def __post_init__(self) -> None:
        if not self.areas or min(self.lot_wh, self.tick_micros_per_kwh, self.money_step_micros) < 1:
            message = f"{self.market_id}: areas, a lot, a tick and a money step are needed"
            raise ProfileError(message)
        low, high = self.min_price_micros_per_kwh, self.max_price_micros_per_kwh
        if low > high or low % self.tick_micros_per_kwh or high % self.tick_micros_per_kwh:
            message = f"{self.market_id}: price bounds {low} to {high} are no multiples of the tick"
            raise ProfileError(message)

    def day_of(self, period: Period) -> date:
        """The local day a period belongs to."""
        return self.calendar.label(period)[0]

    def gate_opens_s(self, period: Period) -> int | None:
        """First instant at which bids for a period are taken, seconds since 1970 UTC."""
        opens = self.gate.opens
        return opens.on(day=self.day_of(period), zone=self.calendar.zone) if opens else None

    def gate_closes_s(self, period: Period) -> int:
        """First instant at which bids for a period are no longer taken, seconds since 1970 UTC.

        A period that has begun when the auction of its day is held is never traded there: 0.
        """
        if self.gate.closes is not None:
            closes_s = self.gate.closes.on(day=self.day_of(period), zone=self.calendar.zone)
            return closes_s if closes_s <= period.start_s else 0
        assert self.gate.lead_s is not None
        return period.start_s - self.gate.lead_s

    def next_gate(self, *, now_s: float) -> tuple[int, tuple[Period, ...]] | None:
        """The gate that closes next and the periods it is about; None in continuous trade.

        Args:
            now_s: Seconds since 1970 UTC.
        """
        if self.clearing is Clearing.CONTINUOUS:
            return None
        length_s = self.calendar.length_s
        running = Period.containing(now_s, length_s)
        coming = (running.next(n) for n in range(_GATES_WITHIN_S // length_s))
        first = next((p for p in coming if self.gate_closes_s(p) > now_s), None)
        if first is None:
            return None
        closes_s = self.gate_closes_s(first)
        behind = takewhile(lambda p: self.gate_closes_s(p) == closes_s, map(first.next, count()))
        return closes_s, tuple(behind)

    def amount(self, *, energy_wh: int, price: Price) -> Money:
        """Money for an energy at a price, rounded as this market pays.

        Args:
            energy_wh: Wh, >= 0.
            price: Price of it.
        """
        exact = Fraction(Energy(energy_wh).wh * price.micros_per_kwh, 1000 * self.money_step_micros)
        if self.money_rounding is MoneyRounding.FLOOR:
            steps = int(exact)  # towards zero
        else:
            steps = int(exact + Fraction(1, 2) if exact >= 0 else exact - Fraction(1, 2))
        return Money(self.currency, steps * self.money_step_micros)
