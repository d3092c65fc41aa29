"""Bids before they are sent, the prices they are made by, and who no record tells of."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "bid_round",
        sa.Column("market_id", sa.String(128), nullable=False),
        sa.Column("area_id", sa.String(128), nullable=False),
        sa.Column("gate_first", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("create_s", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("market_id", "area_id", "gate_first", name="pk_bid_round"),
    )
    op.create_table(
        "bid",
        sa.Column("bid_id", sa.String(128), nullable=False),
        sa.Column("market_id", sa.String(128), nullable=False),
        sa.Column("area_id", sa.String(128), nullable=False),
        sa.Column("period_start", sa.BigInteger(), nullable=False),
        sa.Column("period_length", sa.BigInteger(), nullable=False),
        sa.Column("buys", sa.Boolean(), nullable=False),
        sa.Column("energy_wh", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("micros_per_kwh", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("bid_id", name="pk_bid"),
    )
    op.create_index("ix_bid_market_id_state", "bid", ["market_id", "state"])
    op.create_table(
        "day_ahead_price",
        sa.Column("area_id", sa.String(128), nullable=False),
        sa.Column("period_start", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("micros_per_kwh", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("area_id", "period_start", name="pk_day_ahead_price"),
    )
    with op.batch_alter_table("demand") as demand:
        # What was noted before did not tell it; the column has no default of its own.
        demand.add_column(
            sa.Column("uncabled_wh", sa.BigInteger(), nullable=False, server_default="0")
        )
    with op.batch_alter_table("demand") as demand:
        demand.alter_column("uncabled_wh", server_default=None)


def downgrade() -> None:
    """Take them away."""
    with op.batch_alter_table("demand") as demand:
        demand.drop_column("uncabled_wh")
    for table in ("day_ahead_price", "bid", "bid_round"):
        op.drop_table(table)
