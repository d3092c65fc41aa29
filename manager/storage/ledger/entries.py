"""The ledger as rows: facts in the order of knowing, entries, lines; states of subjects."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
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
    AreaSubject,
    CableSubject,
    Fact,
    Gathering,
    Payout,
    ShareSubject,
    SiteSubject,
    Subject,
    subjects,
)
from gridcord.settlement.imbalance import MarketResult
from gridcord.settlement.imbalance_share import ImbalanceShare
from gridcord.settlement.ledger import Entry, KnownFact, SubjectState, learn
from gridcord.settlement.statement import Month
from gridcord.settlement.terms import Terms
from gridcord.settlement.transfer import Transfer
from gridcord.units import Money
from manager.storage.batches import rows_at
from manager.storage.engine import insert_many, take_numbers
from manager.storage.ledger.earlier_facts import current_text
from manager.storage.ledger.rows import LedgerEntryRow, LedgerFactRow, LedgerPostingRow

FACT: sa.Table = LedgerFactRow.__table__  # type: ignore[attr-defined]
LEDGER: sa.Table = LedgerEntryRow.__table__  # type: ignore[attr-defined]
POSTING: sa.Table = LedgerPostingRow.__table__  # type: ignore[attr-defined]

ENTRIES = "settlement.entries"  # cursor: how far the ledger knows journal entries
TRANSFER, READING, VERDICT = "TRANSFER", "READING", "VERDICT"
MARKET, SHARE, PAYOUT = "MARKET", "SHARE", "PAYOUT"
_CONTENT: dict[str, type] = {
    TRANSFER: Transfer,
    READING: SiteReading,
    VERDICT: VerdictLine,
    MARKET: MarketResult,
    SHARE: ImbalanceShare,
    PAYOUT: Payout,
}
_LONGEST_ID = 128
_DAY_S = 86_400

Content = Transfer | SiteReading | VerdictLine | MarketResult | ImbalanceShare | Payout


@dataclass(frozen=True, slots=True, kw_only=True)
class NewFact:
    """A fact that the ledger does not know yet.

    Args:
        content: It; a verdict with what the match found.
        entry_number: Of the journal entry that told it; None when none did.
    """

    content: Content
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
    content: Content

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

    def add(self, facts: Sequence[NewFact]) -> None:
        """Append facts in their order; those of one journal entry share a number.

        Raises:
            NoTariff: No driver's tariff holds.
        """
        if not facts:
            return
        places = _places(facts)
        first = take_numbers(self._connection, "ledger_fact", places[-1][0] + 1)
        about = {subject for new in facts for subject in subjects(new.fact)}
        self.states |= states_of(self._connection, about - self.states.keys())
        rows: list[tuple[Any, ...]] = []
        entries: list[tuple[Entry, int]] = []
        for new, (place, part) in zip(facts, places, strict=True):
            rows.append((first + place, part, *_fact_values(new, self._known_s)))
            for subject in subjects(new.fact):
                entries += [(each, first + place) for each in self._learn(subject, new.fact)]
        insert_many(self._connection, FACT, [column.name for column in FACT.columns], rows)
        self._append(entries)

    def _learn(self, subject: Subject, fact: Fact) -> tuple[Entry, ...]:
        self.states[subject], entries = learn(
            state=self.states[subject],
            subject=subject,
            fact=fact,
            known_s=self._known_s,
            terms=self._terms,
        )
        return entries

    def _append(self, entries: Sequence[tuple[Entry, int]]) -> None:
        if not entries:
            return
        first = take_numbers(self._connection, "ledger_entry", len(entries))
        rows, lines = [], []
        for number, (entry, fact_number) in enumerate(entries, first):
            rows.append((number, *_entry_values(entry), fact_number))
            lines += [
                (number, line, str(each.account), each.purpose.value, *_money(each.amount))
                for line, each in enumerate(entry.postings, 1)
            ]
        insert_many(self._connection, LEDGER, [column.name for column in LEDGER.columns], rows)
        insert_many(self._connection, POSTING, [column.name for column in POSTING.columns], lines)


def _places(facts: Sequence[NewFact]) -> list[tuple[int, int]]:
    """Number from 0 and part of each fact: those of one journal entry share a number."""
    places: list[tuple[int, int]] = []
    before: int | None = None
    for new in facts:
        same = new.entry_number is not None and new.entry_number == before
        if same:
            places.append((places[-1][0], places[-1][1] + 1))
        else:
            places.append((places[-1][0] + 1 if places else 0, 0))
        before = new.entry_number
    return places


def states_of(connection: Connection, about: Collection[Subject]) -> dict[Subject, SubjectState]:
    """Where subjects stand: all their facts, and their entries in force."""
    gathered = {subject: Gathering() for subject in about}
    if not about:
        return {}
    for each in facts_about(connection, about):
        fact = each.known.fact
        for subject in subjects(fact):
            if subject in gathered:
                gathered[subject] = gathered[subject].gathered(fact)
    last = _last_entries(connection, about)
    standing = [row.ledger_number for row in last.values() if row.reverses is None]
    postings = _postings(connection, standing)
    return {
        subject: _state(subject, facts, last.get(str(subject)), postings)
        for subject, facts in gathered.items()
    }


def facts_about(connection: Connection, about: Collection[Subject]) -> Iterator[StoredFact]:
    """Facts among which are all those of the subjects, as they became known."""
    cables, sites = [], []
    for subject in about:
        if isinstance(subject, CableSubject | ShareSubject):
            cables.append((str(subject.cable_id), _start_s(subject)))
        else:
            sites.append((place_of(subject), _start_s(subject)))
    rows = {
        (row.fact_number, row.part): row
        for columns, keys in ((_OF_CABLE, cables), (_OF_SITE, sites))
        for row in rows_at(connection, FACT, columns, keys)
    }
    return (_stored(rows[place]) for place in sorted(rows))


_OF_CABLE, _OF_SITE = ("cable_id", "period_start"), ("site_id", "period_start")


def _last_entries(connection: Connection, about: Collection[Subject]) -> dict[str, Any]:
    rows = rows_at(connection, LEDGER, ["subject"], ((str(subject),) for subject in about))
    return {row.subject: row for row in sorted(rows, key=lambda row: row.serial)}


def _postings(
    connection: Connection, ledger_numbers: Collection[int]
) -> dict[int, tuple[Posting, ...]]:
    """The lines of entries, by the entry's number, in their order."""
    rows = rows_at(connection, POSTING, ["ledger_number"], ((each,) for each in ledger_numbers))
    lines: defaultdict[int, tuple[Posting, ...]] = defaultdict(tuple)
    for row in sorted(rows, key=lambda row: row.line):
        posting = Posting(
            account=Account.parse(row.account),
            purpose=Purpose(row.purpose),
            amount=Money(row.currency, row.micros),
        )
        lines[row.ledger_number] += (posting,)
    return lines


def _state(
    subject: Subject, facts: Gathering, last: Any, postings: Mapping[int, tuple[Posting, ...]]
) -> SubjectState:
    if last is None:
        return SubjectState(facts=facts)
    if last.reverses is not None:
        return SubjectState(facts=facts, serial=last.serial)
    standing = Entry(
        subject=subject,
        serial=last.serial,
        known_s=last.known_s,
        rule=last.rule,
        sources=tuple(json.loads(last.sources)),
        postings=postings.get(last.ledger_number, ()),
    )
    return SubjectState(facts=facts, standing=standing, serial=last.serial)


def facts_of(connection: Connection, *conditions: Any) -> Iterator[StoredFact]:
    """Facts that fulfil conditions, as they became known."""
    query = sa.select(FACT).where(*conditions).order_by(FACT.c.fact_number, FACT.c.part)
    for row in connection.execute(query):
        yield _stored(row)


def _stored(row: Any) -> StoredFact:
    return StoredFact(
        number=row.fact_number,
        part=row.part,
        known_s=row.known_s,
        entry_number=row.entry_number,
        content=plain.read(_CONTENT[row.kind], current_text(row.kind, row.content)),
    )


def last_verdicts(
    connection: Connection, places: Collection[tuple[str, int]]
) -> dict[tuple[str, int], VerdictLine]:
    """What the ledger knows last of sites and starts of periods, seconds since 1970 UTC."""
    rows = [row for row in rows_at(connection, FACT, _OF_SITE, places) if row.kind == VERDICT]
    rows.sort(key=lambda row: (row.fact_number, row.part))
    last = {(row.site_id, row.period_start): row for row in rows}
    return {place: plain.read(VerdictLine, row.content) for place, row in last.items()}


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


def place_of(subject: SiteSubject | AreaSubject | AccountSubject) -> str:
    """Under which `site_id` facts about a subject are found; others may be there too."""
    match subject:
        case SiteSubject():
            return subject.site_id
        case AreaSubject():
            return f"area:{subject.area}"[:_LONGEST_ID]
        case AccountSubject():
            return f"payout:{subject.account}"[:_LONGEST_ID]


def _entry_values(entry: Entry) -> tuple[Any, ...]:
    return (
        str(entry.subject),
        entry.serial,
        _start_s(entry.subject),
        entry.known_s,
        entry.rule,
        json.dumps(entry.sources),
        entry.reverses,
    )


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
        case ImbalanceShare():
            kind, cable_id, site_id = SHARE, content.cable_id, content.site_id
            period = content.period
        case MarketResult() | Payout():
            (about,) = subjects(content)
            assert isinstance(about, AreaSubject | AccountSubject)
            kind = MARKET if isinstance(content, MarketResult) else PAYOUT
            text = plain.write(content)
            return kind, known_s, None, "", place_of(about), _start_s(about), text
    text = plain.write(content)
    return kind, known_s, new.entry_number, cable_id, site_id, period.start_s, text


def _start_s(subject: Subject) -> int:
    """Where a subject stands in time, seconds since 1970 UTC; a month by a time within it."""
    if isinstance(subject, AccountSubject):
        first_s, _ = Month(name=subject.month, zone="UTC").bounds()
        return first_s + _DAY_S  # the month has begun everywhere by then
    return subject.period.start_s


def _money(amount: Money) -> tuple[str, int]:
    return amount.currency, amount.micros
