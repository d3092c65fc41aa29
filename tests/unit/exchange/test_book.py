"""Continuous trade and the synthetic prices."""

from __future__ import annotations

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from gridcord.protocols.jepx.fields import AREA_CODES
from gridcord.simulation.exchange.auction import Order
from gridcord.simulation.exchange.book import Resting, match
from gridcord.simulation.exchange.prices import SyntheticPrices

LOT = 50_000
RESTING = st.lists(
    st.builds(
        Resting,
        order=st.builds(
            Order,
            order_id=st.uuids().map(str),
            is_buy=st.booleans(),
            limit_micros_per_kwh=st.integers(0, 20),
            energy_wh=st.integers(1, 5).map(lambda n: n * LOT),
        ),
        age=st.integers(0, 5),
    ),
    max_size=12,
)
INCOMING = st.builds(
    Order,
    order_id=st.just("new"),
    is_buy=st.booleans(),
    limit_micros_per_kwh=st.none() | st.integers(0, 20),
    energy_wh=st.integers(1, 30).map(lambda n: n * LOT),
)


@given(INCOMING, RESTING)
def test_an_order_meets_the_best_and_the_oldest_and_no_one_is_left_who_would_have_met_it(
    incoming: Order, resting: list[Resting]
) -> None:
    matches = match(incoming, resting)
    by_id = {r.order.order_id: r for r in resting}
    sign = 1 if incoming.is_buy else -1
    ranks = [(sign * m.price_micros_per_kwh, by_id[m.resting_id].age) for m in matches]
    assert ranks == sorted(ranks)
    total_wh = sum(m.energy_wh for m in matches)
    assert total_wh <= incoming.energy_wh
    for m in matches:
        other = by_id[m.resting_id].order
        assert other.is_buy != incoming.is_buy
        assert m.price_micros_per_kwh == other.limit_micros_per_kwh
        assert 0 < m.energy_wh <= other.energy_wh
        if incoming.limit_micros_per_kwh is not None:
            assert sign * m.price_micros_per_kwh <= sign * incoming.limit_micros_per_kwh
    if total_wh < incoming.energy_wh:
        met = {m.resting_id for m in matches}
        for other in (r.order for r in resting if r.order.order_id not in met):
            assert other.limit_micros_per_kwh is not None
            assert other.is_buy == incoming.is_buy or (
                incoming.limit_micros_per_kwh is not None
                and sign * other.limit_micros_per_kwh > sign * incoming.limit_micros_per_kwh
            )


def test_synthetic_prices_are_repeatable_and_shaped_like_japan() -> None:
    prices, again = SyntheticPrices(seed=7), SyntheticPrices(seed=7)
    first = date(2026, 4, 1)
    year = [first + timedelta(days=n) for n in range(365)]
    tokyo = AREA_CODES["tokyo"]

    def mean(numbers: range) -> float:
        values = [
            prices.price_jpy_per_mwh(area_cd=tokyo, day=day, number=n)
            for day in year
            for n in numbers
        ]
        assert all(value >= 10 and value % 10 == 0 for value in values)
        return sum(values) / len(values)

    noon, evening, night = mean(range(23, 27)), mean(range(36, 40)), mean(range(1, 9))
    assert noon < night < evening
    assert 5_000 < mean(range(1, 49)) < 20_000  # JPY/MWh: 5 to 20 JPY/kWh
    assert evening > 2 * noon
    sample = [(day, n) for day in year[::30] for n in range(1, 49)]
    assert [prices.price_jpy_per_mwh(area_cd=tokyo, day=d, number=n) for d, n in sample] == [
        again.price_jpy_per_mwh(area_cd=tokyo, day=d, number=n) for d, n in sample
    ]
    other = SyntheticPrices(seed=8)
    assert any(
        prices.price_jpy_per_mwh(area_cd=tokyo, day=d, number=n)
        != other.price_jpy_per_mwh(area_cd=tokyo, day=d, number=n)
        for d, n in sample
    )
