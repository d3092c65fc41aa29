"""From when on a cable's word is doubted: what it says it moved tells nothing of the site then."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; a block from before doubts its cable from its own beginning."""
    with op.batch_alter_table("site_block") as block:
        block.add_column(sa.Column("doubt_s", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    """Take it away."""
    with op.batch_alter_table("site_block") as block:
        block.drop_column("doubt_s")
