"""Back-off with full jitter."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridcord.chassis.retry import Backoff


def test_the_ceiling_doubles_up_to_the_longest() -> None:
    backoff = Backoff(first_s=1, longest_s=10)
    ceilings = []
    for _ in range(6):
        ceilings.append(backoff.ceiling_s)
        backoff.next_s()

    assert ceilings == [1, 2, 4, 8, 10, 10]


@given(st.integers(0, 2**32), st.floats(0.01, 100), st.floats(0.01, 1000), st.integers(1, 300))
def test_a_pause_is_between_nothing_and_the_ceiling(
    seed: int, first_s: float, longest_s: float, attempts: int
) -> None:
    backoff = Backoff(first_s=first_s, longest_s=longest_s, source=random.Random(seed))
    for _ in range(attempts):
        ceiling_s = backoff.ceiling_s
        assert 0 <= backoff.next_s() <= ceiling_s <= longest_s


def test_a_fleet_is_spread_over_the_whole_pause() -> None:
    pauses = sorted(Backoff(first_s=100, source=random.Random(n)).next_s() for n in range(1000))

    assert sum(p < 10 for p in pauses) == pytest.approx(100, abs=40)
    assert sum(p > 90 for p in pauses) == pytest.approx(100, abs=40)


def test_success_starts_over() -> None:
    backoff = Backoff(first_s=1)
    for _ in range(5):
        backoff.next_s()
    backoff.reset()

    assert backoff.ceiling_s == 1
