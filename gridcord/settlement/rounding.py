"""Rounding half to even, in whole numbers (IEEE 754 roundTiesToEven, banker's rounding)."""

from __future__ import annotations


def half_even(numerator: int, denominator: int) -> int:
    """The whole number nearest to a quotient; of two equally near, the even one.

    Args:
        numerator: Any.
        denominator: > 0.
    """
    whole, rest = divmod(numerator, denominator)
    up = 2 * rest > denominator or (2 * rest == denominator and whole % 2)
    return whole + 1 if up else whole
