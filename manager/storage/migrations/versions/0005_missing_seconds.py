"""How much of a transfer was not measured: what a matcher makes of an interpolated boundary."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; of older transfers it is not known."""
    op.add_column("transfer", sa.Column("missing_s", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    """Take it away."""
    op.drop_column("transfer", "missing_s")
