"""The tables: facts and transfers only grow; sites, equipment, registers are as told last."""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData()

FACT = sa.Table(
    "fact",
    metadata,
    sa.Column("fact_number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("site_id", sa.String(128), nullable=False),
    sa.Column("period_start", sa.BigInteger, nullable=False),
    sa.Column("period_length", sa.BigInteger, nullable=False),
    sa.Column("register", sa.String(8), nullable=False),
    sa.Column("wh", sa.BigInteger, nullable=False),
    sa.Column("step_wh", sa.BigInteger, nullable=False),
    sa.Column("quality", sa.String(16), nullable=False),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Column("received_at_s", sa.Float, nullable=False),
    sa.Column("source", sa.String(256), nullable=False),
    sa.Column("method", sa.String(64), nullable=False),
    sa.UniqueConstraint("site_id", "period_start", "register", "revision"),
)
SITE = sa.Table(
    "site",
    metadata,
    sa.Column("site_id", sa.String(128), primary_key=True),
    sa.Column("told", sa.Text, nullable=False),  # JSON
)
ASSET = sa.Table(
    "asset",
    metadata,
    sa.Column("asset_id", sa.String(128), primary_key=True),
    sa.Column("told", sa.Text, nullable=False),  # JSON
)
LOADING = sa.Table(
    "loading",
    metadata,
    sa.Column("loading_number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("asset_id", sa.String(128), nullable=False, index=True),
    sa.Column("loading_percent", sa.Float, nullable=False),
    sa.Column("rated_va", sa.BigInteger, nullable=True),
    sa.Column("measured_s", sa.Float, nullable=False),
)
TRANSFER = sa.Table(
    "transfer",
    metadata,
    sa.Column("cable_id", sa.String(64), primary_key=True),
    sa.Column("journal_epoch", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("sequence_number", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("revision", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("site_id", sa.String(128), nullable=False),
    sa.Column("period_start", sa.BigInteger, nullable=False),
    sa.Column("period_length", sa.BigInteger, nullable=False),
    sa.Column("site_to_vehicle_wh", sa.BigInteger, nullable=False),
    sa.Column("vehicle_to_site_wh", sa.BigInteger, nullable=False),
    sa.Column("received_at_s", sa.Float, nullable=False),
    sa.Index("transfer_by_period", "period_start"),
)
CHANGED_DAY = sa.Table(
    "changed_day",
    metadata,
    sa.Column("day", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("changes", sa.BigInteger, nullable=False),
)
REGISTER = sa.Table(
    "register",
    metadata,
    sa.Column("site_id", sa.String(128), primary_key=True),
    sa.Column("register", sa.String(8), primary_key=True),
    sa.Column("at_s", sa.BigInteger, nullable=False),
    sa.Column("wh", sa.BigInteger, nullable=False),
    sa.Column("step_wh", sa.BigInteger, nullable=False),
    sa.Column("quality", sa.String(16), nullable=False),
)
DELIVERY = sa.Table(
    "delivery",
    metadata,
    sa.Column("name", sa.String(256), primary_key=True),
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column("format", sa.String(32), nullable=False),
    sa.Column("facts", sa.BigInteger, nullable=False),
    sa.Column("received_at_s", sa.Float, nullable=False),
)
PULL = sa.Table(
    "pull",
    metadata,
    sa.Column("name", sa.String(256), primary_key=True),
    sa.Column("etag", sa.Text, nullable=False),
    sa.Column("last_modified", sa.Text, nullable=False),
)
