"""Transfers as the manager tells them: listed, watched, forwarded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gridcord.metering.records import TransferRecord
from gridcord.settlement.earning import Earning
from gridcord.settlement.transfer import TransferKey
from gridcord.units import CableId, Money
from gridcord.wire.journal import entry_from_bytes
from manager.domain.records.transfer import StoredTransfer
from manager.storage.engine import Database
from manager.storage.log.journals import ENTRY
from manager.storage.log.stated_matches import match_from_json
from manager.storage.rows import TransferRow

TRANSFER: sa.Table = TransferRow.__table__  # type: ignore[attr-defined]

NEW = "NEW"
SENT = "SENT"


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferFilter:
    """Selects transfers; all conditions must hold, an empty one always does.

    Args:
        cable_id: Of this cable.
        site_id: At this site.
        driver_id: Of this driver.
        start_s: Of periods that start at or after this, seconds since 1970 UTC.
        end_s: Of periods that start before this.
    """

    cable_id: str = ""
    site_id: str = ""
    driver_id: str = ""
    start_s: int | None = None
    end_s: int | None = None


class SqlTransfers:
    """Transfers in a database.

    Args:
        database: It.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, key: TransferKey) -> StoredTransfer | None:
        """One transfer; None when there is none of that name."""
        query = _joined().where(
            TRANSFER.c.cable_id == key.cable_id,
            TRANSFER.c.journal_epoch == key.journal_epoch,
            TRANSFER.c.sequence == key.sequence_number,
        )
        found = await self._select(query)
        return found[0] if found else None

    async def page(
        self, which: TransferFilter, *, after_entry: int, limit: int
    ) -> list[StoredTransfer]:
        """Transfers behind a place in the log, in the log's order."""
        query = _joined().where(TRANSFER.c.entry_number > after_entry, *_conditions(which))
        return await self._select(query.order_by(TRANSFER.c.entry_number).limit(limit))

    async def changed(self, *, after_update: int, limit: int) -> list[StoredTransfer]:
        """Transfers that were stored or changed behind a cursor, in the order of change."""
        query = _joined().where(TRANSFER.c.update_number > after_update)
        return await self._select(query.order_by(TRANSFER.c.update_number).limit(limit))

    async def last_update(self) -> int:
        """The cursor behind everything that is there now."""
        query = sa.select(sa.func.max(TRANSFER.c.update_number))
        return await self._database.read(lambda c: c.execute(query).scalar()) or 0

    async def to_forward(self, limit: int) -> list[tuple[StoredTransfer, int]]:
        """Transfers the utility does not have in this revision, oldest first."""

        def work(connection: Connection) -> list[tuple[StoredTransfer, int]]:
            query = (
                _joined()
                .where(TRANSFER.c.forward_state == NEW, TRANSFER.c.site_id != "")
                .order_by(TRANSFER.c.entry_number)
                .limit(limit)
            )
            return [(_transfer(row), row.revision) for row in connection.execute(query)]

        return await self._database.read(work)

    async def forwarded(self, sent: Sequence[tuple[StoredTransfer, int]]) -> None:
        """Note what the utility has; what changed meanwhile stays to be sent."""

        def work(connection: Connection) -> None:
            for transfer, revision in sent:
                connection.execute(
                    TRANSFER.update()
                    .where(
                        TRANSFER.c.entry_number == transfer.entry_number,
                        TRANSFER.c.revision == revision,
                    )
                    .values(forward_state=SENT)
                )

        await self._database.write(work)

    async def _select(self, query: Any) -> list[StoredTransfer]:
        def work(connection: Connection) -> list[StoredTransfer]:
            return [_transfer(row) for row in connection.execute(query)]

        return await self._database.read(work)


def _joined() -> Any:
    return sa.select(TRANSFER, ENTRY.c.body).join(
        ENTRY, ENTRY.c.entry_number == TRANSFER.c.entry_number
    )


def _conditions(which: TransferFilter) -> list[Any]:
    conditions = [
        column == value
        for column, value in (
            (TRANSFER.c.cable_id, which.cable_id),
            (TRANSFER.c.site_id, which.site_id),
            (TRANSFER.c.driver_id, which.driver_id),
        )
        if value
    ]
    if which.start_s is not None:
        conditions.append(TRANSFER.c.period_start >= which.start_s)
    if which.end_s is not None:
        conditions.append(TRANSFER.c.period_start < which.end_s)
    return conditions


def _transfer(row: Any) -> StoredTransfer:
    record = entry_from_bytes(bytes(row.body))
    assert isinstance(record, TransferRecord), "only transfers are projected as transfers"
    return StoredTransfer(
        key=TransferKey(CableId(row.cable_id), row.journal_epoch, row.sequence),
        record=record,
        cable_match=match_from_json(row.cable_match),
        manager_match=match_from_json(row.manager_match),
        earning=_earning(row),
        forwarded=row.forward_state == SENT,
        entry_number=row.entry_number,
        update_number=row.update_number,
        create_s=row.create_s,
        update_s=row.update_s,
    )


def _earning(row: Any) -> Earning | None:
    if row.energy_micros is None:
        return None
    return Earning(
        availability=Money(row.currency, row.availability_micros),
        energy=Money(row.currency, row.energy_micros),
        tariff=row.tariff_version,
    )
