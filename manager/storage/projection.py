"""From the log to what is derived from it, batch by batch, each batch in one transaction.

The follower's cursor moves in the same transaction, so every entry is projected exactly once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gridcord.metering.reading import Permission, Verdict
from gridcord.metering.records import (
    AssetLoading,
    CableEvent,
    CableEventKind,
    ProofRecord,
    SiteObservation,
    TransferRecord,
)
from gridcord.session.entry import EntryKey
from gridcord.settlement.terms import Terms
from gridcord.units import Period
from manager.domain.logged_entry import LoggedEntry, ReadEntry
from manager.storage import audit, notices
from manager.storage.engine import Database, insert_many, take_numbers, upsert
from manager.storage.followers import cursor_of, move_cursor
from manager.storage.journals import ENTRY, QUARANTINE
from manager.storage.proofs import apply_proof
from manager.storage.rechecks import MISMATCH, SAMPLE, enqueue, sampled
from manager.storage.rows import (
    CableRow,
    CableSessionRow,
    RegisterGapRow,
    SiteRow,
    TransferRow,
)
from manager.storage.settlement import settle
from manager.storage.site_blocks import ASSET, SITE_ASSET
from manager.storage.site_readings import insert_readings, judge_anew, know_site
from manager.storage.stated_matches import match_to_json

CABLE: sa.Table = CableRow.__table__  # type: ignore[attr-defined]
SESSION: sa.Table = CableSessionRow.__table__  # type: ignore[attr-defined]
TRANSFER: sa.Table = TransferRow.__table__  # type: ignore[attr-defined]
GAP: sa.Table = RegisterGapRow.__table__  # type: ignore[attr-defined]
SITE: sa.Table = SiteRow.__table__  # type: ignore[attr-defined]

FOLLOWER = "projection"
NEW = "NEW"

_TRANSFER_COLUMNS = [column.name for column in TRANSFER.columns]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectionPolicy:
    """What projecting needs to know.

    Args:
        terms: What turns records into money.
        sample_matched: Share of matched periods that are looked at again, in [0, 1].
        proof_failed: What may still flow at a site whose meter did not show a pattern.
    """

    terms: Terms
    sample_matched: float
    proof_failed: Permission = Permission.NONE


class SqlProjection:
    """`manager.ports.Projection` on a database.

    Args:
        database: It.
        policy: What projecting needs to know.
    """

    def __init__(self, database: Database, policy: ProjectionPolicy) -> None:
        self._database = database
        self._policy = policy

    async def pending(self, limit: int) -> list[LoggedEntry]:
        """The next entries that were not projected yet, in order."""
        return await self._database.read(lambda connection: _pending(connection, limit))

    async def apply(self, entries: Sequence[ReadEntry], *, now_s: int) -> None:
        """Derive what follows from entries, in order, and move on behind the last."""

        def work(connection: Connection) -> None:
            _Batch(connection, self._policy, now_s).apply(entries)
            move_cursor(connection, FOLLOWER, str(entries[-1].entry.number))
            settle(connection, self._policy.terms, now_s=now_s, limit=len(entries))

        await self._database.write(work)


def _pending(connection: Connection, limit: int) -> list[LoggedEntry]:
    after = int(cursor_of(connection, FOLLOWER) or 0)
    query = (
        sa.select(ENTRY, CABLE.c.signing_key, SESSION.c.rated_power_w)
        .join(CABLE, CABLE.c.cable_id == ENTRY.c.cable_id)
        .outerjoin(
            SESSION,
            (SESSION.c.cable_id == ENTRY.c.cable_id) & (SESSION.c.fence == ENTRY.c.fence),
        )
        .where(ENTRY.c.entry_number > after)
        .order_by(ENTRY.c.entry_number)
        .limit(limit)
    )
    return [
        LoggedEntry(
            number=row.entry_number,
            key=EntryKey(row.cable_id, row.journal_epoch, row.sequence),
            kind=row.kind,
            body=bytes(row.body),
            signature=bytes(row.signature),
            signing_key=bytes(row.signing_key),
            rated_power_w=row.rated_power_w or 0,
            receive_s=row.receive_s,
        )
        for row in connection.execute(query)
    ]


class _Batch:
    """One batch within its transaction."""

    def __init__(self, connection: Connection, policy: ProjectionPolicy, now_s: int) -> None:
        self._connection = connection
        self._policy = policy
        self._now_s = now_s

    def apply(self, entries: Sequence[ReadEntry]) -> None:
        for read in entries:
            content = read.content
            if read.doubt is not None:
                self._quarantine(read)
            elif isinstance(content, TransferRecord):
                self._transfer(read.entry, content)
            elif isinstance(content, SiteObservation):
                self._observation(read.entry, content)
            elif isinstance(content, CableEvent):
                self._event(read.entry, content)
            elif isinstance(content, ProofRecord):
                apply_proof(
                    self._connection,
                    content,
                    cable_id=read.entry.key.cable_id,
                    failed_permission=self._policy.proof_failed,
                    now_s=self._now_s,
                )

    def _quarantine(self, read: ReadEntry) -> None:
        assert read.doubt is not None
        entry, doubt = read.entry, read.doubt
        number = take_numbers(self._connection, "quarantine", 1)
        columns = [column.name for column in QUARANTINE.columns]
        row = (number, *entry.key, doubt.reason, doubt.detail, entry.body, entry.signature)
        insert_many(self._connection, QUARANTINE, columns, [(*row, self._now_s)])
        audit.append(
            self._connection,
            actor=f"cable/{entry.key.cable_id}",
            action=doubt.reason,
            subject=_name(entry.key),
            now_s=self._now_s,
            detail=doubt.detail,
        )

    def _transfer(self, entry: LoggedEntry, record: TransferRecord) -> None:
        self._check_chain(entry.key, record)
        if record.site_id:
            know_site(self._connection, record.site_id, now_s=self._now_s)
            judge_anew(self._connection, record.site_id, start_s=record.period.start_s)
        number = take_numbers(self._connection, "transfer_update", 1)
        position = record.position
        values: dict[str, Any] = {
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
            "update_number": number,
            "create_s": entry.receive_s,
            "update_s": self._now_s,
        }
        row = tuple(values[name] for name in _TRANSFER_COLUMNS)
        insert_many(self._connection, TRANSFER, _TRANSFER_COLUMNS, [row])

    def _check_chain(self, key: EntryKey, record: TransferRecord) -> None:
        """Registers go on where the record before left them, or the gap is noted."""
        before = self._connection.execute(
            sa.select(TRANSFER.c.site_to_vehicle_end_wh, TRANSFER.c.vehicle_to_site_end_wh)
            .where(
                TRANSFER.c.cable_id == key.cable_id,
                TRANSFER.c.journal_epoch == key.journal_epoch,
                TRANSFER.c.sequence < key.sequence,
            )
            .order_by(TRANSFER.c.sequence.desc())
            .limit(1)
        ).first()
        if before is None:
            return
        taken = record.site_to_vehicle_start_wh - before.site_to_vehicle_end_wh
        given = record.vehicle_to_site_start_wh - before.vehicle_to_site_end_wh
        if taken or given:
            self._connection.execute(
                GAP.insert().values(
                    **key._asdict(), site_to_vehicle_gap_wh=taken, vehicle_to_site_gap_wh=given
                )
            )

    def _observation(self, entry: LoggedEntry, observation: SiteObservation) -> None:
        know_site(self._connection, observation.site_id, now_s=self._now_s)
        insert_readings(self._connection, observation.readings, receive_s=entry.receive_s)
        self._state(entry.key.cable_id, observation)
        period, match = observation.period, observation.match
        if match.verdict is Verdict.MISMATCHED or match.suspect:
            enqueue(self._connection, observation.site_id, period, MISMATCH, now_s=self._now_s)
            notices.add(
                self._connection,
                driver_id=self._driver(entry.key.cable_id, period),
                site_id=observation.site_id,
                reason="METER_MISMATCH" if not match.suspect else "METER_SUSPECT",
                text=match.sentence,
                period=period,
                permission=Permission.BIDIRECTIONAL,
                now_s=self._now_s,
            )
        elif match.verdict is Verdict.MATCHED and sampled(self._policy.sample_matched):
            enqueue(self._connection, observation.site_id, period, SAMPLE, now_s=self._now_s)

    def _state(self, cable_id: str, observation: SiteObservation) -> None:
        rows = self._connection.execute(
            sa.select(TRANSFER.c.entry_number).where(
                TRANSFER.c.period_start == observation.period.start_s,
                TRANSFER.c.cable_id == cable_id,
            )
        ).all()
        for row in rows:
            self._connection.execute(
                TRANSFER.update()
                .where(TRANSFER.c.entry_number == row.entry_number)
                .values(
                    cable_match=match_to_json(observation.match),
                    update_number=take_numbers(self._connection, "transfer_update", 1),
                    update_s=self._now_s,
                )
            )

    def _driver(self, cable_id: str, period: Period) -> str:
        query = sa.select(TRANSFER.c.driver_id).where(
            TRANSFER.c.period_start == period.start_s, TRANSFER.c.cable_id == cable_id
        )
        return self._connection.execute(query.limit(1)).scalar() or ""

    def _event(self, entry: LoggedEntry, event: CableEvent) -> None:
        if event.asset_loading is not None and event.site_id:
            store_loading(self._connection, event.asset_loading, [event.site_id])
        if event.kind in _AUDITED:
            audit.append(
                self._connection,
                actor=f"cable/{entry.key.cable_id}",
                action=event.kind.value,
                subject=event.site_id or f"cable/{entry.key.cable_id}",
                now_s=self._now_s,
                detail=event.detail,
            )


_AUDITED = {
    CableEventKind.TAMPERED,
    CableEventKind.REVERSE_POWER_TRIPPED,
    CableEventKind.METER_SWAPPED,
    CableEventKind.SEQUENCE_REGRESSED,
    CableEventKind.CLOCK_STEPPED,
    CableEventKind.EQUIPMENT_LIMIT_REACHED,
}


def store_loading(connection: Connection, loading: AssetLoading, site_ids: Sequence[str]) -> None:
    """Store the loading of equipment and which sites it feeds."""
    values = {
        "asset_id": loading.asset_id,
        "loading_percent": loading.loading_percent,
        "rated_va": loading.rated_va,
        "measure_s": int(loading.measured_s),
    }
    upsert(connection, ASSET, [values])
    links = [{"site_id": site_id, "asset_id": loading.asset_id} for site_id in site_ids]
    upsert(connection, SITE_ASSET, links)


def _name(key: EntryKey) -> str:
    return f"{key.cable_id}/{key.journal_epoch:x}/{key.sequence}"
