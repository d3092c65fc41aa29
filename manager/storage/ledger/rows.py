"""The tables of the ledger: terms, facts, entries and their lines.

`ledger_fact`, `ledger_entry` and `ledger_posting` are append-only, guarded by triggers.
"""

from __future__ import annotations

from sqlalchemy import Column, Index, String, UniqueConstraint
from sqlmodel import Field

from manager.storage.rows import Row, big_column, id_column, key_column, text_column


class TermRow(Row, table=True):
    """What settlement goes by: tariff versions, sites, consents, the rule."""

    __tablename__ = "term"
    kind: str = Field(sa_column=Column(String(16), primary_key=True))
    name: str = Field(sa_column=id_column(key=True))
    content: str = Field(sa_column=text_column())  # JSON
    create_s: int = Field(sa_column=big_column())


class LedgerFactRow(Row, table=True):
    """What money is derived from, in the order in which it became known; never changed."""

    __tablename__ = "ledger_fact"
    __table_args__ = (
        Index(None, "site_id", "period_start"),
        Index(None, "cable_id", "period_start"),
        Index(None, "period_start"),
        Index(None, "entry_number"),
    )
    fact_number: int = Field(sa_column=key_column())
    part: int = Field(sa_column=key_column())  # of those that one entry tells
    kind: str = Field(sa_column=Column(String(16), nullable=False))
    known_s: int = Field(sa_column=big_column())
    entry_number: int | None = Field(sa_column=big_column(null=True))
    cable_id: str = Field(sa_column=id_column())
    site_id: str = Field(sa_column=id_column())
    period_start: int = Field(sa_column=big_column())
    content: str = Field(sa_column=text_column())  # JSON


class LedgerEntryRow(Row, table=True):
    """An entry of the ledger; never changed."""

    __tablename__ = "ledger_entry"
    __table_args__ = (UniqueConstraint("subject", "serial"), Index(None, "period_start"))
    ledger_number: int = Field(sa_column=key_column())
    subject: str = Field(sa_column=Column(String(320), nullable=False))
    serial: int = Field(sa_column=big_column())
    period_start: int = Field(sa_column=big_column())
    known_s: int = Field(sa_column=big_column())
    rule: str = Field(sa_column=id_column())
    sources: str = Field(sa_column=text_column())  # JSON list
    reverses: int | None = Field(sa_column=big_column(null=True))
    fact_number: int = Field(sa_column=big_column())


class LedgerPostingRow(Row, table=True):
    """A line of an entry; the lines of an entry sum to zero. Never changed."""

    __tablename__ = "ledger_posting"
    __table_args__ = (Index(None, "account"),)
    ledger_number: int = Field(sa_column=key_column())
    line: int = Field(sa_column=key_column())
    account: str = Field(sa_column=Column(String(160), nullable=False))
    purpose: str = Field(sa_column=Column(String(16), nullable=False))
    currency: str = Field(sa_column=Column(String(3), nullable=False))
    micros: int = Field(sa_column=big_column())
