"""Energy in whole watt-hours."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

INT64_MAX = 2**63 - 1


@dataclass(frozen=True, slots=True, order=True)
class Energy:
    """An amount of energy.

    Args:
        wh: Watt-hours, a whole number within 64 bits. Through a cable or a resource positive is
            towards the battery.

    Raises:
        ValueError: Not a whole number, or outside 64 bits.
    """

    wh: int

    def __post_init__(self) -> None:
        if type(self.wh) is not int or abs(self.wh) > INT64_MAX:
            message = f"energy must be a whole number of Wh within 64 bits, not {self.wh!r}"
            raise ValueError(message)

    @classmethod
    def from_kwh(cls, text: str | Decimal) -> Energy:
        """Read kilowatt-hours, exact to the watt-hour.

        Raises:
            ValueError: Not a finite number, or finer than 1 Wh.
        """
        try:
            wh = Decimal(text) * 1000
        except InvalidOperation:
            message = f"not a number of kWh: {text!r}"
            raise ValueError(message) from None
        if not wh.is_finite() or wh != wh.to_integral_value():
            message = f"not a whole number of Wh: {text} kWh"
            raise ValueError(message)
        return cls(int(wh))

    @property
    def kwh(self) -> Decimal:
        """Kilowatt-hours, exact, with three decimals."""
        return Decimal(self.wh).scaleb(-3)

    def __add__(self, other: Energy) -> Energy:
        return Energy(self.wh + other.wh)

    def __sub__(self, other: Energy) -> Energy:
        return Energy(self.wh - other.wh)

    def __neg__(self) -> Energy:
        return Energy(-self.wh)

    def __str__(self) -> str:
        return f"{self.kwh} kWh"
