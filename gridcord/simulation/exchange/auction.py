"""Single-price auction of one period and area (JEPX trading rules Art. 18).

Demand and supply are step functions of the price. The price is where they cross; where they cross
over a range of prices, the lowest of it, which is also where the largest volume is traded. Orders
better than the price are filled, those exactly at it share what is left in proportion, in lots.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Energy offered or wanted at a limit.

    Args:
        order_id: Unique within the auction; settles ties, so that an auction is repeatable.
        is_buy: Wanted; else offered.
        limit_micros_per_kwh: Most to pay or least to get; None for any price.
        energy_wh: Wh, > 0, a multiple of the lot.
    """

    order_id: str
    is_buy: bool
    limit_micros_per_kwh: int | None
    energy_wh: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Outcome of an auction.

    Args:
        price_micros_per_kwh: The price for everybody; None when nothing was traded.
        volume_wh: Energy traded, Wh.
        filled_wh: Order id -> Wh, > 0, of the orders that got something.
    """

    price_micros_per_kwh: int | None
    volume_wh: int
    filled_wh: Mapping[str, int]


def clear(
    orders: Iterable[Order],
    *,
    lot_wh: int,
    min_price_micros_per_kwh: int,
    max_price_micros_per_kwh: int,
) -> Result:
    """Hold the auction.

    Args:
        orders: The orders; their sequence does not matter.
        lot_wh: Every fill is a multiple of it, Wh, > 0.
        min_price_micros_per_kwh: What an offer at any price asks for.
        max_price_micros_per_kwh: What a want at any price pays.
    """
    priced = sorted(
        (_effective(o, min_price_micros_per_kwh, max_price_micros_per_kwh), o.order_id, o)
        for o in orders
    )
    buys = _Curve([(price, o) for price, _, o in priced if o.is_buy])
    sells = _Curve([(price, o) for price, _, o in priced if not o.is_buy])
    price = _lowest_crossing(buys, sells, [price for price, _, _ in priced])
    volume_wh = 0 if price is None else min(buys.at_or_above(price), sells.at_or_below(price))
    if price is None or volume_wh == 0:
        return Result(price_micros_per_kwh=None, volume_wh=0, filled_wh={})
    filled = {
        **_fill(buys.better_than(price, cheap=False), buys.at(price), volume_wh, lot_wh),
        **_fill(sells.better_than(price, cheap=True), sells.at(price), volume_wh, lot_wh),
    }
    return Result(price_micros_per_kwh=price, volume_wh=volume_wh, filled_wh=filled)


class _Curve:
    """Orders of one side in ascending order of price, with running sums."""

    def __init__(self, orders: Sequence[tuple[int, Order]]) -> None:
        self._prices = [price for price, _ in orders]
        self._orders = [order for _, order in orders]
        self._sums = [0, *accumulate(order.energy_wh for order in self._orders)]

    def at_or_below(self, price: int) -> int:
        return self._sums[bisect_right(self._prices, price)]

    def at_or_above(self, price: int) -> int:
        return self._sums[-1] - self._sums[bisect_left(self._prices, price)]

    def above(self, price: int) -> int:
        return self._sums[-1] - self.at_or_below(price)

    def at(self, price: int) -> Sequence[Order]:
        start, end = bisect_left(self._prices, price), bisect_right(self._prices, price)
        return self._orders[start:end]

    def better_than(self, price: int, *, cheap: bool) -> Sequence[Order]:
        if cheap:
            return self._orders[: bisect_left(self._prices, price)]
        return self._orders[bisect_right(self._prices, price) :]


def _effective(order: Order, low: int, high: int) -> int:
    if order.limit_micros_per_kwh is None:
        return high if order.is_buy else low
    return order.limit_micros_per_kwh


def _lowest_crossing(buys: _Curve, sells: _Curve, prices: Sequence[int]) -> int | None:
    """The lowest price above which no more is wanted than is offered at it.

    Wanting only falls and offering only rises with the price, so the first such price can be
    found by bisection.
    """
    first = bisect_left(prices, True, key=lambda p: buys.above(p) <= sells.at_or_below(p))
    return prices[first] if first < len(prices) else None


def _fill(
    better: Sequence[Order], at_price: Sequence[Order], volume_wh: int, lot_wh: int
) -> dict[str, int]:
    filled = {order.order_id: order.energy_wh for order in better}
    left_lots = (volume_wh - sum(filled.values())) // lot_wh
    return filled | share(at_price, lots=left_lots, lot_wh=lot_wh)


def share(orders: Sequence[Order], *, lots: int, lot_wh: int) -> dict[str, int]:
    """Share lots among orders in proportion to their energy.

    Every order gets its share cut to whole lots; lots left over go to the largest remainders,
    then to the lowest ids.

    Args:
        orders: Orders of one side and price.
        lots: Lots to share, no more than the orders hold together.
        lot_wh: Wh of a lot.

    Returns:
        Order id -> Wh, without those that get nothing.
    """
    total = sum(order.energy_wh for order in orders)
    if not total or not lots:
        return {}
    shares = {o.order_id: divmod(lots * o.energy_wh, total) for o in orders}
    given = {order_id: whole for order_id, (whole, _) in shares.items()}
    left = lots - sum(given.values())
    for order_id in sorted(shares, key=lambda i: (-shares[i][1], i))[:left]:
        given[order_id] += 1
    return {order_id: n * lot_wh for order_id, n in given.items() if n}
