"""Takes what is new in the manager's tables into the ledger, each thing once.

Cursors move in the transaction that appends the entries; what a driver is told to earn is what the
ledger says, in the same transaction.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gridcord.evidence.bundle_lines import VerdictLine
from gridcord.metering.matching import Finding, Reason
from gridcord.metering.reading import ReadingSource, Verdict
from gridcord.metering.records import SiteObservation, TransferRecord
from gridcord.metering.verdict import StatedMatch
from gridcord.settlement.earning import Earning
from gridcord.settlement.facts import (
    CableSubject,
    Gathering,
    SiteSubject,
    SiteVerdict,
    Subject,
)
from gridcord.settlement.half_hour import cable_half_hour, site_half_hour
from gridcord.settlement.terms import Terms
from gridcord.settlement.transfer import Transfer, TransferKey
from gridcord.units import CableId, Period
from gridcord.wire.journal import entry_from_bytes
from manager.storage.batches import rows_at, update_many
from manager.storage.engine import Database, take_numbers
from manager.storage.followers import cursor_of, move_cursor
from manager.storage.ledger.entries import ENTRIES, LedgerWriter, NewFact, last_verdicts
from manager.storage.ledger.market_settlement import settle_market
from manager.storage.log.journals import ENTRY, QUARANTINE
from manager.storage.log.stated_matches import match_from_json
from manager.storage.market.results import records_came, results_wait
from manager.storage.rows import TransferRow
from manager.storage.sites.readings import READING, reading_of

TRANSFER: sa.Table = TransferRow.__table__  # type: ignore[attr-defined]

PROJECTED = "projection"
VERDICTS = "settlement.verdicts"


class SqlSettlement:
    """`manager.ports.Settlement` on a database.

    Args:
        database: It.
        terms: What turns facts into money.
        area_of_cables: Market area whose demand the cables' records count for.
    """

    def __init__(self, database: Database, terms: Terms, *, area_of_cables: str = "") -> None:
        self._database = database
        self._terms = terms
        self._area_of_cables = area_of_cables

    async def settle(self, *, now_s: int, limit: int) -> int:
        """Take up to `limit` new things of each kind into the ledger; returns how many facts."""

        def look(connection: Connection) -> bool:
            return waits(connection) or results_wait(connection, now_s=now_s)

        def work(connection: Connection) -> int:
            return settle(connection, self._terms, now_s=now_s, limit=limit) + settle_market(
                connection,
                self._terms,
                area_of_cables=self._area_of_cables,
                now_s=now_s,
                limit=limit,
            )

        return await self._database.write(work) if await self._database.read(look) else 0


def settle(connection: Connection, terms: Terms, *, now_s: int, limit: int) -> int:
    """`SqlSettlement.settle` within a transaction; returns how many things were looked at.

    Raises:
        NoTariff: No driver's tariff holds for a record.
    """
    writer = LedgerWriter(connection, terms, now_s=now_s)
    seen = 0
    for take in (_entries, _readings, _verdicts):
        facts, looked_at = take(connection, limit)
        writer.add(facts)
        transfers = (new.content for new in facts if isinstance(new.content, Transfer))
        records_came(connection, {each.period.start_s for each in transfers})
        seen += looked_at
    states = writer.states.items()
    earned = [each for about, state in states for each in _earned(about, state.facts, terms)]
    _tell(connection, earned, now_s)
    return seen


def waits(connection: Connection) -> bool:
    """Whether the manager knows anything that the ledger does not."""
    projected = int(cursor_of(connection, PROJECTED) or 0)
    if projected > int(cursor_of(connection, ENTRIES) or 0):
        return True
    unsettled = sa.select(READING.c.site_id).where(READING.c.settled.is_(sa.false())).limit(1)
    if connection.execute(unsettled).first() is not None:
        return True
    last = connection.execute(sa.select(sa.func.max(TRANSFER.c.update_number))).scalar() or 0
    return int(last) > int(cursor_of(connection, VERDICTS) or 0)


def unsettled(connection: Connection, site_ids: Collection[str], *, before_s: int) -> bool:
    """Whether the ledger lacks anything about sites and periods that start before a time.

    Args:
        connection: Of the snapshot.
        site_ids: These sites.
        before_s: Seconds since 1970 UTC.
    """
    entries = int(cursor_of(connection, ENTRIES) or 0)
    verdicts = int(cursor_of(connection, VERDICTS) or 0)
    late = (TRANSFER.c.entry_number > entries) | (TRANSFER.c.update_number > verdicts)
    for table, waiting in ((TRANSFER, late), (READING, READING.c.settled.is_(sa.false()))):
        query = sa.select(table.c.site_id).where(
            waiting, table.c.site_id.in_(site_ids), table.c.period_start < before_s
        )
        if connection.execute(query.limit(1)).first() is not None:
            return True
    return False


def _entries(connection: Connection, limit: int) -> tuple[list[NewFact], int]:
    """Records and what cables read, of entries that were projected and believed."""
    after = int(cursor_of(connection, ENTRIES) or 0)
    until = int(cursor_of(connection, PROJECTED) or 0)
    doubted = sa.exists().where(
        QUARANTINE.c.cable_id == ENTRY.c.cable_id,
        QUARANTINE.c.journal_epoch == ENTRY.c.journal_epoch,
        QUARANTINE.c.sequence == ENTRY.c.sequence,
        QUARANTINE.c.body == ENTRY.c.body,
    )
    query = (
        sa.select(ENTRY, doubted.label("doubted"))
        .where(ENTRY.c.entry_number > after, ENTRY.c.entry_number <= until)
        .order_by(ENTRY.c.entry_number)
        .limit(limit)
    )
    rows = connection.execute(query).all()
    facts = [fact for row in rows if not row.doubted for fact in _told(row)]
    if rows:
        move_cursor(connection, ENTRIES, str(rows[-1].entry_number))
    return facts, len(rows)


def _told(row: Any) -> Iterable[NewFact]:
    content = entry_from_bytes(bytes(row.body))
    if isinstance(content, TransferRecord):
        key = TransferKey(CableId(row.cable_id), row.journal_epoch, row.sequence)
        record = replace(content, fiscal_record="")  # the journal keeps it
        yield NewFact(content=Transfer(key=key, record=record), entry_number=row.entry_number)
    elif isinstance(content, SiteObservation):
        for reading in content.readings:
            yield NewFact(content=reading, entry_number=row.entry_number)


def _readings(connection: Connection, limit: int) -> tuple[list[NewFact], int]:
    """The utility's readings; those by cables are in their entries."""
    order = (READING.c.receive_s, READING.c.site_id, READING.c.period_start, READING.c.revision)
    rows = connection.execute(
        sa.select(READING).where(READING.c.settled.is_(sa.false())).order_by(*order).limit(limit)
    ).all()
    keys = [column.name for column in READING.primary_key]
    if rows:
        connection.execute(
            READING.update()
            .where(*(READING.c[name] == sa.bindparam(f"of_{name}") for name in keys))
            .values(settled=True),
            [{f"of_{name}": getattr(row, name) for name in keys} for row in rows],
        )
    utility = [row for row in rows if row.source == ReadingSource.UTILITY.value]
    return [NewFact(content=reading_of(row)) for row in utility], len(rows)


@dataclass(frozen=True, slots=True)
class _Judged:
    site_id: str
    period: Period


def _verdicts(connection: Connection, limit: int) -> tuple[list[NewFact], int]:
    """The manager's last conclusions where they differ from what the ledger knows."""
    after = int(cursor_of(connection, VERDICTS) or 0)
    rows = connection.execute(
        sa.select(TRANSFER)
        .where(TRANSFER.c.update_number > after)
        .order_by(TRANSFER.c.update_number)
        .limit(limit)
    ).all()
    if rows:
        move_cursor(connection, VERDICTS, str(rows[-1].update_number))
    stated: dict[_Judged, StatedMatch] = {}
    for row in rows:
        match = match_from_json(row.manager_match)
        if match is not None:
            stated[_Judged(row.site_id, Period(row.period_start, row.period_length))] = match
    known = last_verdicts(connection, [(j.site_id, j.period.start_s) for j in stated])
    lines = (
        _verdict(known.get((judged.site_id, judged.period.start_s)), judged, match)
        for judged, match in stated.items()
    )
    return [NewFact(content=line) for line in lines if line is not None], len(rows)


def _verdict(last: VerdictLine | None, judged: _Judged, match: StatedMatch) -> VerdictLine | None:
    """The verdict as a fact; None when it is the one that the ledger knows."""
    finding, reason = finding_of(match), Reason(match.reason)
    said = last and (last.verdict.verdict, last.finding, last.reason)
    if said == (match.verdict, finding, reason):
        return None
    revision = 0 if last is None else last.verdict.revision + 1
    verdict = SiteVerdict(
        site_id=judged.site_id, period=judged.period, verdict=match.verdict, revision=revision
    )
    return VerdictLine(number=0, known_s=0, verdict=verdict, finding=finding, reason=reason)


def finding_of(match: StatedMatch) -> Finding:
    """What the matcher said, from what is told of it."""
    if match.verdict is Verdict.MATCHED:
        return Finding.MATCH
    if match.verdict is Verdict.MISMATCHED:
        return Finding.MISMATCH
    if match.suspect:
        return Finding.SUSPECT
    return Finding.FAULT if match.fault else Finding.UNDECIDED


def _earned(
    subject: Subject, facts: Gathering, terms: Terms
) -> Iterable[tuple[TransferKey, dict[str, Any]]]:
    """What the records of a subject earn by all that the ledger knows, as columns."""
    if isinstance(subject, CableSubject):
        for key, earned in cable_half_hour(facts=facts, terms=terms).items():
            yield key, _availability(earned)
    elif isinstance(subject, SiteSubject):
        result = site_half_hour(subject=subject, facts=facts, terms=terms)
        for key, earned in result.energy.items():
            yield key, _energy(earned)


def _availability(earned: Earning) -> dict[str, Any]:
    return {
        "currency": earned.availability.currency,
        "availability_micros": earned.availability.micros,
    }


def _energy(earned: Earning) -> dict[str, Any]:
    return {
        "currency": earned.energy.currency,
        "energy_micros": earned.energy.micros,
        "tariff_version": earned.tariff,
    }


_EARNED = ("currency", "availability_micros", "energy_micros", "tariff_version")


def _row_key(key: TransferKey) -> tuple[Any, ...]:
    return key.cable_id, key.journal_epoch, key.sequence_number


def _tell(
    connection: Connection, earned: Sequence[tuple[TransferKey, dict[str, Any]]], now_s: int
) -> None:
    """Tell records what they earn; one that knows it already is left as it is."""
    names = [column.name for column in TRANSFER.primary_key]
    rows = rows_at(connection, TRANSFER, names, (_row_key(key) for key, _ in earned))
    told = {tuple(row[name] for name in names): row for row in (r._asdict() for r in rows)}
    after: dict[tuple[Any, ...], dict[str, Any]] = {}
    numbers: dict[tuple[Any, ...], int] = {}
    changes = 0
    for key, amounts in ((_row_key(key), amounts) for key, amounts in earned):
        if key not in told:
            continue
        known = after.get(key) or {name: told[key][name] for name in _EARNED}
        if amounts.items() <= known.items():
            continue
        after[key] = known | amounts
        numbers[key] = changes
        changes += 1
    if not changes:
        return
    first = take_numbers(connection, "transfer_update", changes)
    update_many(
        connection,
        TRANSFER,
        (*_EARNED, "update_number", "update_s"),
        [(*values.values(), first + numbers[key], now_s, *key) for key, values in after.items()],
    )
