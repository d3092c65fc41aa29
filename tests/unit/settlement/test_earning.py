"""Earnings: fair under replugging, exact to the micro, the same in any order."""

from __future__ import annotations

import random
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridcord.settlement.earning import earning, energy_amount, period_earnings
from gridcord.settlement.schedule import Prices
from gridcord.settlement.tariff import Proration
from gridcord.units import Money, Price
from tests.unit.settlement.cases import PERIOD, record, tariff, transfer, usd


def test_charge_and_discharge_have_their_own_price() -> None:
    own = tariff("0.20", given="0.35")
    assert earning(record=record(charged_wh=1000), tariff=own).energy == usd("-0.20")
    assert earning(record=record(discharged_wh=1000), tariff=own).energy == usd("0.35")
    both = earning(record=record(charged_wh=1000, discharged_wh=1000), tariff=own)
    assert both.energy == usd("0.15")
    assert both.tariff == "guest/1"


@pytest.mark.parametrize(
    ("proration", "expected"),
    [(Proration.CONNECTED_TIME, "0.25"), (Proration.WHOLE_PERIOD, "1")],
)
def test_a_short_connection_earns_by_the_tariffs_choice(
    proration: Proration, expected: str
) -> None:
    short = record(start=600, end=1050)
    earned = earning(record=short, tariff=tariff(proration=proration))
    assert earned.availability == usd(expected)


@pytest.mark.parametrize("proration", list(Proration))
def test_no_time_earns_nothing(proration: Proration) -> None:
    instant = record(start=600, end=600)
    assert earning(record=instant, tariff=tariff(proration=proration)).total == usd("0")


def test_a_hundred_plugs_in_a_period_earn_one_availability() -> None:
    plugs = [transfer(record(start=18 * i, end=18 * (i + 1)), sequence=i + 1) for i in range(100)]
    for proration in Proration:
        earned = period_earnings(transfers=plugs, tariff=tariff(proration=proration))
        assert sum(each.availability.micros for each in earned.values()) == 1_000_000


def test_overlapping_records_are_connected_once() -> None:
    twice = [transfer(record(start=0, end=900), sequence=1), transfer(record(), sequence=2)]
    earned = period_earnings(transfers=twice, tariff=tariff())
    assert [each.availability for each in earned.values()] == [usd("0.5"), usd("0.5")]


def test_only_what_is_credited_is_paid() -> None:
    discharge = record(discharged_wh=750)
    assert earning(record=discharge, tariff=tariff(), paid_discharge_wh=500).energy == usd("0.1")
    assert earning(record=discharge, tariff=tariff(), paid_discharge_wh=900).energy == usd("0.15")
    assert earning(record=discharge, tariff=tariff(), paid_discharge_wh=-1).energy == usd("0")


def test_two_cables_or_periods_are_not_one() -> None:
    there, here = transfer(record(), cable="cable-35"), transfer(record())
    later = transfer(record(period=PERIOD.next()))
    for other in (there, later):
        with pytest.raises(ValueError, match="more than one"):
            period_earnings(transfers=[here, other], tariff=tariff())


@settings(max_examples=1000, deadline=None)
@given(
    spans=st.lists(
        st.tuples(st.integers(0, 1800), st.integers(0, 1800)).map(sorted), min_size=1, max_size=8
    ),
    micros=st.integers(0, 10**7),
    proration=st.sampled_from(Proration),
    seed=st.integers(0, 2**32),
)
def test_one_availability_however_it_is_cut_and_ordered(
    spans: list[list[int]], micros: int, proration: Proration, seed: int
) -> None:
    transfers = [
        transfer(record(start=start, end=end), sequence=number)
        for number, (start, end) in enumerate(spans, 1)
    ]
    full = tariff(availability=str(Money("USD", micros).amount), proration=proration)
    earned = period_earnings(transfers=transfers, tariff=full)
    paid = sum(each.availability.micros for each in earned.values())
    connected_s = len({second for start, end in spans for second in range(start, end)})
    exact = Fraction(micros * connected_s, 1800)
    if proration is Proration.WHOLE_PERIOD:
        exact = Fraction(micros if connected_s else 0)
    assert paid == round(exact) <= micros
    assert all(each.availability.micros >= 0 for each in earned.values())
    random.Random(seed).shuffle(transfers)
    assert period_earnings(transfers=transfers, tariff=full) == earned


@settings(max_examples=1000)
@given(
    taken=st.integers(0, 10**6),
    given_=st.integers(0, 10**6),
    price=st.integers(-(10**8), 10**8),
)
def test_one_price_both_ways_is_minus_the_transferred_energy_times_the_price(
    taken: int, given_: int, price: int
) -> None:
    prices = Prices.same(Price("JPY", price))
    amount = energy_amount(taken_wh=taken, given_wh=given_, prices=prices)
    assert amount.micros == round(Fraction(-(taken - given_) * price, 1000))
