"""Rows to values and back."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping

from gridcord.units import Period, Price
from market_adapter.domain.bids import Bid, RefusalReason, Side
from market_adapter.domain.contracts import AreaPrice, Contract, PriceKind
from market_adapter.domain.demand import Demand, DemandSignal, SignalKind
from market_adapter.domain.lifecycle import BidState, BidStatus

Values = dict[str, Any]


def bid_values(bid: Bid) -> Values:
    """Columns of a bid that never change."""
    price = bid.limit_price
    return {
        "bid_id": str(bid.bid_id),
        "market_id": bid.market_id,
        **product_values(bid.area_id, bid.period),
        "side": bid.side.value,
        "energy_wh": bid.energy_wh,
        "currency": price.currency if price else None,
        "limit_micros_per_kwh": price.micros_per_kwh if price else None,
    }


def status_values(status: BidStatus) -> Values:
    """Columns of a bid that change."""
    return {
        "state": status.state.value,
        "is_closed": status.is_closed,
        "venue_bid_id": status.venue_bid_id,
        "withdrawal_wanted": status.withdrawal_wanted,
        "reason": status.reason.value if status.reason else None,
        "detail": status.detail,
    }


def status(row: RowMapping, contracts: tuple[Contract, ...]) -> BidStatus:
    """A bid and what became of it."""
    bid = Bid(
        bid_id=UUID(row["bid_id"]),
        market_id=row["market_id"],
        area_id=row["area_id"],
        period=_period(row),
        side=Side(row["side"]),
        energy_wh=row["energy_wh"],
        limit_price=Price(row["currency"], row["limit_micros_per_kwh"])
        if row["currency"]
        else None,
    )
    return BidStatus(
        bid=bid,
        state=BidState(row["state"]),
        is_closed=row["is_closed"],
        venue_bid_id=row["venue_bid_id"],
        withdrawal_wanted=row["withdrawal_wanted"],
        reason=RefusalReason(row["reason"]) if row["reason"] else None,
        detail=row["detail"],
        contracts=contracts,
    )


def contract_values(contract: Contract) -> Values:
    """Columns of a contract."""
    return {
        "market_id": contract.market_id,
        "contract_id": contract.contract_id,
        "bid_id": str(contract.bid_id),
        **product_values(contract.area_id, contract.period),
        "side": contract.side.value,
        "energy_wh": contract.energy_wh,
        "currency": contract.price.currency,
        "price_micros_per_kwh": contract.price.micros_per_kwh,
        "at_s": contract.at_s,
    }


def contract(row: RowMapping) -> Contract:
    """A contract."""
    return Contract(
        contract_id=row["contract_id"],
        bid_id=UUID(row["bid_id"]),
        market_id=row["market_id"],
        area_id=row["area_id"],
        period=_period(row),
        side=Side(row["side"]),
        energy_wh=row["energy_wh"],
        price=Price(row["currency"], row["price_micros_per_kwh"]),
        at_s=row["at_s"],
    )


def price_values(price: AreaPrice) -> Values:
    """Columns of a price."""
    return {
        "market_id": price.market_id,
        "kind": price.kind.value,
        **product_values(price.area_id, price.period),
        "currency": price.price.currency,
        "price_micros_per_kwh": price.price.micros_per_kwh,
        "published_s": price.published_s,
    }


def price(row: RowMapping) -> AreaPrice:
    """A price."""
    return AreaPrice(
        market_id=row["market_id"],
        kind=PriceKind(row["kind"]),
        area_id=row["area_id"],
        period=_period(row),
        price=Price(row["currency"], row["price_micros_per_kwh"]),
        published_s=row["published_s"],
    )


def signal_values(signal: DemandSignal) -> Values:
    """Columns of a signal."""
    return {
        "kind": signal.kind.value,
        **product_values(signal.area_id, signal.period),
        "value": str(signal.value),
        "unit": signal.unit,
        "source": signal.source,
    }


def signal(row: RowMapping) -> DemandSignal:
    """A signal."""
    return DemandSignal(
        kind=SignalKind(row["kind"]),
        area_id=row["area_id"],
        period=_period(row),
        value=Decimal(row["value"]),
        unit=row["unit"],
        source=row["source"],
    )


def demand_values(demand: Demand) -> Values:
    """Columns of a demand."""
    return {
        **product_values(demand.area_id, demand.period),
        "target_wh": demand.target_wh,
        "contracted_wh": demand.contracted_wh,
        "revision": demand.revision,
        "contract_ids": json.dumps(demand.contract_ids),
        "sources": json.dumps(demand.sources),
        "import_limit_w": demand.import_limit_w,
        "export_limit_w": demand.export_limit_w,
        "is_activation": demand.is_activation,
    }


def demand(row: RowMapping) -> Demand:
    """A demand."""
    return Demand(
        area_id=row["area_id"],
        period=_period(row),
        target_wh=row["target_wh"],
        contracted_wh=row["contracted_wh"],
        revision=row["revision"],
        contract_ids=tuple(json.loads(row["contract_ids"])),
        sources=tuple(json.loads(row["sources"])),
        import_limit_w=row["import_limit_w"],
        export_limit_w=row["export_limit_w"],
        is_activation=row["is_activation"],
    )


def product_values(area_id: str, period: Period) -> Values:
    """Columns of an area and a period."""
    return {
        "area_id": area_id,
        "period_start_s": period.start_s,
        "period_length_s": period.length_s,
    }


def _period(row: RowMapping) -> Period:
    return Period(row["period_start_s"], row["period_length_s"])
