"""Cables' cursors and the entry log: what the committer reads and writes in one transaction."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gridcord.session.entry import EntryKey, digest_of
from gridcord.session.manager import (
    Decision,
    Folded,
    Ruling,
    fold_batch,
    keys_to_look_up,
)
from gridcord.session.opening import CableCursor, Lineage
from manager.ports import ReceivedEntry
from manager.storage.audit import chain
from manager.storage.engine import insert_many, take_numbers, upsert
from manager.storage.rows import (
    CableRow,
    EntryRow,
    JournalRow,
    LostEntriesRow,
    QuarantineRow,
)

CABLE: sa.Table = CableRow.__table__  # type: ignore[attr-defined]
JOURNAL: sa.Table = JournalRow.__table__  # type: ignore[attr-defined]
ENTRY: sa.Table = EntryRow.__table__  # type: ignore[attr-defined]
LOST: sa.Table = LostEntriesRow.__table__  # type: ignore[attr-defined]
QUARANTINE: sa.Table = QuarantineRow.__table__  # type: ignore[attr-defined]

_ENTRY_COLUMNS = [column.name for column in ENTRY.columns]
_QUARANTINE_COLUMNS = [column.name for column in QUARANTINE.columns]
EQUIVOCATION = "EQUIVOCATION"
_ELSEWHERE = b""  # stands for bytes stored under the key in another period: never equal


def commit_entries(
    connection: Connection, entries: Sequence[ReceivedEntry], *, now_s: int
) -> Folded:
    """Decide on a batch and store it, with cursors, losses and equivocations.

    Acknowledge only after the transaction has committed.
    """
    cursors = load_cursors(connection, {entry.offer.key.cable_id for entry in entries})
    offers = [entry.offer for entry in entries]
    stored = _stored(connection, entries, set(keys_to_look_up(cursors=cursors, offers=offers)))
    folded = fold_batch(cursors=cursors, offers=offers, stored=stored)
    ruled = list(zip(entries, folded.rulings, strict=True))
    _insert(connection, [entry for entry, ruling in ruled if ruling.advances], now_s)
    _note_losses(connection, ruled, cursors)
    second = [entry for entry, ruling in ruled if ruling.decision is Decision.EQUIVOCATION]
    _note_equivocations(connection, second, now_s)
    _move(connection, folded.cursors)
    return folded


def load_cursors(connection: Connection, cable_ids: Iterable[str]) -> dict[str, CableCursor]:
    """Cursors of cables, locked until the transaction ends; unknown cables are left out."""
    wanted = sorted(cable_ids)
    locked = sa.select(CABLE).where(CABLE.c.cable_id.in_(wanted)).order_by(CABLE.c.cable_id)
    rows = connection.execute(locked.with_for_update()).all()
    lineages: dict[str, list[Lineage]] = {}
    journals = sa.select(JOURNAL).where(JOURNAL.c.cable_id.in_(wanted))
    for row in connection.execute(journals.order_by(JOURNAL.c.used_fence)):
        found = Lineage(journal_epoch=row.journal_epoch, committed_sequence=row.committed_sequence)
        lineages.setdefault(row.cable_id, []).append(found)
    return {
        row.cable_id: CableCursor(
            fence=row.fence,
            lineages=tuple(lineages.get(row.cable_id, ())),
            boot_id=row.boot_id,
            takeovers_s=tuple(json.loads(row.takeovers)),
            clone_suspected=row.clone_suspected,
        )
        for row in rows
    }


def store_cursor(
    connection: Connection, cable_id: str, cursor: CableCursor, *, signing_key: bytes, now_s: int
) -> None:
    """Store what a session's opening made of a cable; `first_seen_s` stays as it was."""
    upsert(
        connection,
        CABLE,
        [
            {
                "cable_id": cable_id,
                "fence": cursor.fence,
                "boot_id": cursor.boot_id,
                "takeovers": json.dumps(cursor.takeovers_s),
                "clone_suspected": cursor.clone_suspected,
                "signing_key": signing_key,
                "first_seen_s": now_s,
            }
        ],
        keep=frozenset({"first_seen_s"}),
    )
    current = cursor.lineages[-1]
    upsert(
        connection,
        JOURNAL,
        [
            {
                "cable_id": cable_id,
                "journal_epoch": current.journal_epoch,
                "committed_sequence": current.committed_sequence,
                "used_fence": cursor.fence,
            }
        ],
    )


def signing_keys(connection: Connection, cable_ids: Iterable[str]) -> dict[str, bytes]:
    """The enrolled key of each cable, SubjectPublicKeyInfo, DER."""
    query = sa.select(CABLE.c.cable_id, CABLE.c.signing_key)
    rows = connection.execute(query.where(CABLE.c.cable_id.in_(sorted(cable_ids))))
    return {row.cable_id: row.signing_key for row in rows}


def put_in_quarantine(
    connection: Connection,
    entries: Sequence[ReceivedEntry],
    *,
    reason: str,
    detail: str,
    now_s: int,
) -> None:
    """Keep entries that must not be paid, with the reason."""
    if not entries:
        return
    first = take_numbers(connection, "quarantine", len(entries))
    rows = [
        (first + index, *entry.offer.key, reason, detail, entry.body, entry.signature, now_s)
        for index, entry in enumerate(entries)
    ]
    insert_many(connection, QUARANTINE, _QUARANTINE_COLUMNS, rows)


def _note_equivocations(
    connection: Connection, entries: Sequence[ReceivedEntry], now_s: int
) -> None:
    """Keep each second version of an entry once, however often it is offered, and audit it."""
    known: set[tuple[EntryKey, bytes]] = set()
    fresh: list[ReceivedEntry] = []
    for entry in entries:
        key, digest = entry.offer.key, entry.offer.digest
        if (key, digest) not in known and digest not in _second_versions(connection, key):
            fresh.append(entry)
        known.add((key, digest))
    put_in_quarantine(connection, fresh, reason=EQUIVOCATION, detail="", now_s=now_s)
    for entry in fresh:
        key = entry.offer.key
        chain.append(
            connection,
            actor=f"cable/{key.cable_id}",
            action=EQUIVOCATION,
            subject=f"{key.cable_id}/{key.journal_epoch:x}/{key.sequence}",
            now_s=now_s,
            digest=entry.offer.digest.hex(),
        )


def _second_versions(connection: Connection, key: EntryKey) -> set[bytes]:
    """Digests of what was offered under a number that other bytes have."""
    bodies = connection.execute(
        sa.select(QUARANTINE.c.body).where(
            QUARANTINE.c.cable_id == key.cable_id,
            QUARANTINE.c.journal_epoch == key.journal_epoch,
            QUARANTINE.c.sequence == key.sequence,
            QUARANTINE.c.reason == EQUIVOCATION,
        )
    )
    return {digest_of(bytes(body)) for (body,) in bodies}


def _insert(connection: Connection, entries: Sequence[ReceivedEntry], now_s: int) -> None:
    if not entries:
        return
    first = take_numbers(connection, "entry", len(entries))
    rows: list[tuple[Any, ...]] = [
        (
            first + index,
            *entry.offer.key,
            entry.kind,
            entry.period_start_s,
            entry.body,
            entry.signature,
            entry.offer.fence,
            now_s,
        )
        for index, entry in enumerate(entries)
    ]
    insert_many(connection, ENTRY, _ENTRY_COLUMNS, rows)


def _stored(
    connection: Connection, entries: Sequence[ReceivedEntry], wanted: set[EntryKey]
) -> dict[EntryKey, bytes]:
    """Digests of what is stored under keys at or below the cursors.

    The log is looked up by the offered period, which its index begins with. What is neither there
    nor declared lost is stored under another period, so its bytes are other ones.
    """
    digests: dict[EntryKey, bytes] = {}
    for entry in entries:
        key = entry.offer.key
        if key not in wanted or key in digests:
            continue
        body = _body(connection, key, entry.period_start_s)
        if body is not None:
            digests[key] = digest_of(body)
        elif not _is_lost(connection, key):
            digests[key] = _ELSEWHERE
    return digests


def _body(connection: Connection, key: EntryKey, period_start_s: int) -> bytes | None:
    found = connection.execute(
        sa.select(ENTRY.c.body).where(
            ENTRY.c.period_start == period_start_s,
            ENTRY.c.cable_id == key.cable_id,
            ENTRY.c.journal_epoch == key.journal_epoch,
            ENTRY.c.sequence == key.sequence,
        )
    ).scalar()
    return None if found is None else bytes(found)


def _range_of(connection: Connection, key: EntryKey) -> Any:
    return connection.execute(
        sa.select(LOST).where(
            LOST.c.cable_id == key.cable_id,
            LOST.c.journal_epoch == key.journal_epoch,
            LOST.c.first_sequence <= key.sequence,
            LOST.c.last_sequence >= key.sequence,
        )
    ).first()


def _is_lost(connection: Connection, key: EntryKey) -> bool:
    return _range_of(connection, key) is not None


def _note_losses(
    connection: Connection,
    ruled: Sequence[tuple[ReceivedEntry, Ruling]],
    cursors: Mapping[str, CableCursor],
) -> None:
    """Record numbers that entries declare lost, and take out those that turned up after all."""
    highest: dict[tuple[str, int], int] = {}
    for entry, ruling in ruled:
        if not ruling.advances:
            continue
        key = entry.offer.key
        lineage = key.cable_id, key.journal_epoch
        before = highest.get(lineage)
        if before is None:
            before = cursors[key.cable_id].committed(journal_epoch=key.journal_epoch) or 0
        highest[lineage] = max(before, key.sequence)
        if ruling.lost is not None:
            _insert_range(connection, key, *ruling.lost)
        elif key.sequence <= before:
            _fill(connection, key)


def _fill(connection: Connection, key: EntryKey) -> None:
    """Take a number out of the range that was declared lost."""
    found = _range_of(connection, key)
    if found is None:
        return
    connection.execute(
        LOST.delete().where(
            LOST.c.cable_id == key.cable_id,
            LOST.c.journal_epoch == key.journal_epoch,
            LOST.c.first_sequence == found.first_sequence,
        )
    )
    _insert_range(connection, key, found.first_sequence, key.sequence - 1)
    _insert_range(connection, key, key.sequence + 1, found.last_sequence)


def _insert_range(connection: Connection, key: EntryKey, first: int, last: int) -> None:
    if first <= last:
        values = {
            "cable_id": key.cable_id,
            "journal_epoch": key.journal_epoch,
            "first_sequence": first,
            "last_sequence": last,
        }
        connection.execute(LOST.insert().values(**values))


def _move(connection: Connection, cursors: Mapping[str, CableCursor]) -> None:
    if not cursors:
        return
    rows = [
        (lineage.committed_sequence, cable_id, lineage.journal_epoch)
        for cable_id, cursor in cursors.items()
        for lineage in cursor.lineages[-1:]
    ]
    mark = "?" if connection.dialect.name == "sqlite" else "%s"
    connection.exec_driver_sql(
        f"UPDATE journal SET committed_sequence = {mark}"  # noqa: S608  (a placeholder)
        f" WHERE cable_id = {mark} AND journal_epoch = {mark}",
        rows,
    )
