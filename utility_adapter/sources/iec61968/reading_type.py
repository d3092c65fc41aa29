"""What a block of readings counts, by its 18-part code (IEC 61968-9, annex C).

Of the parts these matter, counted from 1: 3 measuring period, 4 accumulation, 5 direction
(1 forward, 19 reverse), 6 commodity, 7 kind (12 energy), 16 power of ten, 17 unit (72 Wh).
"""

from __future__ import annotations

from dataclasses import dataclass

from utility_adapter.domain.readings import Register

_MEASURING_PERIODS_S = {
    1: 600,
    2: 900,
    3: 60,
    5: 1800,
    6: 300,
    7: 3600,
    10: 120,
    14: 180,
    31: 1200,
    50: 10800,
}
_CUMULATIVE = {1, 3, 9}  # bulk quantity, cumulative, summation
_DELTA = 4
_DIRECTIONS = {1: Register.IMPORT, 19: Register.EXPORT}
_ELECTRICITY = {0, 1, 2}
_ENERGY_KINDS = {0, 12}
_WATT_HOURS = 72
_PARTS = 18


@dataclass(frozen=True, slots=True)
class ReadingType:
    """What a block of readings counts.

    Args:
        register: The site's register.
        cumulative: Its values are a register's, else amounts of intervals.
        length_s: Length of its intervals, s; None where the type does not say.
        exponent: Power of ten of its unit in Wh.
    """

    register: Register
    cumulative: bool
    length_s: int | None
    exponent: int


def parse_reading_type(code: str) -> ReadingType | None:
    """Read an 18-part code; None where it is no active energy of one direction.

    Raises:
        ValueError: It is no such code.
    """
    parts = code.strip().split(".")
    if len(parts) != _PARTS or not all(part.lstrip("-").isdecimal() for part in parts):
        message = f"no reading type of {_PARTS} parts: {code[:80]!r}"
        raise ValueError(message)
    numbers = [int(part) for part in parts]
    energy = numbers[16] == _WATT_HOURS and numbers[6] in _ENERGY_KINDS
    register = _DIRECTIONS.get(numbers[4])
    cumulative = numbers[3] in _CUMULATIVE
    if not energy or register is None or numbers[5] not in _ELECTRICITY:
        return None
    if not cumulative and numbers[3] != _DELTA:
        return None
    if not -6 <= numbers[15] <= 9:
        message = f"no power of ten for energy: {numbers[15]}"
        raise ValueError(message)
    return ReadingType(register, cumulative, _MEASURING_PERIODS_S.get(numbers[2]), numbers[15])
