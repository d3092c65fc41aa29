"""The single-price auction: laws on invented orders, and a day of real curves."""

from __future__ import annotations

import csv
import gzip
import random
from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridcord.simulation.exchange.auction import Order, Result, clear, share
from gridcord.simulation.exchange.background import Depth, auction_orders
from tests.reference_data import reference

LOT, LOW, HIGH = 50_000, 0, 1_000

BOOKS = st.lists(
    st.builds(
        Order,
        order_id=st.uuids().map(str),
        is_buy=st.booleans(),
        limit_micros_per_kwh=st.none() | st.integers(LOW, 12) | st.integers(LOW, HIGH),
        energy_wh=st.integers(1, 9).map(lambda lots: lots * LOT),
    ),
    max_size=25,
)


def hold(orders: Sequence[Order]) -> Result:
    return clear(orders, lot_wh=LOT, min_price_micros_per_kwh=LOW, max_price_micros_per_kwh=HIGH)


def limit(order: Order) -> int:
    if order.limit_micros_per_kwh is None:
        return HIGH if order.is_buy else LOW
    return order.limit_micros_per_kwh


def wanted(orders: Sequence[Order], price: int) -> int:
    return sum(o.energy_wh for o in orders if o.is_buy and limit(o) >= price)


def offered(orders: Sequence[Order], price: int) -> int:
    return sum(o.energy_wh for o in orders if not o.is_buy and limit(o) <= price)


@given(BOOKS)
def test_as_much_is_bought_as_sold_in_whole_lots_and_nobody_gets_more_than_he_asked(
    orders: list[Order],
) -> None:
    result = hold(orders)
    by_id = {o.order_id: o for o in orders}
    sums = {True: 0, False: 0}
    for order_id, energy_wh in result.filled_wh.items():
        assert 0 < energy_wh <= by_id[order_id].energy_wh
        assert energy_wh % LOT == 0
        sums[by_id[order_id].is_buy] += energy_wh
    assert sums == {True: result.volume_wh, False: result.volume_wh}
    assert (result.price_micros_per_kwh is None) == (result.volume_wh == 0)


@given(BOOKS)
def test_better_orders_are_filled_and_worse_ones_are_not(orders: list[Order]) -> None:
    result = hold(orders)
    price = result.price_micros_per_kwh
    if price is None:
        return
    for order in orders:
        gain = (limit(order) - price) * (1 if order.is_buy else -1)
        filled_wh = result.filled_wh.get(order.order_id, 0)
        if gain > 0:
            assert filled_wh == order.energy_wh
        if gain < 0:
            assert filled_wh == 0


@given(BOOKS)
def test_the_volume_is_the_largest_and_the_price_the_lowest_that_clears(
    orders: list[Order],
) -> None:
    """Art. 18 by trial of every price, against the crossing found by bisection."""
    result = hold(orders)
    prices = range(LOW, HIGH + 1)
    most_wh = max(min(wanted(orders, p), offered(orders, p)) for p in prices)
    assert result.volume_wh == most_wh
    if most_wh:
        clearing = [
            p
            for p in prices
            if wanted(orders, p + 1) <= offered(orders, p)
            and offered(orders, p - 1) <= wanted(orders, p)
        ]
        assert result.price_micros_per_kwh == clearing[0]


@given(BOOKS, st.randoms(use_true_random=False))
def test_the_sequence_of_orders_does_not_matter(orders: list[Order], dice: random.Random) -> None:
    before = hold(orders)
    dice.shuffle(orders)
    assert hold(orders) == before


@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=9),
    st.integers(0, 400),
)
def test_sharing_is_in_proportion_to_the_lot(lots: list[int], wanted_lots: int) -> None:
    orders = [
        Order(order_id=str(i), is_buy=True, limit_micros_per_kwh=1, energy_wh=n * LOT)
        for i, n in enumerate(lots)
    ]
    to_share = min(wanted_lots, sum(lots))
    shares = share(orders, lots=to_share, lot_wh=LOT)
    assert sum(shares.values()) == to_share * LOT
    for order, n in zip(orders, lots, strict=True):
        exact = to_share * n / sum(lots)
        assert abs(shares.get(order.order_id, 0) / LOT - exact) < 1


@given(
    price=st.integers(LOW, HIGH),
    steps=st.integers(1, 12),
    step=st.integers(1, 50),
    step_lots=st.integers(1, 9),
)
def test_the_background_alone_trades_at_its_price(
    price: int, steps: int, step: int, step_lots: int
) -> None:
    depth = Depth(steps=steps, step_micros_per_kwh=step, step_wh=step_lots * LOT)
    orders = auction_orders(price_micros_per_kwh=price, low=LOW, high=HIGH, depth=depth)
    assert hold(orders).price_micros_per_kwh == price


@given(lots=st.integers(1, 200), is_buy=st.booleans())
def test_a_larger_bid_moves_the_price_against_itself(lots: int, is_buy: bool) -> None:
    depth = Depth(steps=10, step_micros_per_kwh=10, step_wh=5 * LOT)
    others = auction_orders(price_micros_per_kwh=500, low=LOW, high=HIGH, depth=depth)

    def price_with(energy_lots: int) -> int:
        bid = Order(
            order_id="us", is_buy=is_buy, limit_micros_per_kwh=None, energy_wh=energy_lots * LOT
        )
        price = hold([*others, bid]).price_micros_per_kwh
        assert price is not None
        return price

    change = price_with(lots + 1) - price_with(lots)
    assert change >= 0 if is_buy else change <= 0


def test_a_day_of_real_curves_clears_where_they_cross() -> None:
    """JEPX's aggregated bid curves of 2025-04-23: up to a thousand steps a half hour."""
    curves = _curves(reference("market/jepx_spot_bid_curves_20250423.csv.gz").read_bytes())
    assert len(curves) == 48
    for orders in curves.values():
        result = clear(
            orders,
            lot_wh=LOT,
            min_price_micros_per_kwh=0,
            max_price_micros_per_kwh=999_990_000,
        )
        price = result.price_micros_per_kwh
        assert price is not None
        assert 1_000_000 * 1 <= price <= 30_000_000  # a spring day: 1 to 30 JPY/kWh
        bought = sum(o.energy_wh for o in orders if o.is_buy and limit(o) > price)
        assert bought <= result.volume_wh <= wanted(orders, price)


def _curves(packed: bytes) -> dict[int, list[Order]]:
    """Orders of each half hour out of cumulated volumes (system price rows only)."""
    text = gzip.decompress(packed).decode("utf-8-sig").splitlines()
    points: defaultdict[int, list[tuple[int, Decimal, Decimal]]] = defaultdict(list)
    for row in csv.reader(text[1:]):
        if row[5] == "":
            micros = int(Decimal(row[2]) * 1_000_000)
            points[int(row[1])].append((micros, Decimal(row[3]), Decimal(row[4])))
    return {number: _orders(curve) for number, curve in points.items()}


def _orders(curve: list[tuple[int, Decimal, Decimal]]) -> list[Order]:
    orders: list[Order] = []

    def add(name: str, *, is_buy: bool, price: int, mw: Decimal) -> None:
        if mw > 0:
            energy_wh = int(mw * 10) * LOT
            orders.append(
                Order(order_id=name, is_buy=is_buy, limit_micros_per_kwh=price, energy_wh=energy_wh)
            )

    sold, bought_above = Decimal(0), Decimal(0)
    for i, (price, sell_mw, _) in enumerate(curve):
        add(f"s{i:05d}", is_buy=False, price=price, mw=sell_mw - sold)
        sold = max(sold, sell_mw)
    for i, (price, _, buy_mw) in reversed(list(enumerate(curve))):
        add(f"b{i:05d}", is_buy=True, price=price, mw=buy_mw - bought_above)
        bought_above = max(bought_above, buy_mw)
    return orders


@pytest.mark.parametrize(
    "orders", [[], [Order(order_id="1", is_buy=True, limit_micros_per_kwh=None, energy_wh=LOT)]]
)
def test_without_two_sides_there_is_no_price(orders: list[Order]) -> None:
    assert hold(orders) == Result(price_micros_per_kwh=None, volume_wh=0, filled_wh={})
