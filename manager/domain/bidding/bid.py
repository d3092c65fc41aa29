"""What a market takes, and what is offered to it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from gridcord.units import Period, Price
from manager.domain.bidding.curves import LimitBid, Side

_NAMESPACE = uuid.UUID("6f1c3f6e-6d0c-4b5e-9c55-0d5f7f0f4b1d")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bid:
    """An offer to buy or sell energy in one period.

    Args:
        bid_id: A UUID that market, area, period, side and step give: deciding twice is once.
        market_id: The market.
        area_id: The area.
        period: The period.
        buys: The fleet charges; else it discharges.
        energy_wh: Wh, > 0, a multiple of the lot.
        limit_price: Most to pay, or least to get; None for any price.
    """

    bid_id: str
    market_id: str
    area_id: str
    period: Period
    buys: bool
    energy_wh: int
    limit_price: Price | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketTerms:
    """What a market takes.

    Args:
        market_id: It.
        area_ids: Its areas.
        currency: Of its prices.
        lot_wh: Energy of one lot.
        tick_micros_per_kwh: Step of its prices.
        gate_s: The next gate that closes, seconds since 1970 UTC.
        gate_first: First period that it is about.
        gate_count: How many.
    """

    market_id: str
    area_ids: tuple[str, ...]
    currency: str
    lot_wh: int
    tick_micros_per_kwh: int
    gate_s: float
    gate_first: Period
    gate_count: int


def market_bid(
    order: LimitBid, *, terms: MarketTerms, area_id: str, period: Period, step: int
) -> Bid:
    """A limit order as the market takes it.

    Args:
        order: The order.
        terms: Of the market.
        area_id: Where.
        period: When.
        step: Its number among those of the period.
    """
    name = f"{terms.market_id}/{area_id}/{period.start_s}/{order.side.value}/{step}"
    limit = order.limit_micros_per_kwh
    return Bid(
        bid_id=str(uuid.uuid5(_NAMESPACE, name)),
        market_id=terms.market_id,
        area_id=area_id,
        period=period,
        buys=order.side is Side.BUY,
        energy_wh=order.energy_wh,
        limit_price=None if limit is None else Price(terms.currency, limit),
    )
