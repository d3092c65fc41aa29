"""A day of the market for tests of the real adapter: its gate, its clock, its bids."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

from gridcord.api.market.v1 import market_service_pb2 as pb
from gridcord.units import Period
from gridcord.wire.values import period_to_proto
from market_adapter.profiles.reader import built_in_profile

PROFILE = built_in_profile("jepx.dayahead")
DAY = date(2026, 11, 24)
PERIOD = PROFILE.calendar.period(DAY, 37)  # 18:00 to 18:30
GATE = datetime.fromtimestamp(PROFILE.gate_closes_s(PERIOD), UTC)
AREA = "tokyo"
ROUNDS = {"round_s": 0.5, "settle_s": 0.0}
HEADER = "受渡日,時刻コード,システムプライス(円/kWh),エリアプライス東京(円/kWh)"


def clock(before_gate: timedelta, *, speed: float = 1.0) -> dict[str, Any]:
    """`[clock]` that shows now an instant before the gate of DAY closes (after it if negative)."""
    return {
        "speed": speed,
        "origin": datetime.now(UTC).isoformat(),
        "simulated_origin": (GATE - before_gate).isoformat(),
    }


def public_prices(jpy_per_kwh: str = "20.00") -> str:
    """The exchange's public table of DAY, the same price in each half hour."""
    rows = [f"{DAY:%Y/%m/%d},{n},{jpy_per_kwh},{jpy_per_kwh}" for n in range(1, 49)]
    return "\n".join([HEADER, *rows, ""])


def sell(lots: int, period: Period = PERIOD) -> pb.Bid:
    """A bid to sell at any price."""
    return pb.Bid(
        bid_id=str(uuid4()),
        market_id=PROFILE.market_id,
        area_id=AREA,
        period=period_to_proto(period),
        side=pb.SIDE_SELL,
        energy_wh=lots * PROFILE.lot_wh,
    )


def has_demand(message: pb.WatchDemandResponse) -> bool:
    """Whether it is more than a heartbeat."""
    return message.HasField("demand")


def is_heartbeat(message: pb.WatchDemandResponse) -> bool:
    """Whether it is a sign of life alone."""
    return not message.HasField("demand")
