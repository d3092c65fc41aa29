"""Continuous trade: an order that comes meets those that rest (JEPX trading rules Art. 63).

The best price first, at one price the oldest first; each match is at the price of the order that
was there before.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gridcord.simulation.exchange.auction import Order


@dataclass(frozen=True, slots=True, kw_only=True)
class Resting:
    """An order that waits.

    Args:
        order: The order, its energy being what is still open.
        age: Lower is older.
    """

    order: Order
    age: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """Energy that two orders exchange.

    Args:
        resting_id: The order that was there before.
        price_micros_per_kwh: Its limit.
        energy_wh: Wh, > 0.
    """

    resting_id: str
    price_micros_per_kwh: int
    energy_wh: int


def match(incoming: Order, resting: Iterable[Resting]) -> list[Match]:
    """What an order that comes meets.

    Args:
        incoming: The order; without a limit it meets any price.
        resting: Waiting orders of the same period and area, of both sides, all with limits.
    """
    left_wh = incoming.energy_wh
    matches = []
    for other in sorted(_opposite(incoming, resting), key=lambda r: _rank(incoming, r)):
        limit = other.order.limit_micros_per_kwh
        if left_wh == 0 or limit is None or not _meets(incoming, limit):
            break
        energy_wh = min(left_wh, other.order.energy_wh)
        left_wh -= energy_wh
        matches.append(
            Match(resting_id=other.order.order_id, price_micros_per_kwh=limit, energy_wh=energy_wh)
        )
    return matches


def _opposite(incoming: Order, resting: Iterable[Resting]) -> list[Resting]:
    return [
        r
        for r in resting
        if r.order.is_buy != incoming.is_buy and r.order.limit_micros_per_kwh is not None
    ]


def _rank(incoming: Order, other: Resting) -> tuple[int, int]:
    limit = other.order.limit_micros_per_kwh or 0
    return (limit if incoming.is_buy else -limit, other.age)


def _meets(incoming: Order, limit: int) -> bool:
    if incoming.limit_micros_per_kwh is None:
        return True
    if incoming.is_buy:
        return limit <= incoming.limit_micros_per_kwh
    return limit >= incoming.limit_micros_per_kwh
