"""What the market told that money follows from."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "market_contract",
        sa.Column("contract_id", sa.String(128), nullable=False),
        sa.Column("area_id", sa.String(128), nullable=False),
        *_period(),
        sa.Column("energy_wh", sa.BigInteger(), nullable=False),
        *_price(),
        sa.PrimaryKeyConstraint("contract_id", name="pk_market_contract"),
    )
    op.create_index(
        "ix_market_contract_period_start_area_id", "market_contract", ["period_start", "area_id"]
    )
    op.create_table(
        "imbalance_price",
        sa.Column("area_id", sa.String(128), nullable=False),
        *_period(),
        *_price(),
        sa.PrimaryKeyConstraint("area_id", "period_start", name="pk_imbalance_price"),
    )
    op.create_table(
        "market_due",
        sa.Column("area_id", sa.String(128), nullable=False),
        *_period(),
        sa.PrimaryKeyConstraint("period_start", "area_id", name="pk_market_due"),
    )


def _period() -> tuple[sa.Column[int], sa.Column[int]]:
    return (
        sa.Column("period_start", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("period_length", sa.BigInteger(), nullable=False),
    )


def _price() -> tuple[sa.Column[str], sa.Column[int]]:
    return (
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("micros_per_kwh", sa.BigInteger(), nullable=False),
    )


def downgrade() -> None:
    """Take them away."""
    for table in ("market_due", "imbalance_price", "market_contract"):
        op.drop_table(table)
