"""Bids, contracts, prices and demand between messages and values."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from gridcord.api.market.v1 import market_service_pb2 as pb
from gridcord.wire.readings import EnumMap
from gridcord.wire.values import (
    WireError,
    period_from_proto,
    period_to_proto,
    price_from_proto,
    price_to_proto,
    time_to_proto,
)
from market_adapter.domain.bids import Bid, BidRefused, Side
from market_adapter.domain.contracts import AreaPrice, Contract, PriceKind
from market_adapter.domain.demand import Demand
from market_adapter.domain.lifecycle import BidState, BidStatus
from market_adapter.domain.profile import MarketProfile

_SIDE = EnumMap(pb.Side, Side, "SIDE_")
_PRICE_KINDS: dict[PriceKind, Any] = {
    kind: pb.PriceKind.Value(f"PRICE_KIND_{kind.name}") for kind in PriceKind
}
# A draft is a bid that is not stored yet; nobody outside ever sees one.
_STATES: dict[BidState, Any] = {
    state: pb.BidState.Value(f"BID_STATE_{state.name}")
    for state in BidState
    if state is not BidState.DRAFT
}


def bid_from_proto(message: pb.Bid) -> Bid:
    """A bid; WireError when it is none."""
    side = _SIDE.from_proto(message.side)
    if side is None or message.energy_wh <= 0:
        text = f"bid {message.bid_id[:40]}: side and an energy above 0 are needed"
        raise WireError(text)
    return Bid(
        bid_id=bid_id_from_proto(message.bid_id),
        market_id=message.market_id,
        area_id=message.area_id,
        period=period_from_proto(message.period),
        side=side,
        energy_wh=message.energy_wh,
        limit_price=price_from_proto(message.limit_price, field="limit_price")
        if message.HasField("limit_price")
        else None,
    )


def bid_id_from_proto(text: str) -> UUID:
    """A bid's id; WireError when it is no UUID."""
    try:
        return UUID(text)
    except ValueError:
        message = f"bid_id: not a UUID: {text[:40]!r}"
        raise WireError(message) from None


def bid_to_proto(status: BidStatus) -> pb.Bid:
    """The message of a bid and where it stands."""
    bid = status.bid
    return pb.Bid(
        bid_id=str(bid.bid_id),
        market_id=bid.market_id,
        area_id=bid.area_id,
        period=period_to_proto(bid.period),
        side=_SIDE.to_proto(bid.side),
        energy_wh=bid.energy_wh,
        limit_price=None if bid.limit_price is None else price_to_proto(bid.limit_price),
        state=_STATES[status.state],
        reject_reason=status.reason.value if status.reason else "",
    )


def result_to_proto(bid_id: UUID, result: BidStatus | BidRefused) -> pb.BidResult:
    """What became of a bid."""
    if isinstance(result, BidRefused):
        return pb.BidResult(
            bid_id=str(bid_id),
            state=pb.BID_STATE_REJECTED,
            reason=result.reason.value,
            message=result.detail,
        )
    return pb.BidResult(
        bid_id=str(bid_id),
        state=_STATES[result.state],
        reason=result.reason.value if result.reason else "",
        message=result.detail,
    )


def contract_to_proto(contract: Contract) -> pb.Contract:
    """The message of a contract."""
    return pb.Contract(
        contract_id=contract.contract_id,
        bid_id=str(contract.bid_id),
        market_id=contract.market_id,
        area_id=contract.area_id,
        period=period_to_proto(contract.period),
        side=_SIDE.to_proto(contract.side),
        energy_wh=contract.energy_wh,
        price=price_to_proto(contract.price),
        contract_time=time_to_proto(contract.at_s),
    )


def price_message(price: AreaPrice) -> pb.AreaPrice:
    """The message of an area's price."""
    return pb.AreaPrice(
        market_id=price.market_id,
        area_id=price.area_id,
        period=period_to_proto(price.period),
        kind=_PRICE_KINDS[price.kind],
        price=price_to_proto(price.price),
        publish_time=time_to_proto(price.published_s),
    )


def demand_to_proto(demand: Demand) -> pb.Demand:
    """The message of a demand."""
    return pb.Demand(
        area_id=demand.area_id,
        period=period_to_proto(demand.period),
        target_wh=demand.target_wh,
        contracted_wh=demand.contracted_wh,
        revision=demand.revision,
        sources=[*demand.contract_ids, *demand.sources],
        import_limit_w=demand.import_limit_w,
        export_limit_w=demand.export_limit_w,
        activation=demand.is_activation,
    )


def market_to_proto(profile: MarketProfile, *, now_s: float) -> pb.Market:
    """What a market takes, and the next gate that closes."""
    message = pb.Market(
        market_id=profile.market_id,
        area_ids=list(profile.areas),
        currency_code=profile.currency,
        lot_wh=profile.lot_wh,
        tick_micros_per_kwh=profile.tick_micros_per_kwh,
        period_length_s=profile.calendar.length_s,
        time_zone=profile.calendar.zone,
    )
    if (gate := profile.next_gate(now_s=now_s)) is not None:
        closes_s, periods = gate
        message.next_gate_time.CopyFrom(time_to_proto(closes_s))
        message.next_gate_first_period.CopyFrom(period_to_proto(periods[0]))
        message.next_gate_period_count = len(periods)
    return message
