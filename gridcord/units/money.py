"""Money in whole millionths of a currency, prices per kilowatt-hour."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fractions import Fraction

from gridcord.units.energy import Energy

_CURRENCY = re.compile(r"[A-Z]{3}")
MICROS = 1_000_000


def _check(currency: str, amount: int, what: str) -> None:
    if not _CURRENCY.fullmatch(currency):
        message = f"a currency is three capitals of ISO 4217, not {currency!r}"
        raise ValueError(message)
    if type(amount) is not int or abs(amount) >= 2**63:
        message = f"{what} must be a whole number within 64 bits, not {amount!r}"
        raise ValueError(message)


def _micros(text: str | Decimal, what: str) -> int:
    try:
        micros = Decimal(text) * MICROS
    except InvalidOperation:
        message = f"not {what}: {text!r}"
        raise ValueError(message) from None
    if not micros.is_finite() or micros != micros.to_integral_value():
        message = f"{what} finer than a millionth: {text}"
        raise ValueError(message)
    return int(micros)


@dataclass(frozen=True, slots=True)
class Money:
    """An amount of money.

    Args:
        currency: ISO 4217, three capitals.
        micros: Millionths of the currency's unit; the sign is the context's (an earning is
            positive to the driver).
    """

    currency: str
    micros: int

    def __post_init__(self) -> None:
        _check(self.currency, self.micros, "an amount in micros")

    @classmethod
    def of(cls, currency: str, amount: str | Decimal) -> Money:
        """Read units of the currency; ValueError if finer than a millionth."""
        return cls(currency, _micros(amount, "an amount of money"))

    @classmethod
    def zero(cls, currency: str) -> Money:
        """Nothing, in a currency."""
        return cls(currency, 0)

    @property
    def amount(self) -> Decimal:
        """Units of the currency, exact."""
        return Decimal(self.micros).scaleb(-6)

    def __add__(self, other: Money) -> Money:
        return Money(self._same(other), self.micros + other.micros)

    def __sub__(self, other: Money) -> Money:
        return Money(self._same(other), self.micros - other.micros)

    def __neg__(self) -> Money:
        return Money(self.currency, -self.micros)

    def _same(self, other: Money) -> str:
        if self.currency != other.currency:
            message = f"{self.currency} and {other.currency} do not add"
            raise ValueError(message)
        return self.currency

    def __str__(self) -> str:
        return f"{self.amount.normalize():f} {self.currency}"


@dataclass(frozen=True, slots=True)
class Price:
    """A price of energy.

    Args:
        currency: ISO 4217.
        micros_per_kwh: Millionths of the currency for one kilowatt-hour; may be negative.
    """

    currency: str
    micros_per_kwh: int

    def __post_init__(self) -> None:
        _check(self.currency, self.micros_per_kwh, "a price in micros per kWh")

    @classmethod
    def per_kwh(cls, currency: str, amount: str | Decimal) -> Price:
        """Read units of the currency per kWh; ValueError if finer than a millionth."""
        return cls(currency, _micros(amount, "a price"))

    def times(self, energy: Energy) -> Money:
        """Money for an energy, rounded half to even to one micro."""
        return Money(self.currency, round(Fraction(self.micros_per_kwh * energy.wh, 1000)))

    def __str__(self) -> str:
        return f"{Decimal(self.micros_per_kwh).scaleb(-6).normalize():f} {self.currency}/kWh"
