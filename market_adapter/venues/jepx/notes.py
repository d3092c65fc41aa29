"""Translation between bids of ours and offers of the exchange."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from gridcord.protocols.jepx import ErrorCode, fields
from gridcord.protocols.jepx.offers import BidType, Offer
from gridcord.units import Price
from market_adapter.domain.bids import Bid, RefusalReason, Side
from market_adapter.domain.profile import MarketProfile
from market_adapter.ports import Refused

_PREFIX = "gridcord:"
_KINDS = {
    (Side.BUY, True): BidType.BUY_LIMIT,
    (Side.BUY, False): BidType.BUY_MARKET,
    (Side.SELL, True): BidType.SELL_LIMIT,
    (Side.SELL, False): BidType.SELL_MARKET,
}
_REASONS = {
    ErrorCode.SCHEDULE: RefusalReason.GATE_CLOSED,
    ErrorCode.MEMBER: RefusalReason.NOT_ENTITLED,
}


def note_of(bid: Bid) -> str:
    """The bid's id as it travels."""
    return f"{_PREFIX}{bid.bid_id}"


def bid_id_of(note: str) -> UUID | None:
    """The id in a note; None when the note is not ours."""
    if not note.startswith(_PREFIX):
        return None
    try:
        return UUID(note.removeprefix(_PREFIX))
    except ValueError:
        return None


def offer_of(bid: Bid, *, profile: MarketProfile, contract_code: str) -> Offer:
    """A bid that was checked against the profile, as an offer."""
    day, number = profile.calendar.label(bid.period)
    price = bid.limit_price
    return Offer(
        delivery_date=day,
        area_cd=profile.areas[bid.area_id],
        time_cd=fields.time_cd(number),
        bid_type=_KINDS[bid.side, price is not None],
        price_jpy_per_mwh=None if price is None else fields.price_jpy_per_mwh(price.micros_per_kwh),
        volume_w=fields.volume_w(bid.energy_wh),
        delivery_contract_cd=contract_code,
        note=note_of(bid),
    )


def price_of(jpy_per_mwh: int) -> Price:
    """A price of the exchange as ours."""
    return Price("JPY", fields.price_micros_per_kwh(jpy_per_mwh))


def refusal_of(code: str) -> Refused:
    """A refusal of the exchange as ours."""
    known = ErrorCode(code) if code in set(ErrorCode) else None
    reason = RefusalReason.REFUSED_BY_VENUE if known is None else _REASONS.get(known)
    return Refused(
        reason=reason or RefusalReason.REFUSED_BY_VENUE, detail=f"the exchange answered {code!r}"
    )


def instant_s(stamp: datetime, *, profile: MarketProfile) -> int:
    """A time of the exchange's wall clock, seconds since 1970 UTC."""
    return int(stamp.replace(tzinfo=ZoneInfo(profile.calendar.zone)).timestamp())
