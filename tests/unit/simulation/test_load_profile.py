"""Simulated households: repeatable, consistent between seconds and half hours, and house-like."""

from __future__ import annotations

import itertools
import statistics

import pytest

from gridcord.simulation.load_profile import (
    half_hourly_profile,
    household,
    interval_joules,
    second_profile,
)


def test_a_seed_is_a_home_and_a_day_is_always_the_same_day() -> None:
    month = half_hourly_profile(seed=7, days=30)
    assert month == half_hourly_profile(seed=7, days=30)
    later = half_hourly_profile(seed=7, days=3, first_day=20)
    assert all(abs(a - b) <= 1 for a, b in zip(month[20 * 48 : 23 * 48], later, strict=True))
    assert month != half_hourly_profile(seed=8, days=30)
    assert household(7) != household(8)


@pytest.mark.parametrize("seed", [1, 5, 9])
@pytest.mark.parametrize("slot", [0, 15, 36, 47])
def test_seconds_and_half_hours_agree(seed: int, slot: int) -> None:
    """Up to the flicker and the whole seconds and watts of the fast series."""
    day = 3
    watts = second_profile(seed=seed, start_s=day * 86_400 + slot * 1800, seconds=1800)
    half_hour_wh = half_hourly_profile(seed=seed, days=1, first_day=day)[slot]
    assert sum(watts) / 3600 == pytest.approx(half_hour_wh, rel=0.02, abs=3)
    assert min(watts) >= 0


def test_intervals_add_up() -> None:
    minutes = interval_joules(seed=3, days=4, interval_s=60)
    half_hours = interval_joules(seed=3, days=4, interval_s=1800)
    assert len(minutes) == 30 * len(half_hours)
    for n, total in enumerate(half_hours):
        assert sum(minutes[30 * n : 30 * n + 30]) == pytest.approx(total)


def test_homes_look_like_homes() -> None:
    """Median a few kWh a day, a wide spread between homes, an evening peak, appliances."""
    homes = [half_hourly_profile(seed=seed, days=21) for seed in range(60)]
    daily_kwh = sorted(sum(home) / 21_000 for home in homes)
    assert 5 < statistics.median(daily_kwh) < 11
    assert daily_kwh[-4] > 2 * daily_kwh[3]
    night = statistics.fmean(home[d * 48 + k] for home in homes for d in range(21) for k in (6, 8))
    evening = statistics.fmean(
        home[d * 48 + k] for home in homes for d in range(21) for k in (38, 40)
    )
    assert evening > 2 * night
    changes = [abs(b - a) for home in homes for a, b in itertools.pairwise(home)]
    assert 0.05 < statistics.fmean(change > 200 for change in changes) < 0.25
    assert min(min(home) for home in homes) > 0  # a fridge and a standby always run
