"""From the log to what is derived from it, batch by batch, each batch in one transaction.

The follower's cursor moves in the same transaction, so every entry is projected exactly once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gridcord.metering.reading import Permission, SiteReading, Verdict
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
from manager.domain.records.logged_entry import LoggedEntry, ReadEntry
from manager.storage import notices
from manager.storage.audit import chain
from manager.storage.engine import Database, insert_many, take_numbers, upsert
from manager.storage.followers import cursor_of, move_cursor
from manager.storage.ledger.settlement import settle
from manager.storage.log.journals import ENTRY, QUARANTINE
from manager.storage.log.transfer_batch import TransferBatch
from manager.storage.rows import (
    CableRow,
    CableSessionRow,
    SiteRow,
    TransferRow,
)
from manager.storage.sites.blocks import ASSET, SITE_ASSET
from manager.storage.sites.proofs import apply_proof
from manager.storage.sites.readings import insert_received, judge_anew, know_sites
from manager.storage.sites.rechecks import MISMATCH, SAMPLE, enqueue, sampled

CABLE: sa.Table = CableRow.__table__  # type: ignore[attr-defined]
SESSION: sa.Table = CableSessionRow.__table__  # type: ignore[attr-defined]
TRANSFER: sa.Table = TransferRow.__table__  # type: ignore[attr-defined]
SITE: sa.Table = SiteRow.__table__  # type: ignore[attr-defined]

FOLLOWER = "projection"


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
            _apply(connection, entries, self._policy, now_s=now_s)
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
        for row in connection.execute(query).all()
    ]


def _apply(
    connection: Connection, entries: Sequence[ReadEntry], policy: ProjectionPolicy, *, now_s: int
) -> None:
    """Derive from entries in order; a proof may rest on all that was told before it."""
    for proofs, run in groupby(entries, key=lambda read: isinstance(read.content, ProofRecord)):
        if not proofs:
            _Batch(connection, list(run), policy, now_s).apply()
            continue
        for read in run:
            assert isinstance(read.content, ProofRecord)
            apply_proof(
                connection,
                read.content,
                cable_id=read.entry.key.cable_id,
                failed_permission=policy.proof_failed,
                now_s=now_s,
            )


class _Batch:
    """A run of entries within its transaction."""

    def __init__(
        self,
        connection: Connection,
        entries: Sequence[ReadEntry],
        policy: ProjectionPolicy,
        now_s: int,
    ) -> None:
        self._connection = connection
        self._entries = entries
        self._policy = policy
        self._now_s = now_s
        self._transfers = TransferBatch(connection, entries, now_s=now_s)

    def apply(self) -> None:
        self._sites()
        for read in self._entries:
            content = read.content
            if read.doubt is not None:
                self._quarantine(read)
            elif isinstance(content, TransferRecord):
                self._transfers.add(read.entry, content)
            elif isinstance(content, SiteObservation):
                self._observation(read.entry, content)
            elif isinstance(content, CableEvent):
                self._event(read.entry, content)
        self._transfers.write()

    def _sites(self) -> None:
        """Sites are known from now on; where their past changes they are judged anew."""
        seen: dict[str, None] = {}
        anew: dict[str, int] = {}
        readings: list[tuple[SiteReading, int]] = []
        for read in self._entries:
            content = read.content
            if isinstance(content, SiteObservation):
                seen[content.site_id] = None
                readings += [(each, read.entry.receive_s) for each in content.readings]
            elif isinstance(content, TransferRecord) and content.site_id:
                seen[content.site_id] = None
                start_s = content.period.start_s
                anew[content.site_id] = min(start_s, anew.get(content.site_id, start_s))
        know_sites(self._connection, seen, now_s=self._now_s)
        judge_anew(self._connection, anew)
        insert_received(self._connection, readings)

    def _quarantine(self, read: ReadEntry) -> None:
        assert read.doubt is not None
        entry, doubt = read.entry, read.doubt
        number = take_numbers(self._connection, "quarantine", 1)
        columns = [column.name for column in QUARANTINE.columns]
        row = (number, *entry.key, doubt.reason, doubt.detail, entry.body, entry.signature)
        insert_many(self._connection, QUARANTINE, columns, [(*row, self._now_s)])
        chain.append(
            self._connection,
            actor=f"cable/{entry.key.cable_id}",
            action=doubt.reason,
            subject=_name(entry.key),
            now_s=self._now_s,
            detail=doubt.detail,
        )

    def _observation(self, entry: LoggedEntry, observation: SiteObservation) -> None:
        period, match = observation.period, observation.match
        self._transfers.state(entry.key.cable_id, period, match)
        if match.verdict is Verdict.MISMATCHED or match.suspect:
            enqueue(self._connection, observation.site_id, period, MISMATCH, now_s=self._now_s)
            notices.add(
                self._connection,
                driver_id=self._transfers.driver(entry.key.cable_id, period),
                site_id=observation.site_id,
                reason="METER_MISMATCH" if not match.suspect else "METER_SUSPECT",
                text=match.sentence,
                period=period,
                permission=Permission.BIDIRECTIONAL,
                now_s=self._now_s,
            )
        elif match.verdict is Verdict.MATCHED and sampled(self._policy.sample_matched):
            enqueue(self._connection, observation.site_id, period, SAMPLE, now_s=self._now_s)

    def _event(self, entry: LoggedEntry, event: CableEvent) -> None:
        if event.asset_loading is not None and event.site_id:
            store_loading(self._connection, event.asset_loading, [event.site_id])
        if event.kind in _AUDITED:
            chain.append(
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
