"""Whether a ledger is what follows from its facts, and reconciles with the utility."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gridcord.evidence.bundle_lines import LedgerLine
from gridcord.evidence.derivation import Derivation, gathered
from gridcord.metering.reading import ReadingSource, SiteReading
from gridcord.settlement.facts import SiteSubject
from gridcord.settlement.terms import Terms
from manager.storage.followers import cursor_of
from manager.storage.ledger.entries import ENTRIES, FACT, POSTING, TRANSFER, facts_of, ledger_lines
from manager.storage.rows import TransferRow

STORED: sa.Table = TransferRow.__table__  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerCheck:
    """What a check found.

    Args:
        facts: How many there are.
        entries: How many there are.
        sums: Of all lines, micros by currency: zero.
        waiting: Records that are stored and not settled yet.
        problems: What is wrong, for a person; empty when nothing is.
    """

    facts: int
    entries: int
    sums: dict[str, int]
    waiting: int
    problems: tuple[str, ...]


def check_ledger(connection: Connection, terms: Terms) -> LedgerCheck:
    """Sum every line, derive every entry again, and look for each record once."""
    facts = tuple(each.known for each in facts_of(connection))
    stored = list(ledger_lines(connection))
    sums = {
        row.currency: int(row.micros)
        for row in connection.execute(
            sa.select(POSTING.c.currency, sa.func.sum(POSTING.c.micros).label("micros"))
            .group_by(POSTING.c.currency)
            .order_by(POSTING.c.currency)
        )
    }
    problems = [f"all lines in {name} sum to {micros}" for name, micros in sums.items() if micros]
    problems += [f"{_name(each)} does not sum to zero" for each in stored if not _balanced(each)]
    derivation = Derivation(facts=facts, known=gathered(facts), terms=terms)
    problems += _differences(stored, derivation)
    problems += _unpaired(connection)
    return LedgerCheck(
        facts=len(facts),
        entries=len(stored),
        sums=sums,
        waiting=_waiting(connection),
        problems=tuple(problems),
    )


def _name(line: LedgerLine) -> str:
    return f"{line.subject}#{line.serial}"


def _balanced(line: LedgerLine) -> bool:
    sums: defaultdict[str, int] = defaultdict(int)
    for posting in line.postings:
        sums[posting.currency] += posting.micros
    return not any(sums.values())


def _differences(stored: list[LedgerLine], derivation: Derivation) -> Iterator[str]:
    """The first entry that does not follow from the facts: those behind it need not be told."""
    for kept, derived in zip_longest(stored, derivation.ledger()):
        if kept != derived:
            name = _name(kept or derived)
            said = "is not in the ledger" if kept is None else "does not follow from the facts"
            yield f"{name} {said}; derived is {derived or 'nothing'}"
            return


def _unpaired(connection: Connection) -> Iterator[str]:
    """Records that were settled not once."""
    settled = int(cursor_of(connection, ENTRIES) or 0)
    times = (
        sa.select(FACT.c.entry_number, sa.func.count().label("times"))
        .where(FACT.c.kind == TRANSFER)
        .group_by(FACT.c.entry_number)
        .subquery()
    )
    count = sa.func.coalesce(times.c.times, 0)
    query = (
        sa.select(STORED.c.cable_id, STORED.c.journal_epoch, STORED.c.sequence, count)
        .outerjoin(times, times.c.entry_number == STORED.c.entry_number)
        .where(STORED.c.entry_number <= settled, count != 1)
        .order_by(STORED.c.entry_number)
    )
    for cable_id, epoch, sequence, found in connection.execute(query):
        yield f"record {cable_id}/{epoch:x}/{sequence} was settled {found} times"


def _waiting(connection: Connection) -> int:
    settled = int(cursor_of(connection, ENTRIES) or 0)
    query = sa.select(sa.func.count()).select_from(STORED).where(STORED.c.entry_number > settled)
    return int(connection.execute(query).scalar() or 0)


@dataclass(slots=True)
class Reconciliation:
    """The manager's figures of a site beside the utility's, over periods with a record.

    Args:
        site_id: The site.
        periods: With a record.
        charged_wh: Through cables, Wh.
        discharged_wh: Through cables, Wh.
        read: Of the periods, those the utility has read.
        utility_import_wh: In those, Wh.
        utility_export_wh: In those, Wh.
        compared: Of the periods, those that a cable has read too.
        differing: Of those, where both differ by more than their steps.
        difference_wh: Sum of what the cable read less the utility, import - export, Wh.
        revised: Of the periods, those the utility has corrected.
    """

    site_id: str
    periods: int = 0
    charged_wh: int = 0
    discharged_wh: int = 0
    read: int = 0
    utility_import_wh: int = 0
    utility_export_wh: int = 0
    compared: int = 0
    differing: int = field(default=0)
    difference_wh: int = 0
    revised: int = 0


def reconcile(connection: Connection, *, start_s: int, end_s: int) -> list[Reconciliation]:
    """Compare by site over periods that start in [start_s, end_s)."""
    within = (FACT.c.period_start >= start_s, FACT.c.period_start < end_s)
    known = gathered(each.known for each in facts_of(connection, *within))
    sites: dict[str, Reconciliation] = {}
    for subject, facts in known.items():
        if not isinstance(subject, SiteSubject) or not facts.settleable:
            continue
        sums = sites.setdefault(subject.site_id, Reconciliation(subject.site_id))
        sums.periods += 1
        sums.charged_wh += sum(each.record.site_to_vehicle_wh for each in facts.settleable)
        sums.discharged_wh += sum(each.record.vehicle_to_site_wh for each in facts.settleable)
        _compare(sums, facts)
    return [sites[site_id] for site_id in sorted(sites)]


def _compare(sums: Reconciliation, facts: Any) -> None:
    utility = _newest(facts, ReadingSource.UTILITY)
    meter = _newest(facts, ReadingSource.SMART_METER)
    if utility is None:
        return
    sums.read += 1
    sums.revised += utility.revision > 0
    sums.utility_import_wh += utility.import_wh or 0
    sums.utility_export_wh += utility.export_wh or 0
    if meter is None:
        return
    gap_wh = _net_wh(meter) - _net_wh(utility)
    sums.compared += 1
    sums.difference_wh += gap_wh
    sums.differing += abs(gap_wh) > 2 * (meter.step_wh + utility.step_wh)


def _newest(facts: Any, source: ReadingSource) -> SiteReading | None:
    found = [r for r in facts.readings if r.source is source and r.import_wh is not None]
    return max(found, key=lambda each: each.revision, default=None)


def _net_wh(reading: SiteReading) -> int:
    return (reading.import_wh or 0) - (reading.export_wh or 0)
