"""How good and how old a cable's fix was: what a position check may conclude from it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

COLUMNS = (("transfer", "accuracy_m"), ("transfer", "fix_s"), ("cable_session", "fix_s"))


def upgrade() -> None:
    """Add the columns; of older fixes it is not known."""
    for table, column in COLUMNS:
        op.add_column(table, sa.Column(column, sa.Float(), nullable=True))


def downgrade() -> None:
    """Take them away."""
    for table, column in COLUMNS:
        op.drop_column(table, column)
