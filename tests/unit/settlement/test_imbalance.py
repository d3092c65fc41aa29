"""What a deviation costs at the market, and what of it those bear who left early."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridcord.settlement.account import AGGREGATOR, Account, AccountKind, Purpose
from gridcord.settlement.facts import Fact
from gridcord.settlement.imbalance import Contract, MarketResult
from gridcord.settlement.imbalance_share import AreaFigures, ImbalanceShare, share_amount
from gridcord.settlement.ledger import Entry, KnownFact, balances, fold
from gridcord.settlement.tariff import TariffBook
from gridcord.settlement.terms import SettlementRule, Terms
from gridcord.units import Money, Price
from tests.unit.settlement.cases import PERIOD, usd

HALF = Price.per_kwh("USD", "0.50")


def market(delivered_wh: int, price: Price | None = HALF) -> MarketResult:
    return MarketResult(
        area="tokyo",
        period=PERIOD,
        contracts=(
            Contract(contract_id="a", energy_wh=12_000, price=Price.per_kwh("USD", "0.20")),
            Contract(contract_id="b", energy_wh=-2_000, price=Price.per_kwh("USD", "0.10")),
        ),
        recorded_wh=delivered_wh - 40,
        telemetry_wh=40,
        imbalance_price=price,
    )


def shares_of(result: MarketResult, *deviations_wh: int) -> list[ImbalanceShare]:
    """A share for each, cable by cable; all who left early are named."""
    same = (abs(each) for each in deviations_wh if each * result.deviation_wh > 0)
    figures = AreaFigures(
        area=result.area,
        period=result.period,
        revision=result.revision,
        deviation_wh=result.deviation_wh,
        left_early_wh=sum(same),
        imbalance_price=result.imbalance_price,
        digest="",
    )
    return [
        ImbalanceShare(
            cable_id=f"cable-{number}",
            site_id="",
            driver=f"driver-{number}",
            record="",
            deviation_wh=deviation_wh,
            figures=figures,
        )
        for number, deviation_wh in enumerate(deviations_wh)
    ]


def amounts(result: MarketResult, *deviations_wh: int, percent: int = 100) -> list[Money | None]:
    shares = shares_of(result, *deviations_wh)
    return [share_amount(share=each, percent=percent) for each in shares]


def test_contracts_are_paid_and_the_rest_is_an_imbalance() -> None:
    short = market(9_000)
    assert [each.income for each in short.contracts] == [usd("2.4"), usd("-0.2")]
    assert (short.delivered_wh, short.deviation_wh) == (9_000, -1_000)
    assert short.imbalance == usd("-0.50")
    assert replace(short, recorded_wh=None).delivered_wh == 40
    assert market(9_000, None).imbalance is None


def test_who_left_early_bears_what_the_own_deviation_costs_and_the_rest_is_the_aggregators() -> (
    None
):
    assert amounts(market(9_000), -300, -100) == [usd("-0.15"), usd("-0.05")]
    assert amounts(market(9_000), -300, percent=40) == [usd("-0.06")]
    assert amounts(market(9_000), -300, percent=0) == [usd("0")]


def test_where_others_made_up_for_it_less_is_borne() -> None:
    assert amounts(market(9_000), -1_500, -500) == [usd("-0.375"), usd("-0.125")]


def test_who_deviates_the_other_way_bears_nothing() -> None:
    assert amounts(market(9_000), -300, 200) == [usd("-0.15"), None]
    assert amounts(market(10_000), -300) == [None]


def test_a_surplus_is_gained_by_who_made_it() -> None:
    assert amounts(market(11_000), 300) == [usd("0.15")]


def test_without_a_price_nothing_is_settled() -> None:
    assert amounts(market(9_000, None), -300) == [None]


FACTS = st.lists(st.integers(-3_000, 3_000).filter(bool), min_size=0, max_size=6)


@given(
    delivered_wh=st.integers(0, 20_000),
    price=st.integers(-200_000, 900_000),
    deviations=FACTS,
    percent=st.integers(0, 100),
    order=st.randoms(use_true_random=False),
)
@pytest.mark.slow
def test_drivers_and_aggregator_together_bear_exactly_the_imbalance(
    delivered_wh: int, price: int, deviations: list[int], percent: int, order: Random
) -> None:
    """To the micro, in any order of facts; nobody more than the own deviation costs."""
    terms = Terms(tariffs=TariffBook(()), rule=SettlementRule(imbalance_percent=percent))
    first = market(delivered_wh, None)
    last = replace(market(delivered_wh, Price("USD", price)), revision=1)
    facts: list[Fact] = [first, last, *shares_of(first, *deviations), *shares_of(last, *deviations)]
    shuffled = list(facts)
    order.shuffle(shuffled)
    sums = {
        (account, purpose): micros
        for account, purpose, micros in _by_purpose(shuffled, terms)
        if purpose is Purpose.IMBALANCE
    }
    assert balances(_entries(facts, terms)) == balances(_entries(shuffled, terms))
    imbalance = last.imbalance
    assert imbalance is not None
    market_side = sums.get((Account(AccountKind.IMBALANCE, "tokyo"), Purpose.IMBALANCE), 0)
    assert market_side == -imbalance.micros
    assert sum(sums.values()) == 0
    own_cost = [abs(price * each) * percent // 100_000 + 1 for each in deviations]
    for number, most in enumerate(own_cost):
        driver = Account(AccountKind.DRIVER, f"driver-{number}")
        assert abs(sums.get((driver, Purpose.IMBALANCE), 0)) <= most
    passed_on = sums.get((AGGREGATOR, Purpose.IMBALANCE), 0) - imbalance.micros
    assert abs(passed_on) <= abs(imbalance.micros) * percent // 100 + len(deviations) + 1


def _entries(facts: list[Fact], terms: Terms) -> list[Entry]:
    known = [KnownFact(fact=fact, known_s=number) for number, fact in enumerate(facts)]
    return list(fold(facts=known, terms=terms))


def _by_purpose(facts: list[Fact], terms: Terms) -> list[tuple[Account, Purpose, int]]:
    sums: dict[tuple[Account, Purpose], int] = {}
    for entry in _entries(facts, terms):
        for posting in entry.postings:
            name = posting.account, posting.purpose
            sums[name] = sums.get(name, 0) + posting.amount.micros
    return [(*name, micros) for name, micros in sums.items()]
