"""What came of a demonstration: counted from the cables' own journals and from the manager."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from gridcord.metering.records import TransferRecord
from gridcord.wire.journal import entry_from_bytes
from gridcord.wire.values import WireError

RecordKey = tuple[str, int, int]


@dataclass(frozen=True, slots=True)
class JournalCount:
    """What one cable's journal holds.

    Args:
        records: Keys of its transfer records.
        entries: How many entries of all kinds.
        acked: Last entry that the manager has confirmed.
        last: Last entry.
        net_wh: Energy of all records, + into the vehicle.
    """

    records: tuple[RecordKey, ...]
    entries: int
    acked: int
    last: int
    net_wh: int


def count_journal(path: Path, cable_id: str) -> JournalCount:
    """Read a cable's journal as it lies on the disk."""
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)
    try:
        epoch, acked = connection.execute(
            "SELECT journal_epoch, acked_sequence FROM journal"
        ).fetchone()
        rows = connection.execute("SELECT sequence, body FROM entry ORDER BY sequence").fetchall()
    finally:
        connection.close()
    records: list[RecordKey] = []
    net_wh = 0
    for sequence, body in rows:
        try:
            entry = entry_from_bytes(bytes(body))
        except WireError:
            continue
        if isinstance(entry, TransferRecord):
            records.append((cable_id, epoch, sequence))
            net_wh += entry.transferred_wh
    last = rows[-1][0] if rows else 0
    return JournalCount(tuple(records), len(rows), acked, last, net_wh)


def count_quarantined(path: Path) -> int:
    """How many entries the manager stored but would not believe."""
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)
    try:
        return int(connection.execute("SELECT count(*) FROM quarantine").fetchone()[0])
    finally:
        connection.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerCount:
    """What the manager's ledger holds.

    Args:
        entries: How many.
        sum_micros: Of all lines, which is 0.
        accounts_micros: What each kind of account (`driver`, `market` ...) is owed; - owes.
    """

    entries: int
    sum_micros: int
    accounts_micros: dict[str, int]


def count_ledger(path: Path) -> LedgerCount:
    """Read the manager's ledger as it lies on the disk."""
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)
    try:
        (entries,) = connection.execute("SELECT count(*) FROM ledger_entry").fetchone()
        lines = connection.execute("SELECT account, micros FROM ledger_posting").fetchall()
    finally:
        connection.close()
    balances: Counter[str] = Counter()
    for account, micros in lines:
        balances[str(account).partition(":")[0].lower()] += int(micros)
    return LedgerCount(
        entries=int(entries),
        sum_micros=sum(balances.values()),
        accounts_micros=dict(sorted(balances.items())),
    )


def count_offers(path: Path) -> dict[int, int]:
    """What the market adapter's bids would sell, by the beginning of the half hour.

    Returns:
        Energy in Wh, - out of the fleet.
    """
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)
    try:
        rows = connection.execute(
            "SELECT period_start_s, sum(energy_wh) FROM bid WHERE side = 'SELL'"
            " GROUP BY period_start_s"
        ).fetchall()
    finally:
        connection.close()
    return {int(start_s): -int(sold_wh) for start_s, sold_wh in rows}


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """A half hour at the market; energies in Wh, + into vehicles and batteries.

    Args:
        start_s: When it begins, seconds since 1970 UTC.
        offered_wh: For sale by bids, of which the market takes what it will.
        contracted_wh: By contracts.
        requested_wh: By contracts and demand response.
        delivered_wh: What the fleet did.
        imbalance_micros: What the difference brings, - costs; None while its price is not known.
    """

    start_s: int
    offered_wh: int
    contracted_wh: int
    requested_wh: int
    delivered_wh: int
    imbalance_micros: int | None

    @property
    def is_worth_a_line(self) -> bool:
        """Whether anything was meant to happen, or did."""
        return bool(self.offered_wh or self.requested_wh or self.delivered_wh)


@dataclass(slots=True, kw_only=True)
class Summary:
    """The figures of a run; the names are those of the JSON file."""

    scenario: str
    seed: int
    houses: int
    periods: int
    speed: float
    records_produced: int = 0
    records_stored: int = 0
    records_lost: int = 0
    records_duplicated: int = 0
    records_quarantined: int = 0
    entries_produced: int = 0
    entries_stored: int = 0
    cable_net_wh: int = 0
    manager_net_wh: int = 0
    forwarded_transfers: int = 0
    unsited_transfers: int = 0  # measured before the cable knew where it was
    verdicts: dict[str, int] = field(default_factory=dict)
    blocked_sites: list[str] = field(default_factory=list)
    cheating_sites: list[str] = field(default_factory=list)
    block_reasons: dict[str, str] = field(default_factory=dict)
    contracted_wh: int = 0
    demand_wh: int = 0
    delivered_wh: int = 0
    slots: list[Slot] = field(default_factory=list)
    charged_wh: int = 0
    discharged_wh: int = 0
    earnings_micros: int = 0
    ledger: LedgerCount | None = None
    currency: str = "JPY"
    manager_kills: int = 0
    link_cuts: int = 0
    elapsed_s: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    @property
    def problems(self) -> list[str]:
        """What must not be: empty after a good run."""
        honest = sorted(set(self.blocked_sites) - set(self.cheating_sites))
        missed = sorted(set(self.cheating_sites) - set(self.blocked_sites))
        found = []
        if self.records_lost:
            found.append(f"{self.records_lost} records were lost")
        if self.records_duplicated:
            found.append(f"{self.records_duplicated} records were stored twice")
        if self.records_quarantined:
            found.append(f"{self.records_quarantined} records were quarantined")
        if self.forwarded_transfers + self.unsited_transfers != self.records_stored:
            found.append("the utility was not told of every record")
        if self.cable_net_wh != self.manager_net_wh:
            found.append("cables and manager disagree about the energy")
        if honest:
            found.append(f"honest sites are blocked: {', '.join(honest)}")
        if missed:
            found.append(f"cheating sites are not blocked: {', '.join(missed)}")
        if self.ledger is not None and self.ledger.sum_micros:
            found.append("the ledger does not sum to zero")
        if not self.records_produced:
            found.append("nothing was measured")
        return found


def take_transfers(summary: Summary, transfers: Iterable[Any]) -> Counter[RecordKey]:
    """Count what the manager tells of transfers; returns how often each record is told."""
    told: Counter[RecordKey] = Counter()
    verdicts: Counter[str] = Counter({"MATCHED": 0, "MISMATCHED": 0, "INDETERMINATE": 0})
    names = {1: "MATCHED", 2: "MISMATCHED", 3: "INDETERMINATE"}
    for transfer in transfers:
        key = transfer.key
        told[key.cable_id, key.journal_epoch, key.sequence_number] += 1
        summary.manager_net_wh += transfer.transferred_wh
        summary.charged_wh += transfer.site_to_vehicle_wh
        summary.discharged_wh += transfer.vehicle_to_site_wh
        summary.forwarded_transfers += transfer.forwarded
        summary.unsited_transfers += not transfer.site_id
        earning = transfer.earning
        summary.earnings_micros += earning.availability.amount_micros + earning.energy.amount_micros
        has_match = transfer.HasField("manager_match") or transfer.HasField("cable_match")
        match = (
            transfer.manager_match if transfer.HasField("manager_match") else transfer.cable_match
        )
        if has_match:
            verdicts[names.get(match.verdict, "INDETERMINATE")] += 1
    summary.verdicts = dict(verdicts)
    return told
