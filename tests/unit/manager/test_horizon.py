"""Plans of a fleet: promises and limits always, and never dearer than a simpler way."""

from __future__ import annotations

import highspy
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manager.domain.bidding.clusters import clustered, thinned
from manager.domain.bidding.forecast import after_newest, alike, expected_wh, usual_day
from manager.domain.bidding.horizon import Obligation, Outlook, PlanError, Program, plan
from manager.domain.bidding.stay import Battery, Stay, Window, window
from tests.unit.manager.test_bidding import stays

PERIODS = 30


def _outlook(seed: int, *, periods: int = PERIODS) -> Outlook:
    random = np.random.default_rng(seed)
    return Outlook(
        first=0,
        price_micros_per_kwh=random.uniform(1e6, 40e6, periods),
        wear_micros_per_kwh=2e6,
    )


@given(st.lists(stays(), min_size=1, max_size=4), st.integers(0, 1_000))
@settings(max_examples=80, deadline=None)
def test_a_plan_keeps_limits_and_promises(windows: list[Window], seed: int) -> None:
    planned = plan(windows, _outlook(seed))
    for one, net_wh in zip(windows, planned.net_wh, strict=True):
        assert len(net_wh) == len(one)
        assert (net_wh <= one.charge_wh + 1e-6).all()
        assert (net_wh >= -one.discharge_wh - 1e-6).all()
        charge, discharge = np.maximum(net_wh, 0), np.maximum(-net_wh, 0)
        stored = one.energy_wh + np.cumsum(
            charge * one.battery.charge_permille / 1000
            - discharge * 1000 / one.battery.discharge_permille
        )
        assert stored.min() >= one.kept_wh - 1e-3
        assert stored.max() <= max(one.battery.ceiling_wh, one.energy_wh) + 1e-3
        assert stored[-1] >= one.promise_wh - 1e-3


@given(st.lists(stays(), min_size=2, max_size=4), st.integers(0, 1_000))
@settings(max_examples=40, deadline=None)
def test_stays_planned_together_cost_what_they_cost_alone(windows: list[Window], seed: int) -> None:
    outlook = _outlook(seed)
    alone = sum(plan([each], outlook).cost for each in windows)
    assert plan(windows, outlook).cost == pytest.approx(alone, abs=1e-4)


@given(st.lists(stays(), min_size=1, max_size=3), st.integers(0, 1_000))
@settings(max_examples=40, deadline=None)
def test_a_program_solved_again_for_other_prices_finds_the_same_optimum(
    windows: list[Window], seed: int
) -> None:
    first, second = _outlook(seed), _outlook(seed + 1)
    program = Program(windows, first)
    program.solved(first)
    assert program.solved(second).cost == pytest.approx(plan(windows, second).cost, abs=1e-4)


def test_what_was_sold_is_delivered_when_missing_it_is_dear() -> None:
    one = _charged()
    outlook = _outlook(1)
    wanted = np.zeros(PERIODS)
    wanted[3], wanted[7] = -1_200, 900
    bound = Outlook(
        first=0,
        price_micros_per_kwh=outlook.price_micros_per_kwh,
        wear_micros_per_kwh=2e6,
        obligation=Obligation(net_wh=wanted, deviation_micros_per_kwh=np.full(PERIODS, 1e9)),
    )
    (net_wh,) = plan([one], bound).net_wh
    assert net_wh[3] == pytest.approx(-1_200, abs=1)
    assert net_wh[7] == pytest.approx(900, abs=1)


def test_similar_stays_are_planned_as_one_and_add_up() -> None:
    windows = [_charged(energy_wh=30_000 + 10 * n) for n in range(50)]
    together = clustered(windows, most=5)
    assert len(together) <= 5
    assert sorted(i for each in together for i in each.members) == list(range(50))
    assert sum(each.window.energy_wh for each in together) == sum(w.energy_wh for w in windows)
    assert sum(int(each.window.charge_wh[0]) for each in together) == 50 * 1_500
    apart = clustered(windows, most=50)
    assert [each.members for each in apart] == [(n,) for n in range(50)]


def test_few_stays_stand_for_many() -> None:
    windows = [_charged(energy_wh=30_000 + 10 * n) for n in range(50)]
    few = thinned(windows, most=10)
    assert len(few) == 10
    assert sum(each.energy_wh for each in few) == pytest.approx(
        sum(each.energy_wh for each in windows), rel=0.01
    )


def test_a_forecast_takes_days_of_the_same_kind_newest_first() -> None:
    assert alike(14, today=14, weekday=0, most=3) == [11, 10, 9]  # Monday: Friday, Thursday, ...
    assert alike(19, today=15, weekday=0, most=9) == [13, 12, 6, 5]  # Saturday: weekends
    assert alike(1, today=0, weekday=0, most=3) == []


def test_the_usual_day_has_the_shape_of_the_last_days_at_a_level_half_way_to_the_newest() -> None:
    prices = np.array([[9.0, 9.0], [2.0, 4.0], [4.0, 8.0], [33.0, 15.0]])  # levels 9, 3, 6, 24
    found = usual_day(prices.ravel(), periods_a_day=2, days=3)
    shape = np.array([2 / 3 + 4 / 6 + 33 / 24, 4 / 3 + 8 / 6 + 15 / 24]) / 3
    assert found == pytest.approx(shape * np.sqrt(24 * 11))
    assert usual_day(prices[0], periods_a_day=2).tolist() == [9.0, 9.0]


def test_a_past_day_is_taken_by_what_it_was_of_the_day_before() -> None:
    prices = np.array([[9.0, 9.0], [2.0, 4.0], [4.0, 8.0], [16.0, 8.0]]).ravel()
    found = after_newest(prices, periods_a_day=2, days=2)
    assert found.tolist() == [[32.0, 16.0], [16.0, 32.0]]
    assert len(after_newest(prices, periods_a_day=2, days=9)) == 3
    assert after_newest(prices[:2], periods_a_day=2, days=9).tolist() == [[9.0, 9.0]]


@pytest.mark.parametrize("price", [0.0, 0.01, -5.0])
def test_a_day_for_nothing_or_less_is_no_level_to_divide_by(price: float) -> None:
    """A free day, or one on which power is given away, between days of 10."""
    prices = np.repeat([10.0, price, 10.0, 10.0], 4)
    found = after_newest(prices, periods_a_day=4, days=9)
    assert np.abs(found).max() <= 40
    assert np.isfinite(usual_day(prices, periods_a_day=4)).all()
    assert not after_newest(np.zeros(8), periods_a_day=4, days=9).any()
    assert not usual_day(np.zeros(8), periods_a_day=4).any()


def test_arrivals_are_expected_with_their_share_from_their_first_period_on() -> None:
    one = _charged()
    net = expected_wh([(one.moved(2), np.full(5, 100.0))], share=0.5, first=1, periods=4)
    assert net.tolist() == [0.0, 50.0, 50.0, 50.0]
    assert not expected_wh([(one, np.full(5, 100.0))], share=1, first=1, periods=4).any()


def _charged(*, energy_wh: int = 40_000) -> Window:
    battery = Battery(ceiling_wh=60_000, reserve_wh=12_000, charge_w=3_000, discharge_w=3_000)
    stay = Stay(
        battery=battery,
        start_s=0,
        departure_s=PERIODS * 1_800,
        energy_wh=energy_wh,
        target_wh=50_000,
    )
    return window(stay, length_s=1_800)


def test_another_price_leads_from_one_optimum_to_the_next() -> None:
    """Two cars over a night of December; at costs of a Wh the solver found no second optimum."""
    battery = Battery(
        ceiling_wh=60_000,
        reserve_wh=12_000,
        charge_w=3_000,
        discharge_w=3_000,
        charge_permille=920,
        discharge_permille=920,
    )
    windows = [
        window(
            Stay(
                battery=battery,
                start_s=start_s,
                departure_s=departure_s,
                energy_wh=energy_wh,
                target_wh=54_000,
            ),
            length_s=1_800,
        )
        for start_s, departure_s, energy_wh in ((953, 24_324, 48_374), (11_834, 39_331, 50_866))
    ]
    evening = "1253 1339 1370 1284 1370 1267 1149 1138 1086 1052 1068 993 982 1072 1040 1065 1149 "
    another = "1224 1248 1273 1273 1249 1217 1132 1124 1067 1081 1072 986 986 1078 1015 1059 1114 "
    outlooks = [
        Outlook(
            first=0,
            price_micros_per_kwh=np.array(text.split(), np.float64) * 10_000,
            wear_micros_per_kwh=2e6,
        )
        for text in (evening + "1243 1317 1712 1861 1833", another + "1143 1212 1598 1724 1724")
    ]
    program = Program(windows, outlooks[0])
    for outlook in outlooks:
        assert program.solved(outlook).cost == pytest.approx(plan(windows, outlook).cost)


def test_a_solver_that_ends_at_no_optimum_is_begun_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    outlook, another = _outlook(1), _outlook(2)
    windows = [_charged()]
    program, run, ends = Program(windows, outlook), Program._ran, iter([False, True, False, False])

    def ran(self: Program) -> highspy.HighsModelStatus:
        status = run(self)
        return status if next(ends) else highspy.HighsModelStatus.kUnknown

    monkeypatch.setattr(Program, "_ran", ran)
    found = program.solved(another)
    with pytest.raises(PlanError, match="no plan"):
        program.solved(another)
    monkeypatch.undo()
    assert found.cost == pytest.approx(plan(windows, another).cost)
