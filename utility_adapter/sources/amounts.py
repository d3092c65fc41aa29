"""Numbers as formats write them; amounts of energy exact, in whole millionths of a watt-hour."""

from __future__ import annotations

import math
import re
from functools import lru_cache

MICRO_PER_WH = 1_000_000
_MICRO_EXPONENT = 6
KWH_EXPONENT = 3
_NUMBER = re.compile(r"([+-]?)([0-9]{1,15})(?:\.([0-9]{0,9}))?")
_PLAIN_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")


def parse_amount(text: str, exponent: int = KWH_EXPONENT) -> tuple[int, int]:
    """Read a decimal number.

    Args:
        text: Up to 15 digits before and 9 after the point, with or without a sign.
        exponent: Power of ten of its unit in Wh: 3 for kWh.

    Returns:
        The amount and one count of its last digit, both in millionths of a Wh.

    Raises:
        ValueError: No such number, or finer than a millionth of a Wh.
    """
    match = _NUMBER.fullmatch(text.strip())
    if match is None:
        message = f"not a number: {text[:40]!r}"
        raise ValueError(message)
    sign, whole, decimals = match[1], match[2], match[3] or ""
    count = exponent + _MICRO_EXPONENT - len(decimals)
    if count < 0:
        message = f"finer than a millionth of a Wh: {text[:40]!r}"
        raise ValueError(message)
    amount = int(whole + decimals) * 10**count
    return (-amount if sign == "-" else amount), 10**count


recurring_amount = lru_cache(maxsize=1 << 12)(parse_amount)
"""The same for values of intervals, of which a house has few different ones."""


def parse_integer(text: str | None) -> int:
    """Read a whole number of at most 18 digits.

    Raises:
        ValueError: It is none.
    """
    if text is None or not _PLAIN_INTEGER.fullmatch(text.strip()):
        message = f"not a whole number: {(text or '')[:40]!r}"
        raise ValueError(message)
    return int(text)


def parse_number(text: str) -> float:
    """A finite number.

    Raises:
        ValueError: It is none.
    """
    number = float(text) if "_" not in text else math.nan  # Python's own 1_000
    if not math.isfinite(number):
        message = f"not a finite number: {text[:40]!r}"
        raise ValueError(message)
    return number


def whole_wh(micro_wh: int) -> int:
    """Whole Wh nearest to millionths of a Wh, halves to even."""
    wh, rest = divmod(micro_wh, MICRO_PER_WH)
    half = MICRO_PER_WH // 2
    return wh + 1 if rest > half or (rest == half and wh % 2) else wh


def whole_step_wh(step_micro_wh: int) -> int:
    """Whole Wh that bound a step, >= 1."""
    return max(1, -(-step_micro_wh // MICRO_PER_WH))
