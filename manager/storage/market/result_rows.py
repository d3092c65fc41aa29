"""The tables of what is settled at the market: contracts, prices, who was counted on for what."""

from __future__ import annotations

from sqlalchemy import Column, Index, String
from sqlmodel import Field

from manager.storage.rows import Row, big_column, id_column, key_column


class MarketContractRow(Row, table=True):
    """What a market took of a bid."""

    __tablename__ = "market_contract"
    __table_args__ = (Index(None, "period_start", "area_id"),)
    contract_id: str = Field(sa_column=id_column(key=True))
    area_id: str = Field(sa_column=id_column())
    period_start: int = Field(sa_column=big_column())
    period_length: int = Field(sa_column=big_column())
    energy_wh: int = Field(sa_column=big_column())  # + sold, - bought
    currency: str = Field(sa_column=Column(String(3), nullable=False))
    micros_per_kwh: int = Field(sa_column=big_column())


class ImbalancePriceRow(Row, table=True):
    """The newest price of an imbalance."""

    __tablename__ = "imbalance_price"
    area_id: str = Field(sa_column=id_column(key=True))
    period_start: int = Field(sa_column=key_column())
    period_length: int = Field(sa_column=big_column())
    currency: str = Field(sa_column=Column(String(3), nullable=False))
    micros_per_kwh: int = Field(sa_column=big_column())


class MarketDueRow(Row, table=True):
    """An area and period whose result may have changed: the ledger looks at it once it is over."""

    __tablename__ = "market_due"
    period_start: int = Field(sa_column=key_column())
    area_id: str = Field(sa_column=id_column(key=True))
    period_length: int = Field(sa_column=big_column())


class ExpectationRow(Row, table=True):
    """What a cable was counted on for when a period began; never changed, guarded by triggers."""

    __tablename__ = "expectation"
    period_start: int = Field(sa_column=key_column())
    cable_id: str = Field(sa_column=id_column(key=True))
    period_length: int = Field(sa_column=big_column())
    area_id: str = Field(sa_column=id_column())
    power_w: int = Field(sa_column=big_column())
    until_s: int = Field(sa_column=big_column())
