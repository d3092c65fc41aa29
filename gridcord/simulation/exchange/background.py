"""The other members: orders that make the simulated market trade at a given price.

Around the price stand equal steps of offers and wants. Without us the auction then clears at the
price exactly; what we add moves it step by step, so a large bid feels its own weight.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gridcord.simulation.exchange.auction import Order


@dataclass(frozen=True, slots=True, kw_only=True)
class Depth:
    """How deep the background is.

    Args:
        steps: Steps above and below the one at the price, >= 0; with none, whoever offers more
            than one step is taken in part.
        step_micros_per_kwh: Distance between steps, > 0, a multiple of the tick.
        step_wh: Energy of one step, Wh, > 0, a multiple of the lot.
        spread_steps: Steps between the best want and the best offer in continuous trade, >= 1.
    """

    steps: int = 20
    step_micros_per_kwh: int = 100_000  # 0.10 JPY/kWh
    step_wh: int = 500_000  # ten lots
    spread_steps: int = 1


def auction_orders(*, price_micros_per_kwh: int, low: int, high: int, depth: Depth) -> list[Order]:
    """Orders of an auction that clears at a price.

    Args:
        price_micros_per_kwh: The price, within the bounds.
        low: Lowest price; steps below it stand at it.
        high: Highest price; steps above it stand at it.
        depth: How deep.
    """
    orders = []
    for k in range(-depth.steps, depth.steps + 1):
        limit = min(high, max(low, price_micros_per_kwh + k * depth.step_micros_per_kwh))
        for is_buy in (True, False):
            name = f"background:{'buy' if is_buy else 'sell'}:{k:+04d}"
            orders.append(
                Order(
                    order_id=name,
                    is_buy=is_buy,
                    limit_micros_per_kwh=limit,
                    energy_wh=depth.step_wh,
                )
            )
    return orders


def quotes(*, price_micros_per_kwh: int, low: int, high: int, depth: Depth) -> Iterator[Order]:
    """Resting orders of continuous trade: wants below a price, offers above it.

    Args:
        price_micros_per_kwh: The price in the middle.
        low: Lowest price; steps below it do not stand.
        high: Highest price; likewise.
        depth: How deep.
    """
    for k in range(depth.spread_steps, depth.spread_steps + depth.steps):
        for is_buy in (True, False):
            distance = k * depth.step_micros_per_kwh
            limit = price_micros_per_kwh + (-distance if is_buy else distance)
            if low <= limit <= high:
                yield Order(
                    order_id=f"background:{'buy' if is_buy else 'sell'}:{k:03d}",
                    is_buy=is_buy,
                    limit_micros_per_kwh=limit,
                    energy_wh=depth.step_wh,
                )
