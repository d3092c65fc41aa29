"""Which cable a block is about: a forged claim of a meter must not block the house behind it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; what was blocked before is blocked as a whole."""
    with op.batch_alter_table("site_block") as block:
        block.add_column(sa.Column("cable_id", sa.String(128), nullable=False, server_default=""))
    with op.batch_alter_table("site_block") as block:
        block.alter_column("cable_id", server_default=None)


def downgrade() -> None:
    """Take it away."""
    with op.batch_alter_table("site_block") as block:
        block.drop_column("cable_id")
