"""Tables. Times are whole seconds since 1970 UTC, energies Wh, prices micros per kWh.

`sequence` columns only rise, also when a row is replaced, so a cursor of them misses nothing.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

METADATA = MetaData()

_Sequence = BigInteger().with_variant(Integer, "sqlite")


def _product() -> list[Column[object]]:
    return [
        Column("area_id", Text, nullable=False),
        Column("period_start_s", BigInteger, nullable=False),
        Column("period_length_s", Integer, nullable=False),
    ]


BIDS = Table(
    "bid",
    METADATA,
    Column("sequence", _Sequence, primary_key=True),
    Column("bid_id", Text, nullable=False, unique=True),
    Column("market_id", Text, nullable=False),
    *_product(),
    Column("side", Text, nullable=False),
    Column("energy_wh", BigInteger, nullable=False),
    Column("currency", Text),
    Column("limit_micros_per_kwh", BigInteger),
    Column("state", Text, nullable=False),
    Column("is_closed", Boolean, nullable=False),
    Column("venue_bid_id", Text, nullable=False),
    Column("withdrawal_wanted", Boolean, nullable=False),
    Column("reason", Text),
    Column("detail", Text, nullable=False),
    Column("created_s", BigInteger, nullable=False),
    Index("bid_by_work", "market_id", "is_closed", "state"),
    Index("bid_by_period", "period_start_s", "sequence"),
    sqlite_autoincrement=True,
)

CONTRACTS = Table(
    "contract",
    METADATA,
    Column("sequence", _Sequence, primary_key=True),
    Column("market_id", Text, nullable=False),
    Column("contract_id", Text, nullable=False),
    Column("bid_id", Text, nullable=False, index=True),
    *_product(),
    Column("side", Text, nullable=False),
    Column("energy_wh", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("price_micros_per_kwh", BigInteger, nullable=False),
    Column("at_s", BigInteger, nullable=False),
    UniqueConstraint("market_id", "bid_id", "contract_id"),
    Index("contract_by_period", "period_start_s", "area_id"),
    sqlite_autoincrement=True,
)

PRICES = Table(
    "price",
    METADATA,
    Column("sequence", _Sequence, primary_key=True),
    Column("market_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    *_product(),
    Column("currency", Text, nullable=False),
    Column("price_micros_per_kwh", BigInteger, nullable=False),
    Column("published_s", BigInteger, nullable=False),
    UniqueConstraint("market_id", "kind", "area_id", "period_start_s", "period_length_s"),
    sqlite_autoincrement=True,
)

SIGNALS = Table(
    "signal",
    METADATA,
    Column("sequence", _Sequence, primary_key=True),
    Column("feed", Text, nullable=False, index=True),
    Column("kind", Text, nullable=False),
    *_product(),
    Column("value", Text, nullable=False),
    Column("unit", Text, nullable=False),
    Column("source", Text, nullable=False),
    Index("signal_by_period", "period_start_s", "area_id"),
)

DEMANDS = Table(
    "demand",
    METADATA,
    Column("sequence", _Sequence, primary_key=True),
    *_product(),
    Column("target_wh", BigInteger, nullable=False),
    Column("contracted_wh", BigInteger, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("contract_ids", Text, nullable=False),
    Column("sources", Text, nullable=False),
    Column("import_limit_w", BigInteger),
    Column("export_limit_w", BigInteger),
    Column("is_activation", Boolean, nullable=False),
    UniqueConstraint("area_id", "period_start_s", "period_length_s"),
    sqlite_autoincrement=True,
)
