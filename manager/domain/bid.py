"""Bids of the fleet's energy: what it can give and take in a period, in lots, at two prices."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from gridcord.metering.reading import Permission
from gridcord.units import Period, Price
from manager.domain.resource import ResourceState

_NAMESPACE = uuid.UUID("6f1c3f6e-6d0c-4b5e-9c55-0d5f7f0f4b1d")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bid:
    """An offer to buy or sell energy in one period.

    Args:
        bid_id: A UUID that market, area, period and side give: asking twice is asking once.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class BidRule:
    """At which prices the fleet's energy is offered.

    Args:
        sell_at_least: What a discharged kWh must bring: replacing it, losses, wear.
        buy_at_most: What a charged kWh may cost.
        confidence: Share of what the fleet can do now that is offered, in (0, 1].
    """

    sell_at_least: Price
    buy_at_most: Price
    confidence: float


def bids_for(
    *, terms: MarketTerms, area_id: str, fleet: Sequence[ResourceState], rule: BidRule
) -> list[Bid]:
    """Bids for the periods of the next gate.

    What can be given is spread over all of them, so that the same watt-hour is never offered
    twice; the departure needs are the dispatch's to keep.
    """
    length_s = terms.gate_first.length_s
    hours = length_s / 3600
    give = take = 0.0
    for state in fleet:
        if state.area_id != area_id or not state.transfer_permitted:
            continue
        above_wh = (state.soc_percent - state.reserve_percent) / 100 * state.capacity_wh
        below_wh = (100 - state.soc_percent) / 100 * state.capacity_wh
        if state.permission is Permission.BIDIRECTIONAL:
            give += min(state.discharge_limit_w * hours, max(0.0, above_wh) / terms.gate_count)
        if state.permission is not Permission.NONE:
            take += min(state.charge_limit_w * hours, max(0.0, below_wh) / terms.gate_count)
    bids = []
    for count in range(terms.gate_count):
        period = terms.gate_first.next(count)
        for buys, energy, price in (
            (False, give, rule.sell_at_least),
            (True, take, rule.buy_at_most),
        ):
            whole_wh = int(energy * rule.confidence) // terms.lot_wh * terms.lot_wh
            if whole_wh > 0:
                bids.append(_bid(terms, area_id, period, buys=buys, wh=whole_wh, price=price))
    return bids


def _bid(
    terms: MarketTerms, area_id: str, period: Period, *, buys: bool, wh: int, price: Price
) -> Bid:
    side = "buy" if buys else "sell"
    name = f"{terms.market_id}/{area_id}/{period.start_s}/{side}"
    return Bid(
        bid_id=str(uuid.uuid5(_NAMESPACE, name)),
        market_id=terms.market_id,
        area_id=area_id,
        period=period,
        buys=buys,
        energy_wh=wh,
        limit_price=price,
    )
