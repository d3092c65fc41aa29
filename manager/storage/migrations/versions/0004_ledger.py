"""The ledger: terms, facts, entries, lines; what is in it can never be changed or deleted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

FACTS = ("ledger_fact", "ledger_entry", "ledger_posting")
COUNTERS = ("ledger_fact", "ledger_entry")


def upgrade() -> None:
    """Add the tables, seed the counters and set the guards."""
    op.add_column(
        "site_reading",
        sa.Column("settled", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
    op.create_index("ix_site_reading_settled_receive_s", "site_reading", ["settled", "receive_s"])
    _terms_and_facts()
    _entries()
    for name in COUNTERS:
        op.execute(f"INSERT INTO counter (name, value) VALUES ('{name}', 0)")  # noqa: S608
    sqlite = op.get_bind().dialect.name == "sqlite"
    for table in FACTS:
        for verb in ("UPDATE", "DELETE"):
            action = (
                f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
                if sqlite
                else "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
            )
            op.execute(
                f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} {action}"
            )


def _terms_and_facts() -> None:
    op.create_table(
        "term",
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("create_s", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "name", name="pk_term"),
    )
    op.create_table(
        "ledger_fact",
        sa.Column("fact_number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("part", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("known_s", sa.BigInteger(), nullable=False),
        sa.Column("entry_number", sa.BigInteger(), nullable=True),
        sa.Column("cable_id", sa.String(128), nullable=False),
        sa.Column("site_id", sa.String(128), nullable=False),
        sa.Column("period_start", sa.BigInteger(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("fact_number", "part", name="pk_ledger_fact"),
    )
    for columns in (
        ["site_id", "period_start"],
        ["cable_id", "period_start"],
        ["period_start"],
        ["entry_number"],
    ):
        op.create_index(f"ix_ledger_fact_{'_'.join(columns)}", "ledger_fact", columns)


def _entries() -> None:
    op.create_table(
        "ledger_entry",
        sa.Column("ledger_number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("subject", sa.String(320), nullable=False),
        sa.Column("serial", sa.BigInteger(), nullable=False),
        sa.Column("period_start", sa.BigInteger(), nullable=False),
        sa.Column("known_s", sa.BigInteger(), nullable=False),
        sa.Column("rule", sa.String(128), nullable=False),
        sa.Column("sources", sa.Text(), nullable=False),
        sa.Column("reverses", sa.BigInteger(), nullable=True),
        sa.Column("fact_number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("ledger_number", name="pk_ledger_entry"),
        sa.UniqueConstraint("subject", "serial", name="uq_ledger_entry_subject_serial"),
    )
    op.create_index("ix_ledger_entry_period_start", "ledger_entry", ["period_start"])
    op.create_table(
        "ledger_posting",
        sa.Column("ledger_number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("line", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("account", sa.String(160), nullable=False),
        sa.Column("purpose", sa.String(16), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("micros", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("ledger_number", "line", name="pk_ledger_posting"),
    )
    op.create_index("ix_ledger_posting_account", "ledger_posting", ["account"])


def downgrade() -> None:
    """Take them away."""
    for table in ("ledger_posting", "ledger_entry", "ledger_fact", "term"):
        op.drop_table(table)
    op.drop_index("ix_site_reading_settled_receive_s", "site_reading")
    op.drop_column("site_reading", "settled")
    op.execute("DELETE FROM counter WHERE name IN ('ledger_fact', 'ledger_entry')")
