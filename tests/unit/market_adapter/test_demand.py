"""Demand out of contracts and signals; demand response out of events."""

from __future__ import annotations

import math
import random
from decimal import Decimal
from fractions import Fraction
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridcord.units import Period, Price
from market_adapter.domain.bids import Side
from market_adapter.domain.contracts import Contract
from market_adapter.domain.demand import Demand, DemandSignal, SignalKind, fold_demand
from market_adapter.domain.demand_response import Setpoint, SetpointKind, signals_of

PERIOD = Period(1_800 * 1_000_000)
AREA = "tokyo"


def contract(contract_id: str, side: Side, energy_wh: int, area_id: str = AREA) -> Contract:
    return Contract(
        contract_id=contract_id,
        bid_id=UUID(int=1),
        market_id="m",
        area_id=area_id,
        period=PERIOD,
        side=side,
        energy_wh=energy_wh,
        price=Price("JPY", 1),
        at_s=0,
    )


def signal(kind: SignalKind, value: int, source: str = "dr:1", unit: str = "Wh") -> DemandSignal:
    return DemandSignal(
        kind=kind, area_id=AREA, period=PERIOD, value=Decimal(value), unit=unit, source=source
    )


def fold(
    contracts: list[Contract], signals: list[DemandSignal], previous: Demand | None = None
) -> Demand:
    return fold_demand(
        area_id=AREA, period=PERIOD, contracts=contracts, signals=signals, previous=previous
    )


def test_contracts_activations_and_imbalance_add_up_and_limits_bound() -> None:
    demand = fold(
        [contract("a", Side.SELL, 300_000), contract("b", Side.BUY, 50_000)],
        [
            signal(SignalKind.ACTIVATION, -17_500),
            signal(SignalKind.IMBALANCE, 4_000, "metering"),
            signal(SignalKind.IMPORT_LIMIT, 900_000, "grid:7", "W"),
            signal(SignalKind.IMPORT_LIMIT, 700_000, "grid:8", "W"),
            signal(SignalKind.WEATHER, 31, "jma", "Cel"),
        ],
    )
    assert demand == Demand(
        area_id=AREA,
        period=PERIOD,
        target_wh=-263_500,
        contracted_wh=-250_000,
        revision=1,
        contract_ids=("a", "b"),
        sources=("dr:1", "grid:7", "grid:8", "metering"),
        import_limit_w=700_000,
        export_limit_w=None,
        is_activation=True,
    )


CONTRACTS = st.lists(
    st.builds(
        contract,
        st.uuids().map(str),
        st.sampled_from(Side),
        st.integers(1, 10**9),
        st.sampled_from([AREA, "kansai"]),
    ),
    max_size=6,
)
SIGNALS = st.lists(
    st.builds(
        signal,
        st.sampled_from([SignalKind.ACTIVATION, SignalKind.IMBALANCE]),
        st.integers(-(10**9), 10**9),
        st.sampled_from(["a", "b"]),
    ),
    max_size=6,
)


@given(CONTRACTS, SIGNALS, st.randoms(use_true_random=False))
def test_order_never_matters_and_only_this_area_counts(
    contracts: list[Contract], signals: list[DemandSignal], dice: random.Random
) -> None:
    before = fold(contracts, signals)
    dice.shuffle(contracts)
    dice.shuffle(signals)
    assert fold(contracts, signals) == before
    ours = sum(c.into_fleet_wh for c in contracts if c.area_id == AREA)
    assert before.contracted_wh == ours
    assert before.target_wh == ours + sum(int(s.value) for s in signals)


@given(CONTRACTS, CONTRACTS)
def test_the_revision_rises_with_each_change_and_with_nothing_else(
    first: list[Contract], second: list[Contract]
) -> None:
    before = fold(first, [])
    assert fold(first, [], before) == before
    after = fold(second, [], before)
    ids = [sorted(c.contract_id for c in cs if c.area_id == AREA) for cs in (first, second)]
    assert after.revision - before.revision == int(ids[0] != ids[1])


def test_a_signal_says_a_whole_number_of_its_unit() -> None:
    for kind, value, unit in (
        (SignalKind.ACTIVATION, "0.5", "Wh"),
        (SignalKind.ACTIVATION, "1", "kWh"),
        (SignalKind.IMPORT_LIMIT, "-1", "W"),
        (SignalKind.FORECAST, "NaN", "Wh"),
    ):
        with pytest.raises(ValueError, match=r"whole|finite|negative"):
            DemandSignal(
                kind=kind,
                area_id=AREA,
                period=PERIOD,
                value=Decimal(value),
                unit=unit,
                source="s",
            )


def setpoint(
    kind: SetpointKind,
    value: str,
    start_s: float,
    end_s: float,
    *,
    source: str = "event",
    priority: int = 0,
) -> Setpoint:
    return Setpoint(
        source=source,
        kind=kind,
        value=Decimal(value),
        start_s=PERIOD.start_s + start_s,
        end_s=PERIOD.start_s + end_s,
        priority=priority,
    )


def means(*setpoints: Setpoint, periods: int = 2) -> list[tuple[SignalKind, int, int, str]]:
    """(kind, half hour, value, source) of each signal."""
    found = signals_of(
        setpoints,
        area_id=AREA,
        periods=[PERIOD.next(n) for n in range(periods)],
        watts_per_level=10_000,
    )
    return [
        (s.kind, (s.period.start_s - PERIOD.start_s) // 1800, int(s.value), s.source) for s in found
    ]


ACTIVATION = SignalKind.ACTIVATION


def test_less_consumption_is_energy_out_of_the_fleet_and_more_is_energy_into_it() -> None:
    less = setpoint(SetpointKind.POWER_CHANGE, "-35000", 0, 1800)
    more = setpoint(SetpointKind.POWER_CHANGE, "20000", 1800, 3600)
    assert means(less, more) == [
        (ACTIVATION, 0, -17_500, "event"),
        (ACTIVATION, 1, 10_000, "event"),
    ]


def test_an_event_across_periods_is_shared_by_time() -> None:
    across = setpoint(SetpointKind.POWER_CHANGE, "-36000", 900, 2400)
    assert means(across) == [(ACTIVATION, 0, -9_000, "event"), (ACTIVATION, 1, -6_000, "event")]


def test_a_positive_level_sheds_and_a_negative_one_takes() -> None:
    shed = setpoint(SetpointKind.LEVEL, "2", 0, 1800)
    take = setpoint(SetpointKind.LEVEL, "-1", 1800, 3600)
    assert means(shed, take) == [(ACTIVATION, 0, -10_000, "event"), (ACTIVATION, 1, 5_000, "event")]


def test_the_higher_priority_is_heard_while_it_lasts() -> None:
    long = setpoint(SetpointKind.POWER_CHANGE, "10000", 0, 3600, source="plan", priority=5)
    urgent = setpoint(SetpointKind.POWER_CHANGE, "-40000", 600, 1200, source="alarm", priority=0)
    assert means(long, urgent) == [
        (ACTIVATION, 0, round(-40_000 * 600 / 3600), "alarm"),
        (ACTIVATION, 0, round(10_000 * 1200 / 3600), "plan"),
        (ACTIVATION, 1, 5_000, "plan"),
    ]


def test_an_event_without_end_goes_on_and_limits_hold_for_whole_periods() -> None:
    forever = setpoint(SetpointKind.EXPORT_LIMIT, "5000.9", 1799, math.inf)
    assert means(forever) == [
        (SignalKind.EXPORT_LIMIT, 0, 5_000, "event"),
        (SignalKind.EXPORT_LIMIT, 1, 5_000, "event"),
    ]


def test_a_price_is_that_of_the_start() -> None:
    prices = [
        Setpoint(
            source="tou",
            kind=SetpointKind.PRICE,
            value=Decimal(n),
            start_s=PERIOD.start_s + n * 900,
            end_s=PERIOD.start_s + (n + 1) * 900,
            unit="JPY micros/kWh",
        )
        for n in range(4)
    ]
    assert means(*prices) == [(SignalKind.PRICE, 0, 0, "tou"), (SignalKind.PRICE, 1, 2, "tou")]


@given(
    st.lists(
        st.builds(
            setpoint,
            st.just(SetpointKind.POWER_CHANGE),
            st.integers(-(10**6), 10**6).map(str),
            st.integers(-60, 120).map(lambda minutes: minutes * 60),
            st.integers(-60, 150).map(lambda minutes: minutes * 60),
            source=st.sampled_from(["a", "b", "c"]),
            priority=st.integers(0, 2),
        ),
        max_size=5,
    )
)
def test_energy_is_the_integral_of_the_power_that_is_heard(setpoints: list[Setpoint]) -> None:
    total_wh = sum(value for _, _, value, _ in means(*setpoints, periods=4))
    joules = Fraction(0)
    for minute in range(4 * 30):
        instant = PERIOD.start_s + 60 * minute
        now = [s for s in setpoints if s.start_s <= instant < s.end_s]
        if now:
            heard = min(now, key=lambda s: (s.priority, s.source, -s.start_s))
            joules += 60 * Fraction(heard.value)
    assert abs(total_wh - joules / 3600) <= 6  # rounding: half a Wh for each event and period
