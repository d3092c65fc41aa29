"""The reverse-power trip: charge only means charge only."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cable_node.reverse_power import ReversePowerTrip

TRIP = ReversePowerTrip()  # 50 W, 2 s, blind after 10 s


def after(*readings: tuple[float, int | None]) -> ReversePowerTrip:
    trip = TRIP
    for at_s, power_w in readings:
        trip = trip.observe(at_s=at_s, power_w=power_w)
    return trip


def test_charging_never_trips() -> None:
    assert not after(*((float(s), 3000) for s in range(100))).tripped


def test_noise_of_an_idle_charger_never_trips() -> None:
    assert not after(*((float(s), -50) for s in range(100))).tripped


def test_two_seconds_of_reverse_power_trip() -> None:
    assert not after((0, -51), (1, -3000), (1.9, -3000)).tripped
    assert after((0, -51), (1, -3000), (2.0, -51)).tripped


def test_a_moment_of_charging_begins_the_time_anew() -> None:
    assert not after((0, -500), (1.5, -500), (1.6, 10), (1.7, -500), (3.6, -500)).tripped


def test_it_stays_open_until_reset() -> None:
    tripped = after((0, -500), (2, -500), (3, 3000), (100, 3000))
    assert tripped.tripped
    assert tripped.reset() == TRIP


def test_what_is_not_seen_is_not_permitted() -> None:
    assert not after((0, 3000), (1, None), (9.9, None)).tripped
    assert after((0, 3000), (1, None), (10, None)).tripped
    assert after((0, None), (10, None)).tripped


def test_silence_does_not_forget_reverse_power() -> None:
    assert after((0, -500), (1, None), (2, -500)).tripped


@given(st.lists(st.tuples(st.floats(0.1, 1.5), st.none() | st.integers(-4000, 4000))))
def test_never_more_than_the_hold_time_above_the_limit(
    steps: list[tuple[float, int | None]],
) -> None:
    trip, at_s, reverse_s = TRIP, 0.0, None
    for gap_s, power_w in steps:
        at_s += gap_s
        trip = trip.observe(at_s=at_s, power_w=power_w)
        if power_w is not None and power_w >= -TRIP.limit_w:
            reverse_s = None
        elif power_w is not None and reverse_s is None:
            reverse_s = at_s
        if reverse_s is not None and power_w is not None and at_s - reverse_s >= TRIP.hold_s:
            assert trip.tripped
