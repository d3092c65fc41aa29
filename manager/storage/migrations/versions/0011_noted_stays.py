"""Who was on an outlet when: what arrivals of the next day are imagined by."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_NUMBERS = ("energy_wh", "target_wh", "ceiling_wh", "reserve_wh", "charge_w", "discharge_w")


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "noted_stay",
        sa.Column("resource_id", sa.String(128), nullable=False),
        sa.Column("start_s", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("area_id", sa.String(128), nullable=False),
        sa.Column("seen_s", sa.BigInteger(), nullable=False),
        sa.Column("departure_s", sa.BigInteger(), nullable=True),
        *[sa.Column(name, sa.BigInteger(), nullable=False) for name in _NUMBERS],
        sa.PrimaryKeyConstraint("resource_id", "start_s", name="pk_noted_stay"),
    )
    op.create_index("ix_noted_stay_seen_s", "noted_stay", ["seen_s"])


def downgrade() -> None:
    """Take it away."""
    op.drop_table("noted_stay")
