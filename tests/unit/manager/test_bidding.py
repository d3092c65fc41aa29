"""Bids: falling curves in whole lots, never more than is possible at the chosen confidence."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manager.domain.bidding.curves import BidRules, Curve, Scenario, Side, curves, imagine
from manager.domain.bidding.horizon import Outlook
from manager.domain.bidding.lots import in_lots
from manager.domain.bidding.stay import Battery, Stay, Window, window

TICK = 10_000
LOT = 1_000
HALF_HOUR = 1_800


@st.composite
def pairs(draw: st.DrawFn) -> list[tuple[int, float]]:
    """Price and volume of some scenarios."""
    price = st.integers(1, 60).map(lambda n: n * TICK)
    volume = st.floats(-30_000, 30_000).map(lambda n: round(n, 1))
    return draw(st.lists(st.tuples(price, volume), min_size=1, max_size=12))


def _curve(found: list[tuple[int, float]], *, confidence: float) -> Curve:
    scenarios = [
        Scenario(price_micros_per_kwh=np.array([price], np.float64), net_wh=np.array([volume]))
        for price, volume in found
    ]
    rules = BidRules(lot_wh=LOT, tick_micros=TICK, confidence=confidence)
    (curve,) = curves(scenarios=scenarios, rules=rules)
    return curve


@given(pairs(), st.sampled_from([0.5, 0.6, 0.8, 0.95]))
@settings(max_examples=300, deadline=None)
def test_a_curve_falls_in_whole_lots(found: list[tuple[int, float]], confidence: float) -> None:
    curve = _curve(found, confidence=confidence)
    assert list(curve.energy_wh) == sorted(curve.energy_wh, reverse=True)
    assert all(energy % LOT == 0 for energy in curve.energy_wh)
    limits = curve.limit_micros_per_kwh
    assert list(limits) == sorted(set(limits))
    assert all(limit % TICK == 0 for limit in limits)
    assert len(curve.energy_wh) == len(limits) + 1


@given(pairs(), st.sampled_from([0.5, 0.8]), st.integers(-5, 70).map(lambda n: n * TICK))
@settings(max_examples=300, deadline=None)
def test_its_orders_contract_just_what_it_says_at_any_price(
    found: list[tuple[int, float]], confidence: float, price: int
) -> None:
    curve = _curve(found, confidence=confidence)
    taken = 0
    for bid in curve.bids(tick_micros=TICK):
        assert bid.energy_wh > 0
        limit = bid.limit_micros_per_kwh
        if bid.side is Side.BUY:
            taken += bid.energy_wh if limit is None or price <= limit else 0
        else:
            taken -= bid.energy_wh if limit is None or price >= limit else 0
    assert taken == curve.contracted_wh(price)


@given(pairs(), st.sampled_from([0.6, 0.8, 0.95]))
@settings(max_examples=300, deadline=None)
def test_no_bid_is_above_what_is_possible_at_the_confidence(
    found: list[tuple[int, float]], confidence: float
) -> None:
    """Of the scenarios whose price gets a volume, at least that share can do as much."""
    curve = _curve(found, confidence=confidence)
    for energy in set(curve.energy_wh) - {0}:
        there = [volume for price, volume in found if curve.contracted_wh(price) == energy]
        able = [
            volume for volume in there if (volume >= energy if energy > 0 else volume <= energy)
        ]
        assert len(able) >= confidence * len(there) - 1e-9


@given(st.floats(-200_000, 200_000), st.sampled_from([1, 1_000, 50_000]))
def test_lots_and_what_stays_open_make_the_volume(volume_wh: float, lot_wh: int) -> None:
    for nearest in (True, False):
        lots = in_lots(volume_wh, lot_wh=lot_wh, nearest=nearest)
        assert abs(lots.traded_wh + lots.open_wh - volume_wh) < (0.5 if nearest else 1) + 1e-9
        assert lots.traded_wh % lot_wh == 0
        assert abs(lots.open_wh) <= (lot_wh / 2 if nearest else lot_wh - 1)
        if not nearest:
            assert abs(lots.traded_wh) <= abs(volume_wh) * (1 + 1e-8)


@st.composite
def stays(draw: st.DrawFn) -> Window:
    """Any stay at any outlet."""
    ceiling = draw(st.integers(1_000, 80_000))
    battery = Battery(
        ceiling_wh=ceiling,
        reserve_wh=draw(st.integers(0, ceiling)),
        charge_w=draw(st.integers(0, 11_000)),
        discharge_w=draw(st.integers(0, 11_000)),
        charge_permille=draw(st.integers(700, 1000)),
        discharge_permille=draw(st.integers(700, 1000)),
    )
    start = draw(st.integers(0, 5 * HALF_HOUR))
    return window(
        Stay(
            battery=battery,
            start_s=start,
            departure_s=start + draw(st.integers(60, 20 * HALF_HOUR)),
            energy_wh=draw(st.integers(0, ceiling)),
            target_wh=draw(st.integers(0, ceiling)),
        ),
        length_s=HALF_HOUR,
    )


@given(stays(), st.randoms(use_true_random=False))
@settings(max_examples=300, deadline=None)
def test_whatever_is_chosen_within_the_bounds_the_promise_is_kept(
    one: Window, random: Random
) -> None:
    """At every period anything between the ends, also the worst ends, in any order."""
    choose = random.choice
    energy, battery = one.energy_wh, one.battery
    for period in range(one.first, one.end):
        low, high = one.later(first=period, energy_wh=energy).bounds_wh()
        assert low <= high
        energy = battery.after(energy, choose([low, high, (low + high) // 2]))
        assert one.kept_wh <= energy <= max(battery.ceiling_wh, one.energy_wh)
    assert energy >= one.promise_wh
    assert one.promise_wh + one.missing_wh <= battery.ceiling_wh


@given(st.lists(stays(), min_size=1, max_size=4), st.integers(0, 10_000))
@settings(max_examples=60, deadline=None)
def test_what_is_bid_can_be_delivered_by_the_plan_it_comes_from(
    windows: list[Window], seed: int
) -> None:
    """One scenario: what it contracts is its plan; and the plan's steps keep every promise."""
    random = np.random.default_rng(seed)
    outlook = Outlook(
        first=0,
        price_micros_per_kwh=random.uniform(1e6, 40e6, 30),
        wear_micros_per_kwh=1e6,
    )
    (scenario,) = imagine(fleets=[windows], outlooks=[outlook], first=0, periods=30)
    rules = BidRules(lot_wh=1, tick_micros=TICK, confidence=0.9)
    made = curves(scenarios=[scenario], rules=rules)
    least, most = np.zeros(30), np.zeros(30)
    for one in windows:
        for period in range(one.first, one.end):
            least[period] -= one.discharge_wh[period - one.first]
            most[period] += one.charge_wh[period - one.first]
    for period, curve in enumerate(made):
        contracted = curve.contracted_wh(int(outlook.price_micros_per_kwh[period]))
        assert least[period] - 1 <= contracted <= most[period] + 1
        assert abs(contracted) <= abs(scenario.net_wh[period]) + 1e-6


def test_nothing_is_offered_without_a_scenario() -> None:
    assert curves(scenarios=[], rules=BidRules(lot_wh=1, tick_micros=1)) == ()


@pytest.mark.parametrize("confidence", [0.0, 0.49, 1.0])
def test_a_confidence_that_is_none_is_refused(confidence: float) -> None:
    with pytest.raises(ValueError, match="confidence"):
        BidRules(lot_wh=1, tick_micros=1, confidence=confidence)
