"""One tick of an area: who is counted on, and what the grid's and the drivers' limits leave."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridcord.metering.reading import Permission
from gridcord.metering.records import AssetLoading
from gridcord.units import Period
from manager.domain.dispatch.bounds import Reason
from manager.domain.dispatch.conduct import Conduct, ConductRules
from manager.domain.dispatch.demand import Demand
from manager.domain.dispatch.equipment import equipment
from manager.domain.dispatch.fleet_state import FleetState, fleet_state
from manager.domain.dispatch.steering import Asked, Equipment, Steered, SteeringRules, steer
from manager.domain.records.resource import ResourceState

PERIOD = Period(1_800 * 1_000, 1_800)
RULES = SteeringRules(horizon_s=30.0)


def car(name: str, **changes: object) -> ResourceState:
    """A car at half charge that may do anything."""
    values = {
        "resource_id": name,
        "area_id": "3",
        "permission": Permission.BIDIRECTIONAL,
        "transfer_permitted": True,
        "power_w": 0,
        "charge_limit_w": 3_000,
        "discharge_limit_w": 3_000,
        "soc_percent": 50.0,
        "capacity_wh": 40_000,
        "reserve_percent": 20.0,
    }
    return ResourceState(**{**values, **changes})  # type: ignore[arg-type]


def fleet_of(*cars: ResourceState) -> FleetState:
    return fleet_state(cars, numbers=range(len(cars)))


def demand(target_wh: int, **changes: object) -> Demand:
    return Demand(area_id="3", period=PERIOD, target_wh=target_wh, **changes)  # type: ignore[arg-type]


def asked(wanted: Demand | None, *, done_wh: float = 0.0, into_s: float = 0.0) -> Asked:
    return Asked(
        demand=wanted,
        done_wh=done_wh,
        start_s=PERIOD.start_s,
        end_s=PERIOD.end_s,
        now_s=PERIOD.start_s + into_s,
        elapsed_s=2.0,
    )


def tick(
    cars: list[ResourceState],
    wanted: Asked,
    *,
    rules: SteeringRules = RULES,
    conduct: Conduct | None = None,
    hung: Equipment | None = None,
) -> Steered:
    return steer(
        fleet=fleet_of(*cars),
        refused=np.array([each.refused for each in cars], np.bool_),
        conduct=conduct or Conduct.unknown(len(cars)),
        equipment=hung or Equipment.unknown(len(cars)),
        asked=wanted,
        rules=rules,
    )


def test_the_energy_left_over_the_time_left_is_shared() -> None:
    cars = [car("a"), car("b")]
    assert tick(cars, asked(demand(-1_000))).setpoint_w.tolist() == [-1_000, -1_000]
    half_way = tick(cars, asked(demand(-1_000), done_wh=-700.0, into_s=900.0))
    assert half_way.setpoint_w.tolist() == [-600, -600]
    assert half_way.unserved_w == 0


def test_where_nothing_is_asked_only_departures_charge_and_nobody_balances_them() -> None:
    leaving = car("leaving", departure_s=PERIOD.start_s + 3_600.0, departure_percent=90.0)
    steered = tick([leaving, car("b")], asked(None))
    assert steered.setpoint_w.tolist() == [3_000, 0]
    assert steered.forced.tolist() == [True, False]
    assert steered.unserved_w == 0


def test_a_contract_is_met_although_somebody_must_charge_for_its_departure() -> None:
    leaving = car("leaving", departure_s=PERIOD.start_s + 3_600.0, departure_percent=90.0)
    steered = tick([leaving, car("b")], asked(demand(1_000)))
    assert steered.setpoint_w.tolist() == [3_000, -1_000]


def test_who_needs_energy_charges_first_and_discharges_last() -> None:
    needy = car("needy", departure_s=PERIOD.start_s + 36_000.0, departure_percent=80.0)
    cars = [needy, car("b")]
    assert tick(cars, asked(demand(1_000))).setpoint_w.tolist() == [2_000, 0]
    assert tick(cars, asked(demand(-1_000))).setpoint_w.tolist() == [0, -2_000]


@pytest.mark.parametrize(
    "out",
    [
        {"permission": Permission.CHARGE_ONLY},
        {"permission": Permission.NONE},
        {"transfer_permitted": False},
        {"soc_percent": 20.0},
        {"refused": True},
    ],
)
def test_who_cannot_is_replaced_at_the_same_tick(out: dict[str, object]) -> None:
    cars = [car("a", **out), car("b"), car("c")]
    assert tick(cars, asked(demand(-1_500))).setpoint_w.tolist() == [0, -1_500, -1_500]


def test_what_a_refusing_car_does_anyway_is_counted() -> None:
    cars = [car("a", refused=True, power_w=900), car("b")]
    steered = tick(cars, asked(demand(500)))
    assert steered.setpoint_w.tolist() == [900, 100]
    assert Reason(int(steered.reason[0])) is Reason.REFUSED


def test_who_does_not_follow_is_not_counted_on_until_it_is_asked_again() -> None:
    rules = replace(RULES, conduct=ConductRules(follow_s=10.0, hold_s=30.0))
    wanted, conduct = demand(-1_000), Conduct.unknown(2)
    told: list[list[int]] = []
    for second in range(0, 50, 2):
        cars = [car("idle"), car("good", power_w=told[-1][1] if told else 0)]
        steered = tick(
            cars,
            replace(asked(wanted), now_s=PERIOD.start_s + second),
            rules=rules,
            conduct=conduct,
        )
        conduct = steered.conduct
        told.append(steered.setpoint_w.tolist())
    assert all(idle < -900 for idle, _ in told[:6])  # it has ten seconds to begin
    assert told[6][0] == 0  # then the other does it all
    assert told[6][1] < -2_000
    assert told[-1][0] < 0  # and later it is asked again


def test_a_block_under_demand_response_and_a_grid_limit_bound_the_area() -> None:
    wanted = demand(-2_000, export_limit_w=1_000)
    assert int(tick([car("a"), car("b")], asked(wanted)).setpoint_w.sum()) == -1_000


def test_a_ramp_limits_each_resource_but_not_demand_response() -> None:
    rules = replace(RULES, ramp_w_per_s=50.0)
    cars = [car("a"), car("b")]
    assert tick(cars, asked(demand(-1_500)), rules=rules).setpoint_w.tolist() == [-100, -100]
    activated = tick(cars, asked(demand(-1_500, activation=True)), rules=rules)
    assert activated.setpoint_w.tolist() == [-1_500, -1_500]


def test_starts_are_spread_over_the_offset_but_all_have_begun_after_it() -> None:
    rules = replace(RULES, random_offset_s=60.0)
    cars = [car(str(number)) for number in range(200)]
    begun = [
        int((tick(cars, asked(demand(-100_000), into_s=second), rules=rules).setpoint_w < 0).sum())
        for second in (0.0, 30.0, 60.0)
    ]
    assert begun[0] < 20
    assert 60 < begun[1] < 140
    assert begun[2] == 200


def test_a_resource_keeps_its_direction_for_the_dwell() -> None:
    rules = replace(RULES, dwell_s=60.0)
    first = tick([car("a")], asked(demand(500)), rules=rules)
    turned = tick([car("a")], asked(demand(-500), into_s=2), rules=rules, conduct=first.conduct)
    assert turned.setpoint_w.tolist()[0] < 0  # its first turn is free
    back = tick([car("a")], asked(demand(500), into_s=4), rules=rules, conduct=turned.conduct)
    assert back.setpoint_w.tolist() == [0]
    assert Reason(int(back.reason[0])) is Reason.DWELL
    later = tick([car("a")], asked(demand(500), into_s=64), rules=rules, conduct=back.conduct)
    assert later.setpoint_w.tolist()[0] > 0


def test_equipment_that_is_loaded_leaves_the_rest_of_its_rating() -> None:
    """40 of 50 kVA flow, 2 of them ours: ours may take 12 kW, or give 88 kW."""
    loading = AssetLoading(asset_id="pole", loading_percent=80.0, rated_va=50_000, measured_s=0.0)
    far = AssetLoading(asset_id="substation", loading_percent=50.0, rated_va=10**6, measured_s=0.0)
    hung = equipment(
        sites=["home", "home", "other", ""],
        power_w=np.array([1_500, 500, 700, 300]),
        loadings={"home": (far, loading), "other": ()},
        limit_percent=100.0,
    )
    assert hung.asset.tolist() == [0, 0, -1, -1]
    assert hung.limits.import_w.tolist() == [12_000]
    assert hung.limits.export_w.tolist() == [88_000]


def test_a_full_transformer_is_replaced_by_another() -> None:
    full = AssetLoading(asset_id="pole", loading_percent=100.0, rated_va=50_000, measured_s=0.0)
    cars = [car("a"), car("b")]
    hung = equipment(
        sites=["home", "other"],
        power_w=np.zeros(2, np.int64),
        loadings={"home": (full,)},
        limit_percent=100.0,
    )
    steered = tick(cars, asked(demand(1_000)), hung=hung)
    assert steered.setpoint_w.tolist() == [0, 2_000]
    assert Reason(int(steered.reason[0])) is Reason.ASSET


def test_an_area_without_resources_serves_nothing_and_says_so() -> None:
    steered = tick([], asked(demand(-500)))
    assert steered.unserved_w == -1_000
    assert not len(steered.setpoint_w)


def test_conduct_follows_its_resources_when_rows_move() -> None:
    conduct = Conduct.unknown(3).told(setpoint_w=np.array([1, 2, 3]), now_s=5.0)
    moved = conduct.carried(np.array([2, -1, 0]))
    assert moved.setpoint_w.tolist() == [3, 0, 1]
    assert Conduct.unknown(0).carried(np.array([-1])).setpoint_w.tolist() == [0]


@given(
    st.integers(20, 80),
    st.integers(30, 100),
    st.integers(2, 20),
    st.lists(st.integers(-6_000, 6_000), min_size=1, max_size=40),
)
@settings(max_examples=15, deadline=None)
def test_whatever_is_asked_a_car_is_ready_at_its_departure_if_it_can_be(
    soc_percent: int, target_percent: int, quarters: int, wanted_w: list[int]
) -> None:
    """Any demands, a new one each quarter of an hour: the reserve is kept and so is the promise."""
    tick_s, capacity_wh, efficiency = 30, 40_000, 0.92
    leaves_s = PERIOD.start_s + quarters * 900.0
    stored_wh = capacity_wh * soc_percent / 100
    reachable_wh = stored_wh + 3_000 * efficiency * quarters / 4
    promise_wh = min(capacity_wh * target_percent / 100, reachable_wh)
    kept_wh = min(stored_wh, capacity_wh * 0.2)
    conduct, power_w = Conduct.unknown(1), 0
    for number in range(quarters * 900 // tick_s):
        now_s = PERIOD.start_s + number * tick_s
        leaving = car(
            "leaving",
            soc_percent=stored_wh / capacity_wh * 100,
            power_w=power_w,
            departure_s=leaves_s,
            departure_percent=float(target_percent),
        )
        fleet = fleet_state([leaving], numbers=[0], charge_permille=920, discharge_permille=920)
        power = wanted_w[number * tick_s // 900 % len(wanted_w)]
        steered = steer(
            fleet=fleet,
            refused=np.zeros(1, np.bool_),
            conduct=conduct,
            equipment=Equipment.unknown(1),
            asked=Asked(
                demand=demand(round(power / 2)),
                done_wh=0.0,
                start_s=float(now_s),
                end_s=now_s + 1_800.0,
                now_s=float(now_s),
                elapsed_s=float(tick_s),
            ),
            rules=RULES,
        )
        conduct, power_w = steered.conduct, int(steered.setpoint_w[0])
        hours = tick_s / 3600
        stored_wh += power_w * hours * (efficiency if power_w > 0 else 1 / efficiency)
        assert stored_wh >= kept_wh - 1
    assert stored_wh >= promise_wh - 2 * 3_000 * tick_s / 3600
