"""The transfers of a batch of entries: read about once, kept in memory, written once."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gridcord.metering.records import SiteObservation, TransferRecord
from gridcord.metering.verdict import StatedMatch
from gridcord.session.entry import EntryKey
from gridcord.units import Period
from manager.domain.records.logged_entry import LoggedEntry, ReadEntry
from manager.storage.batches import given, rows_at, update_many
from manager.storage.engine import insert_many, take_numbers
from manager.storage.log.stated_matches import match_to_json
from manager.storage.rows import RegisterGapRow, TransferRow

TRANSFER: sa.Table = TransferRow.__table__  # type: ignore[attr-defined]
GAP: sa.Table = RegisterGapRow.__table__  # type: ignore[attr-defined]

NEW = "NEW"

_COLUMNS = [column.name for column in TRANSFER.columns]
_KEY = [column.name for column in TRANSFER.primary_key]
_WHERE = ["period_start", "cable_id"]
_STATED = ("cable_match", "update_number", "update_s")

_Ends = tuple[int, int, int]  # sequence number, site to vehicle Wh, vehicle to site Wh


class TransferBatch:
    """Transfers that entries add, and what entries state of these and of earlier ones.

    Nothing is written before `write`; `add` and `state` are called in the order of the entries.

    Args:
        connection: Of the transaction.
        entries: All that will be added or stated.
        now_s: Now, seconds since 1970 UTC.
    """

    def __init__(self, connection: Connection, entries: Sequence[ReadEntry], *, now_s: int) -> None:
        self._connection = connection
        self._now_s = now_s
        self._before = _ends_before(connection, _keys_of_transfers(entries))
        self._ends: defaultdict[tuple[str, int], list[_Ends]] = defaultdict(list)
        self._added: list[dict[str, Any]] = []
        self._stated: dict[tuple[Any, ...], dict[str, Any]] = {}
        self._at: defaultdict[tuple[int, str], list[dict[str, Any]]] = defaultdict(list)
        for row in _stored(connection, entries):
            self._at[row["period_start"], row["cable_id"]].append(row)
        self._gaps: list[tuple[Any, ...]] = []
        self._changes = 0

    def add(self, entry: LoggedEntry, record: TransferRecord) -> None:
        """A record of a cable; whether its registers join those of the one before is noted."""
        self._check_chain(entry.key, record)
        values = _values(entry, record) | {"update_s": self._now_s, "update_number": self._change()}
        self._added.append(values)
        self._at[record.period.start_s, entry.key.cable_id].append(values)

    def state(self, cable_id: str, period: Period, match: StatedMatch) -> None:
        """What a cable's matcher says of its records of a period."""
        for values in self._at[period.start_s, cable_id]:
            values |= {
                "cable_match": match_to_json(match),
                "update_number": self._change(),
                "update_s": self._now_s,
            }
            self._stated[tuple(values[name] for name in _KEY)] = values

    def driver(self, cable_id: str, period: Period) -> str:
        """Who drove with a cable in a period; empty when that is not known."""
        known = self._at[period.start_s, cable_id]
        return str(known[0]["driver_id"]) if known else ""

    def write(self) -> None:
        """Store all of it; called once."""
        if not self._changes:
            return
        first = take_numbers(self._connection, "transfer_update", self._changes)
        added = {tuple(values[name] for name in _KEY) for values in self._added}
        for values in (*self._added, *(v for key, v in self._stated.items() if key not in added)):
            values["update_number"] += first
        rows = [tuple(values[name] for name in _COLUMNS) for values in self._added]
        insert_many(self._connection, TRANSFER, _COLUMNS, rows)
        stated = [
            (*(values[name] for name in _STATED), *key)
            for key, values in self._stated.items()
            if key not in added
        ]
        update_many(self._connection, TRANSFER, _STATED, stated)
        insert_many(self._connection, GAP, [column.name for column in GAP.columns], self._gaps)

    def _change(self) -> int:
        """Number of a change within the batch, from 0."""
        self._changes += 1
        return self._changes - 1

    def _check_chain(self, key: EntryKey, record: TransferRecord) -> None:
        """Registers go on where the record before left them, or the gap is noted."""
        here = self._ends[key.cable_id, key.journal_epoch]
        place = bisect_left(here, (key.sequence, 0, 0))
        earlier = [here[place - 1]] if place else []
        if key in self._before:
            earlier.append(self._before[key])
        own = (key.sequence, record.site_to_vehicle_end_wh, record.vehicle_to_site_end_wh)
        insort(here, own)
        if not earlier:
            return
        _, taken_wh, given_wh = max(earlier)
        taken = record.site_to_vehicle_start_wh - taken_wh
        given = record.vehicle_to_site_start_wh - given_wh
        if taken or given:
            self._gaps.append((*key, taken, given))


def _keys_of_transfers(entries: Iterable[ReadEntry]) -> list[EntryKey]:
    return [each.entry.key for each in entries if isinstance(each.content, TransferRecord)]


def _ends_before(connection: Connection, keys: Sequence[EntryKey]) -> dict[EntryKey, _Ends]:
    """Where the last stored record before each key left its registers."""
    if not keys:
        return {}
    source, arguments = given(connection, TRANSFER, _KEY, keys)
    rows = connection.exec_driver_sql(
        "SELECT given.cable_id, given.journal_epoch, given.sequence,"  # noqa: S608  (our own names)
        " transfer.sequence AS sequence_before,"
        " transfer.site_to_vehicle_end_wh, transfer.vehicle_to_site_end_wh"
        f" FROM {source} CROSS JOIN transfer"
        " WHERE transfer.cable_id = given.cable_id"
        " AND transfer.journal_epoch = given.journal_epoch"
        " AND transfer.sequence = (SELECT max(earlier.sequence) FROM transfer AS earlier"
        " WHERE earlier.cable_id = given.cable_id"
        " AND earlier.journal_epoch = given.journal_epoch"
        " AND earlier.sequence < given.sequence)",
        arguments,
    )
    return {EntryKey(*row[:3]): (row[3], row[4], row[5]) for row in rows}


def _stored(connection: Connection, entries: Iterable[ReadEntry]) -> list[dict[str, Any]]:
    """Records that observations are about and that are stored already, in their order."""
    about = [
        (each.content.period.start_s, each.entry.key.cable_id)
        for each in entries
        if isinstance(each.content, SiteObservation)
    ]
    rows = rows_at(connection, TRANSFER, _WHERE, about)
    return [row._asdict() for row in sorted(rows, key=lambda row: row.entry_number)]


def _values(entry: LoggedEntry, record: TransferRecord) -> dict[str, Any]:
    """The columns of a record that nothing was concluded of yet."""
    position = record.position
    return {
        "cable_id": entry.key.cable_id,
        "journal_epoch": entry.key.journal_epoch,
        "sequence": entry.key.sequence,
        "entry_number": entry.number,
        "period_start": record.period.start_s,
        "period_length": record.period.length_s,
        "start_s": record.start_s,
        "end_s": record.end_s,
        "site_id": record.site_id,
        "driver_id": record.driver_id,
        "vehicle_id": record.vehicle_id,
        "site_to_vehicle_start_wh": record.site_to_vehicle_start_wh,
        "site_to_vehicle_end_wh": record.site_to_vehicle_end_wh,
        "vehicle_to_site_start_wh": record.vehicle_to_site_start_wh,
        "vehicle_to_site_end_wh": record.vehicle_to_site_end_wh,
        "quality": record.quality.value,
        "missing_s": record.missing_s,
        "clock_state": record.clock_state.value,
        "latitude_deg": position and position.latitude_deg,
        "longitude_deg": position and position.longitude_deg,
        "accuracy_m": position and position.accuracy_m,
        "fix_s": position and position.fix_time_s,
        "currency": "",
        "availability_micros": None,
        "energy_micros": None,
        "tariff_version": "",
        "cable_match": None,
        "manager_match": None,
        "forward_state": NEW,
        "revision": 0,
        "create_s": entry.receive_s,
    }
