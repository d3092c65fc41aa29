"""Half to even, the same as exact fractions say."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridcord.settlement.rounding import half_even


@pytest.mark.parametrize(
    ("numerator", "expected"), [(5, 0), (15, 2), (25, 2), (-5, 0), (-15, -2), (14, 1), (-16, -2)]
)
def test_ties_go_to_the_even(numerator: int, expected: int) -> None:
    assert half_even(numerator, 10) == expected


@settings(max_examples=2000)
@given(numerator=st.integers(-(2**70), 2**70), denominator=st.integers(1, 2**40))
def test_it_is_what_fractions_give(numerator: int, denominator: int) -> None:
    assert half_even(numerator, denominator) == round(Fraction(numerator, denominator))
