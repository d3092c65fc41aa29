"""What a manager's database and the folders of cables hold, as the rows of the invariants."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from cable_node.journal import Journal
from gridcord.evidence.derivation import Derivation, gathered
from gridcord.metering.records import SiteObservation, TransferRecord
from gridcord.session.entry import digest_of
from gridcord.settlement.ledger import KnownFact
from gridcord.settlement.terms import Terms
from gridcord.settlement.transfer import Transfer, TransferKey
from gridcord.units import CableId, Period
from gridcord.wire.journal import entry_from_bytes
from manager.policies import tariff_book
from manager.settings import TariffSettings
from tests.system.rows import (
    CableHistory,
    LedgerLine,
    LostEntries,
    RegisterSpan,
    StoredCursor,
    StoredEntry,
)

Key = tuple[str, int, int]
Earned = tuple[int, int, int, int]  # taken Wh, given Wh, availability and energy in micros


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What a manager's database holds.

    Args:
        entries: In the order of writing.
        cursors: How far each journal is stored.
        lost: Declared lost.
        transfers: The derived table, by key.
        projected: Number of the last entry that was projected.
        gaps: (cable, number) where registers do not join.
        doubted: Reasons of what is in quarantine.
        ledger: Every line of every booking.
    """

    entries: list[StoredEntry]
    cursors: list[StoredCursor]
    lost: list[LostEntries]
    transfers: dict[Key, Earned]
    projected: int
    gaps: list[tuple[str, int]]
    doubted: list[str]
    ledger: list[LedgerLine]


def read_cursors(url: str) -> list[StoredCursor]:
    """Only the cursors: small enough to be read after every kill."""
    with _open(url) as connection:
        return _cursors(connection)


def read_audited(url: str) -> set[str]:
    """What was noted in the audit log, by its action."""
    with _open(url) as connection:
        return {row[0] for row in connection.exec_driver_sql("SELECT action FROM audit")}


def read_store(url: str, brought_by: Mapping[int, str]) -> Stored:
    """Everything.

    Args:
        url: SQLAlchemy's address of the database; no manager needs to run.
        brought_by: By journal epoch, the cable of the certificate that the journal's process has.
    """
    with _open(url) as connection:
        rows = connection.exec_driver_sql(
            "SELECT cable_id, journal_epoch, sequence, body, fence FROM entry ORDER BY entry_number"
        )
        entries = [
            StoredEntry(
                cable_id=row.cable_id,
                journal_epoch=row.journal_epoch,
                sequence=row.sequence,
                body=bytes(row.body),
                fence=row.fence,
                certificate_id=brought_by.get(row.journal_epoch, "nobody"),
            )
            for row in rows
        ]
        lost = [
            LostEntries(cable_id=row[0], journal_epoch=row[1], first=row[2], last=row[3])
            for row in connection.exec_driver_sql(
                "SELECT cable_id, journal_epoch, first_sequence, last_sequence FROM lost_entries"
            )
        ]
        return Stored(
            entries=entries,
            cursors=_cursors(connection),
            lost=lost,
            transfers=_transfers(connection),
            projected=_projected(connection),
            gaps=[
                (row[0], row[1])
                for row in connection.exec_driver_sql("SELECT cable_id, sequence FROM register_gap")
            ],
            doubted=[row[0] for row in connection.exec_driver_sql("SELECT reason FROM quarantine")],
            ledger=_ledger(connection),
        )


def _open(url: str) -> sa.Connection:
    """A connection that changes nothing, not even a write-ahead log that a kill left."""
    parsed = sa.make_url(url)
    if parsed.get_backend_name() == "sqlite":
        url = f"sqlite:///file:{parsed.database}?mode=ro&uri=true"
    return sa.create_engine(url, poolclass=sa.pool.NullPool).connect()


def _cursors(connection: sa.Connection) -> list[StoredCursor]:
    rows = connection.exec_driver_sql(
        "SELECT cable_id, journal_epoch, committed_sequence FROM journal"
    )
    return [StoredCursor(cable_id=r[0], journal_epoch=r[1], committed_sequence=r[2]) for r in rows]


def _transfers(connection: sa.Connection) -> dict[Key, Earned]:
    rows = connection.exec_driver_sql(
        "SELECT cable_id, journal_epoch, sequence,"
        " site_to_vehicle_end_wh - site_to_vehicle_start_wh,"
        " vehicle_to_site_end_wh - vehicle_to_site_start_wh,"
        " availability_micros, energy_micros FROM transfer"
    )
    return {(r[0], r[1], r[2]): (r[3], r[4], r[5], r[6]) for r in rows}


def _ledger(connection: sa.Connection) -> list[LedgerLine]:
    rows = connection.exec_driver_sql(
        "SELECT ledger_number, line, account, currency, micros FROM ledger_posting"
        " ORDER BY ledger_number, line"
    )
    return [
        LedgerLine(
            line_id=number,
            transaction_id=str(row[0]),
            account=row[2],
            currency=row[3],
            amount_micros=row[4],
        )
        for number, row in enumerate(rows)
    ]


def _projected(connection: sa.Connection) -> int:
    found = connection.exec_driver_sql("SELECT cursor FROM follower WHERE name = 'projection'")
    return int(found.scalar() or 0)


def fold(entries: Iterable[StoredEntry]) -> dict[Key, Earned]:
    """What the derived table must say, from the entries alone."""
    facts: list[KnownFact] = []
    moved: dict[str, Transfer] = {}
    for entry in entries:
        content = entry_from_bytes(entry.body)
        if isinstance(content, TransferRecord):
            key = TransferKey(CableId(entry.cable_id), entry.journal_epoch, entry.sequence)
            moved[str(key)] = Transfer(key=key, record=content)
            facts.append(KnownFact(fact=moved[str(key)], known_s=0))
        elif isinstance(content, SiteObservation):
            facts += [KnownFact(fact=reading, known_s=0) for reading in content.readings]
    terms = Terms(tariffs=tariff_book(TariffSettings()))
    derivation = Derivation(facts=tuple(facts), known=gathered(facts), terms=terms)
    table: dict[Key, Earned] = {}
    for line in derivation.earnings():
        transfer = moved[line.record]
        table[_key(transfer.key)] = (
            transfer.record.site_to_vehicle_wh,
            transfer.record.vehicle_to_site_wh,
            line.availability_micros,
            line.energy_micros,
        )
    return table


def _key(key: TransferKey) -> Key:
    return key.cable_id, key.journal_epoch, key.sequence_number


def spans(entries: Iterable[StoredEntry]) -> list[RegisterSpan]:
    """The registers of all records."""
    found = []
    for entry in entries:
        content = entry_from_bytes(entry.body)
        if isinstance(content, TransferRecord):
            found.append(
                RegisterSpan(
                    cable_id=entry.cable_id,
                    sequence=entry.sequence,
                    start_wh=(content.site_to_vehicle_start_wh, content.vehicle_to_site_start_wh),
                    end_wh=(content.site_to_vehicle_end_wh, content.vehicle_to_site_end_wh),
                )
            )
    return found


def availability_payments(
    entries: Iterable[StoredEntry], table: Mapping[Key, Earned]
) -> list[tuple[str, int]]:
    """(cable, period) as often as the availability of a whole period is paid, begun ones too."""
    full = tariff_book(TariffSettings()).tariff(area="3", period=Period(0)).availability.micros
    paid: dict[tuple[str, int], int] = defaultdict(int)
    for entry in entries:
        content = entry_from_bytes(entry.body)
        earned = table.get((entry.cable_id, entry.journal_epoch, entry.sequence))
        if isinstance(content, TransferRecord) and earned is not None:
            paid[entry.cable_id, content.period.start_s] += earned[2]
    return [key for key, micros in paid.items() for _ in range(-(-micros // full))]


def read_history(folder: Path, cable_id: str) -> CableHistory:
    """What a cable wrote down, with the bodies from its journal.

    Raises:
        AssertionError: The journal holds other bytes than the history says were written.
    """
    journal = Journal(folder / "journal.db")
    try:
        produced = {
            entry.sequence: entry.body
            for entry in journal.entries(from_sequence=0, limit=1_000_000)
        }
        epoch = journal.durable.journal_epoch
    finally:
        journal.close()
    for line in _lines(folder, "produced"):
        _, sequence, digest = line.split()
        body = produced.setdefault(
            int(sequence), b""
        )  # what is gone here was produced all the same
        assert not body or digest_of(body).hex() == digest, f"{cable_id}: {sequence} changed"
    return CableHistory(
        cable_id=cable_id,
        journal_epoch=epoch,
        produced=produced,
        acked=_numbers(folder, "acked"),
        fences=_numbers(folder, "fence"),
    )


def _numbers(folder: Path, word: str) -> list[int]:
    return [int(line.split()[1]) for line in _lines(folder, word)]


def _lines(folder: Path, word: str) -> list[str]:
    try:
        text = (folder / "history").read_text("ascii")
    except FileNotFoundError:
        return []
    # A kill may have come between two writes, never within one.
    return [line for line in text.splitlines() if line.startswith(word + " ")]
