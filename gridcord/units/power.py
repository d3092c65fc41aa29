"""Power in whole watts."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from gridcord.units.energy import Energy


@dataclass(frozen=True, slots=True, order=True)
class Power:
    """A power.

    Args:
        w: Watts, a whole number; through a cable or a resource positive is charging.

    Raises:
        ValueError: Not a whole number.
    """

    w: int

    def __post_init__(self) -> None:
        if type(self.w) is not int:
            message = f"power must be a whole number of W, not {self.w!r}"
            raise ValueError(message)

    def over(self, seconds: int | Fraction) -> Energy:
        """Energy of this power held for a time, rounded half to even to 1 Wh.

        Args:
            seconds: Duration, >= 0.
        """
        if seconds < 0:
            message = f"a duration is not negative: {seconds}"
            raise ValueError(message)
        return Energy(round(Fraction(self.w) * Fraction(seconds) / 3600))

    @classmethod
    def mean(cls, energy: Energy, seconds: int) -> Power:
        """Mean power that gives an energy in `seconds` > 0, rounded half to even to 1 W."""
        if seconds <= 0:
            message = f"a mean needs a positive duration, not {seconds}"
            raise ValueError(message)
        return cls(round(Fraction(energy.wh * 3600, seconds)))

    def __add__(self, other: Power) -> Power:
        return Power(self.w + other.w)

    def __sub__(self, other: Power) -> Power:
        return Power(self.w - other.w)

    def __neg__(self) -> Power:
        return Power(-self.w)

    def __str__(self) -> str:
        return f"{self.w} W"
