"""Bids: what the manager wants to buy or sell, and whether a market may be asked for it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from gridcord.units import Period, Price
from market_adapter.domain.profile import MarketProfile


class Side(StrEnum):
    """Side of a bid, seen from the aggregator."""

    BUY = "BUY"  # its fleet charges
    SELL = "SELL"  # its fleet discharges


class RefusalReason(StrEnum):
    """Why a bid is not taken: stable codes for programs."""

    UNKNOWN_MARKET = "UNKNOWN_MARKET"
    UNKNOWN_AREA = "UNKNOWN_AREA"
    WRONG_PERIOD = "WRONG_PERIOD"
    WRONG_CURRENCY = "WRONG_CURRENCY"
    NO_ENERGY = "NO_ENERGY"
    OFF_LOT = "OFF_LOT"
    OFF_TICK = "OFF_TICK"
    PRICE_OUT_OF_BOUNDS = "PRICE_OUT_OF_BOUNDS"
    GATE_NOT_OPEN = "GATE_NOT_OPEN"
    GATE_CLOSED = "GATE_CLOSED"
    BID_CONFLICT = "BID_CONFLICT"
    BID_UNKNOWN = "BID_UNKNOWN"
    BID_CONTRACTED = "BID_CONTRACTED"
    NOT_ENTITLED = "NOT_ENTITLED"
    REFUSED_BY_VENUE = "REFUSED_BY_VENUE"


class BidRefused(ValueError):
    """A bid cannot be taken.

    Args:
        reason: Why, for programs.
        detail: Why, for people.
    """

    def __init__(self, reason: RefusalReason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True, kw_only=True)
class Bid:
    """An offer to buy or sell energy in one period.

    Args:
        bid_id: Chosen by the manager. The same id twice is the same bid.
        market_id: The market.
        area_id: The area within the market.
        period: The period.
        side: The side.
        energy_wh: Energy over the period, Wh, > 0, a multiple of the market's lot.
        limit_price: Most to pay or least to get; None for any price (a market order).
    """

    bid_id: UUID
    market_id: str
    area_id: str
    period: Period
    side: Side
    energy_wh: int
    limit_price: Price | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lots:
    """An energy cut into lots.

    Args:
        whole_wh: The largest multiple of the lot that is not larger, Wh.
        remainder_wh: What is left, Wh; it stays an open position.
    """

    whole_wh: int
    remainder_wh: int


def round_to_lots(*, energy_wh: int, lot_wh: int) -> Lots:
    """Cut an energy into whole lots, towards zero, and say what is left.

    Rounding is this explicit step and never part of placing a bid.

    Args:
        energy_wh: Wh; may be negative.
        lot_wh: Wh, > 0.
    """
    remainder = abs(energy_wh) % lot_wh
    signed = remainder if energy_wh >= 0 else -remainder
    return Lots(whole_wh=energy_wh - signed, remainder_wh=signed)


def check_bid(*, bid: Bid, profile: MarketProfile, now_s: float) -> None:
    """Refuse what the market would refuse, before it is asked.

    Args:
        bid: The bid.
        profile: The market it names.
        now_s: Seconds since 1970 UTC.

    Raises:
        BidRefused: With the first reason found.
    """
    _check_product(bid, profile)
    _check_energy(bid, profile)
    _check_price(bid, profile)
    check_gate(period=bid.period, profile=profile, now_s=now_s)


def check_gate(*, period: Period, profile: MarketProfile, now_s: float) -> None:
    """Refuse a period whose gate is not open.

    Raises:
        BidRefused: GATE_NOT_OPEN or GATE_CLOSED.
    """
    if now_s >= (closes_s := profile.gate_closes_s(period)):
        _refuse(RefusalReason.GATE_CLOSED, f"the gate of {period} closed at {closes_s}")
    opens_s = profile.gate_opens_s(period)
    if opens_s is not None and now_s < opens_s:
        _refuse(RefusalReason.GATE_NOT_OPEN, f"the gate of {period} opens at {opens_s}")


def _check_product(bid: Bid, profile: MarketProfile) -> None:
    if bid.market_id != profile.market_id:
        _refuse(RefusalReason.UNKNOWN_MARKET, bid.market_id)
    if bid.area_id not in profile.areas:
        _refuse(RefusalReason.UNKNOWN_AREA, f"{bid.market_id} has no area {bid.area_id!r}")
    if bid.period.length_s != profile.calendar.length_s:
        detail = f"periods of {profile.calendar.length_s} s are traded, not {bid.period.length_s} s"
        _refuse(RefusalReason.WRONG_PERIOD, detail)


def _check_energy(bid: Bid, profile: MarketProfile) -> None:
    if bid.energy_wh <= 0:
        _refuse(RefusalReason.NO_ENERGY, f"{bid.energy_wh} Wh is nothing to bid for")
    if bid.energy_wh % profile.lot_wh:
        detail = f"{bid.energy_wh} Wh is no multiple of {profile.lot_wh} Wh"
        _refuse(RefusalReason.OFF_LOT, detail)


def _check_price(bid: Bid, profile: MarketProfile) -> None:
    if bid.limit_price is None:
        return
    if bid.limit_price.currency != profile.currency:
        _refuse(RefusalReason.WRONG_CURRENCY, f"prices are in {profile.currency}")
    micros = bid.limit_price.micros_per_kwh
    if micros % profile.tick_micros_per_kwh:
        detail = f"{micros} is no multiple of {profile.tick_micros_per_kwh} micros/kWh"
        _refuse(RefusalReason.OFF_TICK, detail)
    if not profile.min_price_micros_per_kwh <= micros <= profile.max_price_micros_per_kwh:
        _refuse(RefusalReason.PRICE_OUT_OF_BOUNDS, f"{bid.limit_price} is out of bounds")


def _refuse(reason: RefusalReason, detail: str) -> None:
    raise BidRefused(reason, detail)
