"""Reported transfers as rows, and the days of which the utility is to be told anew."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.engine import Connection

from gridcord.units import CableId, Period, SiteId
from utility_adapter.domain.transfers import ReportedTransfer
from utility_adapter.storage.tables import CHANGED_DAY, TRANSFER

DAY_S = 86_400
_RECORD = (TRANSFER.c.cable_id, TRANSFER.c.journal_epoch, TRANSFER.c.sequence_number)


class TransferDiffers(Exception):
    """A transfer was reported before with the same revision and other values."""


def report(
    connection: Connection, transfers: Sequence[ReportedTransfer], *, day_offset_s: int
) -> tuple[int, int]:
    """Keep what was transferred, and that its days changed.

    A correction that moves a record to another day changes both.

    Returns:
        How many were new and how many were known.

    Raises:
        TransferDiffers: One was reported before with other values.
    """
    stored = known = 0
    days: set[int] = set()
    for transfer in transfers:
        before = _revisions(connection, transfer)
        same = [row for row in before if row.revision == transfer.revision]
        if not same:
            connection.execute(TRANSFER.insert(), _values(transfer))
            starts = (transfer.period.start_s, *(row.period_start for row in before))
            days |= {(start_s + day_offset_s) // DAY_S for start_s in starts}
            stored += 1
        elif _transfer(same[0]).states_the_same_as(transfer):
            known += 1
        else:
            message = f"{transfer.key} revision {transfer.revision} was reported otherwise"
            raise TransferDiffers(message)
    _note_changed(connection, days)
    return stored, known


def all_transfers(connection: Connection) -> list[ReportedTransfer]:
    """Everything that was reported, oldest period first."""
    query = sa.select(TRANSFER).order_by(TRANSFER.c.period_start, TRANSFER.c.cable_id)
    return [_transfer(row) for row in connection.execute(query)]


def transfers_between(connection: Connection, start_s: int, end_s: int) -> list[ReportedTransfer]:
    """All revisions of every record of which one is of a period in [start_s, end_s)."""
    within = sa.and_(TRANSFER.c.period_start >= start_s, TRANSFER.c.period_start < end_s)
    records = sa.select(*_RECORD).where(within)
    query = sa.select(TRANSFER).where(sa.tuple_(*_RECORD).in_(records))
    return [_transfer(row) for row in connection.execute(query)]


def changed_days(connection: Connection) -> dict[int, int]:
    """Days of which the utility was not told as they are now, and how often each changed."""
    query = sa.select(CHANGED_DAY).order_by(CHANGED_DAY.c.day)
    return {row.day: row.changes for row in connection.execute(query)}


def note_told(connection: Connection, day: int, changes: int) -> None:
    """The utility was told of a day as it was after so many changes; a later one stands."""
    connection.execute(
        CHANGED_DAY.delete().where(CHANGED_DAY.c.day == day, CHANGED_DAY.c.changes == changes)
    )


def _note_changed(connection: Connection, days: Iterable[int]) -> None:
    rows = [{"day": day, "changes": 1} for day in days]
    if rows:
        told = insert(CHANGED_DAY)
        more = {"changes": CHANGED_DAY.c.changes + 1}
        connection.execute(told.on_conflict_do_update(index_elements=["day"], set_=more), rows)


def _revisions(connection: Connection, transfer: ReportedTransfer) -> Sequence[Any]:
    return connection.execute(
        sa.select(TRANSFER).where(
            TRANSFER.c.cable_id == transfer.cable_id,
            TRANSFER.c.journal_epoch == transfer.journal_epoch,
            TRANSFER.c.sequence_number == transfer.sequence_number,
        )
    ).all()


def _values(transfer: ReportedTransfer) -> dict[str, Any]:
    return {
        "cable_id": transfer.cable_id,
        "journal_epoch": transfer.journal_epoch,
        "sequence_number": transfer.sequence_number,
        "revision": transfer.revision,
        "site_id": transfer.site_id,
        "period_start": transfer.period.start_s,
        "period_length": transfer.period.length_s,
        "site_to_vehicle_wh": transfer.site_to_vehicle_wh,
        "vehicle_to_site_wh": transfer.vehicle_to_site_wh,
        "received_at_s": transfer.received_at_s,
    }


def _transfer(row: Any) -> ReportedTransfer:
    return ReportedTransfer(
        cable_id=CableId(row.cable_id),
        journal_epoch=row.journal_epoch,
        sequence_number=row.sequence_number,
        revision=row.revision,
        site_id=SiteId(row.site_id),
        period=Period(row.period_start, row.period_length),
        site_to_vehicle_wh=row.site_to_vehicle_wh,
        vehicle_to_site_wh=row.vehicle_to_site_wh,
        received_at_s=row.received_at_s,
    )
