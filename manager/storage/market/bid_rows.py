"""The tables of what is bid, and of the prices and past stays that bids are made by."""

from __future__ import annotations

from sqlalchemy import Column, Index, String
from sqlmodel import Field

from manager.storage.rows import Row, big_column, id_column, key_column, text_column


class BidRoundRow(Row, table=True):
    """A gate for which was decided what to bid."""

    __tablename__ = "bid_round"
    market_id: str = Field(sa_column=id_column(key=True))
    area_id: str = Field(sa_column=id_column(key=True))
    gate_first: int = Field(sa_column=key_column())  # start of the first period it is about
    create_s: int = Field(sa_column=big_column())


class BidRow(Row, table=True):
    """A bid, stored before it is sent."""

    __tablename__ = "bid"
    __table_args__ = (Index(None, "market_id", "state"),)
    bid_id: str = Field(sa_column=id_column(key=True))
    market_id: str = Field(sa_column=id_column())
    area_id: str = Field(sa_column=id_column())
    period_start: int = Field(sa_column=big_column())
    period_length: int = Field(sa_column=big_column())
    buys: bool = False
    energy_wh: int = Field(sa_column=big_column())
    currency: str = Field(sa_column=Column(String(3), nullable=False))  # empty: any price
    micros_per_kwh: int = Field(sa_column=big_column())
    state: str = Field(sa_column=Column(String(8), nullable=False))  # DECIDED, SENT, REFUSED
    reason: str = Field(sa_column=text_column())  # why it was refused


class DayAheadPriceRow(Row, table=True):
    """What the day-ahead market settled at."""

    __tablename__ = "day_ahead_price"
    area_id: str = Field(sa_column=id_column(key=True))
    period_start: int = Field(sa_column=key_column())
    currency: str = Field(sa_column=Column(String(3), nullable=False))
    micros_per_kwh: int = Field(sa_column=big_column())


class NotedStayRow(Row, table=True):
    """A resource on its outlet, as it was seen there."""

    __tablename__ = "noted_stay"
    __table_args__ = (Index(None, "seen_s"),)
    resource_id: str = Field(sa_column=id_column(key=True))
    start_s: int = Field(sa_column=key_column())
    area_id: str = Field(sa_column=id_column())
    seen_s: int = Field(sa_column=big_column())
    departure_s: int | None = Field(sa_column=big_column(null=True))
    energy_wh: int = Field(sa_column=big_column())
    target_wh: int = Field(sa_column=big_column())
    ceiling_wh: int = Field(sa_column=big_column())
    reserve_wh: int = Field(sa_column=big_column())
    charge_w: int = Field(sa_column=big_column())
    discharge_w: int = Field(sa_column=big_column())
