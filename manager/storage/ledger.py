"""The ledger as rows: facts in the order of knowing, entries, lines; states of subjects."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gridcord.evidence import plain
from gridcord.evidence.bundle_lines import LedgerLine, PostingLine, VerdictLine
from gridcord.metering.reading import SiteReading
from gridcord.settlement.account import Account, Posting, Purpose
from gridcord.settlement.facts import (
    AccountSubject,
    CableSubject,
    Fact,
    Gathering,
    SiteSubject,
    Subject,
    subjects,
)
from gridcord.settlement.ledger import Entry, KnownFact, SubjectState, learn
from gridcord.settlement.terms import Terms
from gridcord.settlement.transfer import Transfer
from gridcord.units import Money
from manager.storage.engine import insert_many, take_numbers
from manager.storage.ledger_rows import LedgerEntryRow, LedgerFactRow, LedgerPostingRow

FACT: sa.Table = LedgerFactRow.__table__  # type: ignore[attr-defined]
LEDGER: sa.Table = LedgerEntryRow.__table__  # type: ignore[attr-defined]
POSTING: sa.Table = LedgerPostingRow.__table__  # type: ignore[attr-defined]

TRANSFER, READING, VERDICT = "TRANSFER", "READING", "VERDICT"
_CONTENT: dict[str, type] = {TRANSFER: Transfer, READING: SiteReading, VERDICT: VerdictLine}


@dataclass(frozen=True, slots=True, kw_only=True)
class NewFact:
    """A fact that the ledger does not know yet.

    Args:
        content: It; a verdict with what the match found.
        entry_number: Of the journal entry that told it; None when none did.
    """

    content: Transfer | SiteReading | VerdictLine
    entry_number: int | None = None

    @property
    def fact(self) -> Fact:
        """What settlement needs of it."""
        return self.content.verdict if isinstance(self.content, VerdictLine) else self.content


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFact:
    """A fact of the ledger with its place."""

    number: int
    part: int
    known_s: int
    entry_number: int | None
    content: Transfer | SiteReading | VerdictLine

    @property
    def known(self) -> KnownFact:
        """What settlement needs of it."""
        told = NewFact(content=self.content)
        return KnownFact(fact=told.fact, known_s=self.known_s)


class LedgerWriter:
    """Appends facts and the entries that follow from them, within one transaction.

    The counter of facts stays locked until the transaction ends: one writer at a time.

    Args:
        connection: Of the transaction.
        terms: What turns facts into money.
        now_s: Now, seconds since 1970 UTC; never before what is stored.
    """

    def __init__(self, connection: Connection, terms: Terms, *, now_s: int) -> None:
        self._connection = connection
        self._terms = terms
        take_numbers(connection, "ledger_fact", 0)
        last = sa.select(FACT.c.known_s).order_by(FACT.c.fact_number.desc()).limit(1)
        self._known_s = max(now_s, connection.execute(last).scalar() or 0)
        self.states: dict[Subject, SubjectState] = {}

    def add(self, facts: Iterable[NewFact]) -> None:
        """Append facts in their order; those of one journal entry share a number.

        Raises:
            NoTariff: No driver's tariff holds.
        """
        rows: list[tuple[Any, ...]] = []
        before: int | None = None
        for new in facts:
            if new.entry_number is None or new.entry_number != before:
                number, part = take_numbers(self._connection, "ledger_fact", 1), 0
            else:
                part += 1
            before = new.entry_number
            rows.append((number, part, *_fact_values(new, self._known_s)))
            for subject in subjects(new.fact):
                self._learn(subject, new.fact, number)
        insert_many(self._connection, FACT, [column.name for column in FACT.columns], rows)

    def _learn(self, subject: Subject, fact: Fact, number: int) -> None:
        state = self.states.get(subject) or state_of(self._connection, subject)
        self.states[subject], entries = learn(
            state=state, subject=subject, fact=fact, known_s=self._known_s, terms=self._terms
        )
        for entry in entries:
            self._append(entry, number)

    def _append(self, entry: Entry, fact_number: int) -> None:
        number = take_numbers(self._connection, "ledger_entry", 1)
        self._connection.execute(
            LEDGER.insert().values(
                ledger_number=number,
                subject=str(entry.subject),
                serial=entry.serial,
                period_start=_start_s(entry.subject),
                known_s=entry.known_s,
                rule=entry.rule,
                sources=json.dumps(entry.sources),
                reverses=entry.reverses,
                fact_number=fact_number,
            )
        )
        columns = [column.name for column in POSTING.columns]
        lines = [
            (number, line, str(each.account), each.purpose.value, *_money(each.amount))
            for line, each in enumerate(entry.postings, 1)
        ]
        insert_many(self._connection, POSTING, columns, lines)


def state_of(connection: Connection, subject: Subject) -> SubjectState:
    """Where a subject stands: all its facts, and its entry in force."""
    gathered = Gathering()
    for each in facts_of(connection, *_of_subject(subject)):
        fact = each.known.fact
        if subject in subjects(fact):
            gathered = gathered.gathered(fact)
    query = sa.select(LEDGER).where(LEDGER.c.subject == str(subject))
    row = connection.execute(query.order_by(LEDGER.c.serial.desc()).limit(1)).first()
    if row is None:
        return SubjectState(facts=gathered)
    stands = row.reverses is None
    standing = _entry(connection, subject, row) if stands else None
    return SubjectState(facts=gathered, standing=standing, serial=row.serial)


def facts_of(connection: Connection, *conditions: Any) -> Iterator[StoredFact]:
    """Facts that fulfil conditions, as they became known."""
    query = sa.select(FACT).where(*conditions).order_by(FACT.c.fact_number, FACT.c.part)
    for row in connection.execute(query):
        yield StoredFact(
            number=row.fact_number,
            part=row.part,
            known_s=row.known_s,
            entry_number=row.entry_number,
            content=plain.read(_CONTENT[row.kind], row.content),
        )


def ledger_lines(connection: Connection, *conditions: Any) -> Iterator[LedgerLine]:
    """Entries that fulfil conditions, with their lines, in the order in which they were made."""
    query = (
        sa.select(LEDGER, POSTING)
        .outerjoin(POSTING, POSTING.c.ledger_number == LEDGER.c.ledger_number)
        .where(*conditions)
        .order_by(LEDGER.c.ledger_number, POSTING.c.line)
    )
    head: Any = None
    lines: list[PostingLine] = []
    for row in connection.execute(query):
        if head is not None and head.ledger_number != row.ledger_number:
            yield _line(head, lines)
            lines = []
        head = row
        lines.append(
            PostingLine(
                account=row.account,
                purpose=Purpose(row.purpose),
                currency=row.currency,
                micros=row.micros,
            )
        )
    if head is not None:
        yield _line(head, lines)


def _line(row: Any, lines: list[PostingLine]) -> LedgerLine:
    return LedgerLine(
        subject=row.subject,
        serial=row.serial,
        known_s=row.known_s,
        rule=row.rule,
        reverses=row.reverses,
        sources=tuple(json.loads(row.sources)),
        postings=tuple(lines),
    )


def _entry(connection: Connection, subject: Subject, row: Any) -> Entry:
    lines = connection.execute(
        sa.select(POSTING)
        .where(POSTING.c.ledger_number == row.ledger_number)
        .order_by(POSTING.c.line)
    )
    return Entry(
        subject=subject,
        serial=row.serial,
        known_s=row.known_s,
        rule=row.rule,
        sources=tuple(json.loads(row.sources)),
        postings=tuple(
            Posting(
                account=Account.parse(line.account),
                purpose=Purpose(line.purpose),
                amount=Money(line.currency, line.micros),
            )
            for line in lines
        ),
    )


def _of_subject(subject: Subject) -> tuple[Any, ...]:
    match subject:
        case CableSubject(cable_id, period):
            return FACT.c.cable_id == cable_id, FACT.c.period_start == period.start_s
        case SiteSubject(site_id, period):
            return FACT.c.site_id == site_id, FACT.c.period_start == period.start_s
        case _:
            message = f"the ledger keeps no facts about {subject}"
            raise ValueError(message)


def _fact_values(new: NewFact, known_s: int) -> tuple[Any, ...]:
    content = new.content
    match content:
        case Transfer():
            kind, cable_id, site_id = TRANSFER, str(content.key.cable_id), content.record.site_id
            period = content.period
        case SiteReading():
            kind, cable_id, site_id, period = READING, "", str(content.site_id), content.period
        case VerdictLine():
            kind, cable_id, site_id = VERDICT, "", content.verdict.site_id
            period = content.verdict.period
    text = plain.write(content)
    return kind, known_s, new.entry_number, cable_id, site_id, period.start_s, text


def _start_s(subject: Subject) -> int:
    assert not isinstance(subject, AccountSubject), "months are settled by no period"
    return subject.period.start_s


def _money(amount: Money) -> tuple[str, int]:
    return amount.currency, amount.micros
