"""The replay knows no future, breaks no promise, and is never better than perfect foresight."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from manager.backtest.prices import PriceDays, read_prices
from manager.backtest.references import oracle_cost_micros, plug_and_charge_wh
from manager.backtest.replay import Replay, Track
from manager.backtest.report import Result, Tariff
from manager.backtest.run import PERIOD_S, Settings, backtest
from manager.backtest.sessions import RecordedSession, read_sessions
from manager.backtest.vehicles import VehicleRules, stays_of_fleet
from manager.domain.bidding.horizon import Outlook, plan
from manager.domain.bidding.stay import Window, window
from manager.domain.dispatch.fleet_state import Floats
from manager.domain.dispatch.waterfill import Ints
from tests.unit.manager.backtest.made import residential_file, spot_file, workplace_file

DAYS = 14
VEHICLES = 6
SETTINGS = Settings(vehicles=VEHICLES, lot_wh=1_000)


@pytest.fixture(scope="module")
def prices(tmp_path_factory: pytest.TempPathFactory) -> PriceDays:
    return read_prices(
        spot_file(tmp_path_factory.mktemp("spot") / "spot.csv", days=DAYS), area_id="tokyo"
    )


@pytest.fixture(scope="module")
def homes(tmp_path_factory: pytest.TempPathFactory) -> tuple[RecordedSession, ...]:
    return read_sessions(residential_file(tmp_path_factory.mktemp("homes") / "homes.csv"))


@pytest.fixture(scope="module")
def result(prices: PriceDays, homes: tuple[RecordedSession, ...]) -> Result:
    return backtest(prices, homes, SETTINGS)


def _windows(
    prices: PriceDays, sessions: tuple[RecordedSession, ...], settings: Settings = SETTINGS
) -> list[Window]:
    stays = stays_of_fleet(
        sessions,
        vehicles=settings.vehicles,
        first_day=prices.first_day,
        days=prices.days,
        seed=settings.seed,
        rules=settings.vehicle,
    )
    return [window(each, length_s=PERIOD_S) for each in stays]


def _replayed(windows: list[Window], micros: Ints, prices: PriceDays) -> Track:
    rules = SETTINGS.strategy(prices.first_day)
    return Replay(windows=windows, prices=micros, rules=rules).run()


def test_it_earns_most_of_what_perfect_foresight_earns_and_breaks_no_promise(
    result: Result,
) -> None:
    facts = result.as_json()
    assert facts["promises_broken"] == 0
    assert facts["periods"] == DAYS * 48
    assert result.stays > 40
    assert result.ratio_to_oracle is not None
    assert 0.6 <= result.ratio_to_oracle <= 1  # two weeks: the first one is learnt from


def test_nobody_is_better_than_perfect_foresight(result: Result) -> None:
    costs = (result.ours.total_micros, result.smart.total_micros, result.plug_and_charge_micros)
    assert all(result.oracle_micros < cost for cost in costs)
    assert result.ours.total_micros < result.smart.total_micros < result.plug_and_charge_micros


def test_the_account_adds_up_to_contracts_and_imbalance(result: Result, prices: PriceDays) -> None:
    """What is contracted at the price and what deviates at a worse one, Wh by Wh."""
    track, price = result.track, prices.micros_per_kwh
    deviation = track.net_wh - track.contracted_wh
    worse = price * (1 + np.sign(deviation) * 0.01)  # more for what is short, less for what is over
    settled = (track.contracted_wh * price + deviation * worse).sum() / 1000
    wear = track.discharged_wh.sum() * SETTINGS.wear_micros_per_kwh / 1000
    assert result.ours.total_micros == pytest.approx(settled + wear, abs=1_000)
    facts = result.as_json()
    assert facts["imbalance_wh"] == int(np.abs(deviation).sum())
    assert facts["profit_micros"] == result.plug_and_charge_micros - result.ours.total_micros


def test_contracts_are_whole_lots_and_none_before_a_past_is_known(result: Result) -> None:
    contracted = result.track.contracted_wh
    assert (contracted % SETTINGS.lot_wh == 0).all()
    assert not contracted[:48].any()
    assert np.abs(contracted[7 * 48 :]).sum() > 0


def test_the_same_replay_twice_is_the_same(
    result: Result, prices: PriceDays, homes: tuple[RecordedSession, ...]
) -> None:
    again = _replayed(_windows(prices, homes), prices.micros_per_kwh, prices)
    assert (again.net_wh == result.track.net_wh).all()
    assert (again.contracted_wh == result.track.contracted_wh).all()


@pytest.mark.parametrize("cut", [8 * 48 + 20, 8 * 48 + 21])
def test_the_future_changes_nothing_that_was_done_before(
    prices: PriceDays, homes: tuple[RecordedSession, ...], result: Result, cut: int
) -> None:
    """Other prices and other cars from a moment on: until then the very same is bid and done.

    At 10:00 (period 20) tomorrow's prices are unknown, from 10:30 on they are known.
    """
    windows = _windows(prices, homes)
    day, number = divmod(cut, 48)
    known = (day + 2 if number >= 21 else day + 1) * 48
    micros = prices.micros_per_kwh[: (day + 3) * 48].copy()
    micros[known:] = micros[known:][::-1] * 3
    changed = [each for each in windows if each.end <= len(micros)]
    changed = [each for each in changed if each.first < cut or each.first % 2]
    track = _replayed(changed, micros, prices)
    assert (track.net_wh[:cut] == result.track.net_wh[:cut]).all()
    assert (track.contracted_wh[:cut] == result.track.contracted_wh[:cut]).all()
    assert (track.net_wh[cut:] != result.track.net_wh[cut : len(micros)]).any()


def test_bids_for_tomorrow_do_not_know_its_prices(
    prices: PriceDays, homes: tuple[RecordedSession, ...]
) -> None:
    """Whatever tomorrow's price, what is contracted lies on one falling curve."""
    day = 8
    tomorrow = slice(day * 48, day * 48 + 48)
    windows = [each for each in _windows(prices, homes) if each.end <= tomorrow.stop]
    contracted = []
    for micros in (90_000_000, 1):
        changed = prices.micros_per_kwh[: tomorrow.stop].copy()
        changed[tomorrow] = micros
        contracted.append(_replayed(windows, changed, prices).contracted_wh[tomorrow])
    dear, cheap = contracted
    assert (dear <= cheap).all()
    assert (dear < cheap).any()


def test_promises_are_kept_with_workplace_sessions_and_large_lots(
    tmp_path: Path, prices: PriceDays
) -> None:
    sessions = read_sessions(workplace_file(tmp_path / "stations.csv.gz"))
    settings = replace(
        SETTINGS, lot_wh=50_000, vehicle=VehicleRules(outlet_w=6_000, capacity_wh=40_000)
    )
    result = backtest(prices, sessions, settings)
    assert result.as_json()["promises_broken"] == 0
    assert result.oracle_micros <= result.ours.total_micros


@pytest.mark.parametrize(
    "jpy_per_kwh",
    [
        pytest.param(lambda day, number: 10.0, id="the same"),
        pytest.param(lambda day, number: 0.0, id="nothing"),
        pytest.param(lambda day, number: 0.01 if 16 <= number < 30 else 9.0, id="free sun"),
        pytest.param(
            lambda day, number: (8 + 40 * max(0, day - 6)) * (1.3 if 33 <= number < 42 else 0.9),
            id="shortage",
        ),
    ],
)
def test_at_any_prices_promises_are_kept_and_the_oracle_pays_least(
    prices: PriceDays,
    homes: tuple[RecordedSession, ...],
    jpy_per_kwh: Callable[[int, int], float],
) -> None:
    micros = np.array(
        [round(jpy_per_kwh(*divmod(index, 48)) * 100) * 10_000 for index in range(DAYS * 48)]
    )
    result = backtest(replace(prices, micros_per_kwh=micros), homes, replace(SETTINGS, vehicles=3))
    assert result.as_json()["promises_broken"] == 0
    assert result.oracle_micros <= min(result.ours.total_micros, result.plug_and_charge_micros)
    assert result.ratio_to_oracle is None or result.ratio_to_oracle <= 1


def test_the_oracle_is_the_optimum_of_each_stay_by_dynamic_programming() -> None:
    """One short stay on a grid of states, tried exhaustively: no less, no more."""
    prices = np.array([20.0, 5.0, 30.0, 8.0]) * 1e6
    one = _toy(energy_wh=4_000, promise_wh=6_000)
    found = plan([one], Outlook(first=0, price_micros_per_kwh=prices, wear_micros_per_kwh=2e6))
    assert found.cost == pytest.approx(_cheapest(one, prices, wear=2e6), abs=1e-6)


def test_plug_and_charge_charges_at_once_and_no_more_than_needed() -> None:
    one = _toy(energy_wh=4_000, promise_wh=6_000)
    assert plug_and_charge_wh([one], periods=5).tolist() == [1_000, 1_000, 0, 0, 0]


def test_the_oracle_of_all_is_the_sum_of_each() -> None:
    prices = np.array([20, 5, 30, 8], np.int64) * 1_000_000
    stays = [_toy(energy_wh=4_000, promise_wh=6_000), _toy(energy_wh=2_000, promise_wh=3_000)]
    alone = sum(
        oracle_cost_micros([one], prices=prices, wear_micros_per_kwh=2_000_000) for one in stays
    )
    together = oracle_cost_micros(stays, prices=prices, wear_micros_per_kwh=2_000_000)
    assert together == pytest.approx(alone, abs=2)


def test_imbalance_is_worse_on_both_sides() -> None:
    tariff = Tariff(
        prices=np.array([10_000_000, 20_000_000]), wear_micros_per_kwh=0, imbalance_permille=50
    )
    assert tariff.imbalance_micros(np.array([2_000, -1_000])) == 2 * 500_000 + 1_000_000


def _toy(*, energy_wh: int, promise_wh: int) -> Window:
    rules = VehicleRules(
        capacity_wh=8_000, reserve_percent=0, outlet_w=2_000, efficiency_percent=100
    )
    steps = np.full(4, 1_000, np.int64)
    return Window(
        battery=rules.battery(),
        first=0,
        charge_wh=steps,
        discharge_wh=steps,
        reach_wh=np.array([3_000, 2_000, 1_000, 0]),
        energy_wh=energy_wh,
        promise_wh=promise_wh,
    )


def _cheapest(one: Window, prices: Floats, *, wear: float) -> float:
    """Every sequence of whole kWh."""
    best = {one.energy_wh: 0.0}
    for price in prices:
        after: dict[int, float] = {}
        for energy, cost in best.items():
            for step in (-1_000, 0, 1_000):
                if 0 <= energy + step <= one.battery.ceiling_wh:
                    paid = cost + (step * price + max(0, -step) * wear) / 1e9
                    after[energy + step] = min(paid, after.get(energy + step, np.inf))
        best = after
    return min(cost for energy, cost in best.items() if energy >= one.promise_wh)
