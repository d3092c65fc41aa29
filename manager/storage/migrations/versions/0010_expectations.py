"""What cables were counted on for when a period began; never changed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

TABLE = "expectation"


def upgrade() -> None:
    """Add the table and set its guards."""
    op.create_table(
        TABLE,
        sa.Column("cable_id", sa.String(128), nullable=False),
        sa.Column("period_start", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("period_length", sa.BigInteger(), nullable=False),
        sa.Column("area_id", sa.String(128), nullable=False),
        sa.Column("power_w", sa.BigInteger(), nullable=False),
        sa.Column("until_s", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("period_start", "cable_id", name="pk_expectation"),
    )
    sqlite = op.get_bind().dialect.name == "sqlite"
    for verb in ("UPDATE", "DELETE"):
        action = (
            f"BEGIN SELECT RAISE(ABORT, '{TABLE} is append-only'); END"
            if sqlite
            else "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
        op.execute(f"CREATE TRIGGER {TABLE}_no_{verb.lower()} BEFORE {verb} ON {TABLE} {action}")


def downgrade() -> None:
    """Take it away, with its guards."""
    op.drop_table(TABLE)
