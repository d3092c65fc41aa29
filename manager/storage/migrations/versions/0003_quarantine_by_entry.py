"""Finds what is in quarantine under a number: the same second version is kept once."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_INDEX = "ix_quarantine_cable_id_journal_epoch_sequence"


def upgrade() -> None:
    """Add the index."""
    op.create_index(_INDEX, "quarantine", ["cable_id", "journal_epoch", "sequence"])


def downgrade() -> None:
    """Take it away."""
    op.drop_index(_INDEX, "quarantine")
