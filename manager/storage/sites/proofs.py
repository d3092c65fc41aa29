"""Active proofs as rows, and what their outcome makes of a site."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gridcord.metering.proof_pattern import Plateau
from gridcord.metering.reading import Permission, Verdict
from gridcord.metering.records import ProofOutcome, ProofRecord
from gridcord.units import SiteId
from manager.domain.trust.block_rules import after_proof, appealed, rejections_convict
from manager.domain.trust.site_block import BlockCause, SiteBlock
from manager.storage.audit import chain
from manager.storage.engine import Database
from manager.storage.log.stated_matches import match_from_json
from manager.storage.rows import ProofRow, SiteRow, TransferRow
from manager.storage.sites.block_notes import note_block
from manager.storage.sites.blocks import blocks_in_force, insert_block, update_block
from manager.storage.sites.governed_blocks import end_block
from manager.storage.sites.settlements import rejections_since_settled

PROOF: sa.Table = ProofRow.__table__  # type: ignore[attr-defined]
SITE: sa.Table = SiteRow.__table__  # type: ignore[attr-defined]
TRANSFER: sa.Table = TransferRow.__table__  # type: ignore[attr-defined]

MOST_TRANSFERS = 64  # looked through for who is in question, newest first


class SqlProofs:
    """`manager.usecases.prove_sites.Proofs` on a database.

    Args:
        database: It.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def asked(
        self,
        proof_id: str,
        *,
        site_id: SiteId,
        cable_id: str,
        pattern: Sequence[Plateau],
        reason: str,
        actor: str,
        now_s: int,
        expire_s: int,
    ) -> None:
        """Keep a proof that was asked for; a block of the site counts as appealed."""

        def work(connection: Connection) -> None:
            connection.execute(
                PROOF.insert().values(
                    proof_id=proof_id,
                    site_id=site_id,
                    cable_id=cable_id,
                    pattern=json.dumps([[p.start_s, p.end_s, p.power_w] for p in pattern]),
                    reason=reason,
                    create_s=now_s,
                    expire_s=expire_s,
                )
            )
            for block in blocks_in_force(connection, site_id):
                if (after := appealed(block)) is not block:
                    update_block(connection, after)
            chain.append(
                connection,
                actor=actor,
                action="ACTIVE_PROOF_ASKED",
                subject=site_id,
                now_s=now_s,
                proof=proof_id,
                cable=cable_id,
                reason=reason,
            )

        await self._database.write(work)

    async def in_question(self, site_id: SiteId) -> list[str]:
        """Cables in whose transfers the site was doubted, the one that moved most first."""
        query = (
            sa.select(TRANSFER)
            .where(TRANSFER.c.site_id == site_id, TRANSFER.c.manager_match.is_not(None))
            .order_by(TRANSFER.c.period_start.desc())
            .limit(MOST_TRANSFERS)
        )
        moved_wh: Counter[str] = Counter()
        for row in await self._database.read(lambda connection: connection.execute(query).all()):
            match = match_from_json(row.manager_match)
            if match is not None and (match.suspect or match.verdict is Verdict.MISMATCHED):
                taken_wh = row.site_to_vehicle_end_wh - row.site_to_vehicle_start_wh
                given_wh = row.vehicle_to_site_end_wh - row.vehicle_to_site_start_wh
                moved_wh[row.cable_id] += taken_wh + given_wh
        return [cable_id for cable_id, _ in moved_wh.most_common()]

    async def recent(self, site_id: SiteId, *, since_s: int, undecided_since_s: int) -> bool:
        """Whether a proof was asked for at a site since then, or lately one that did not accept."""
        accepted = PROOF.c.outcome == ProofOutcome.ACCEPTED.value
        query = sa.select(PROOF.c.proof_id).where(
            PROOF.c.site_id == site_id,
            (accepted & (PROOF.c.create_s >= since_s)) | (PROOF.c.create_s >= undecided_since_s),
        )
        return await self._database.read(lambda c: c.execute(query.limit(1)).first()) is not None


def apply_proof(
    connection: Connection,
    proof: ProofRecord,
    *,
    cable_id: str,
    failed_permission: Permission,
    now_s: int,
) -> None:
    """Let the outcome of a proof count, once: for the evidence, and for the site's blocks.

    A proof that nobody asked this cable for changes nothing.
    """
    row = connection.execute(
        sa.select(PROOF).where(PROOF.c.proof_id == proof.proof_id, PROOF.c.cable_id == cable_id)
    ).first()
    if row is None or row.outcome is not None:
        return
    connection.execute(
        PROOF.update()
        .where(PROOF.c.proof_id == proof.proof_id)
        .values(outcome=proof.outcome.value, evidence_nats=proof.evidence_nats, end_s=now_s)
    )
    chain.append(
        connection,
        actor=f"cable/{cable_id}",
        action=f"ACTIVE_PROOF_{proof.outcome.value}",
        subject=row.site_id,
        now_s=now_s,
        proof=proof.proof_id,
        nats=round(proof.evidence_nats, 1),
        gain=round(proof.gain, 2),
    )
    accepted = _DECIDED.get(proof.outcome)
    _settle_blocks(connection, row.site_id, proof, accepted=accepted, now_s=now_s)
    if accepted is False:
        _convict(connection, row.site_id, proof, permission=failed_permission, now_s=now_s)


_DECIDED = {ProofOutcome.ACCEPTED: True, ProofOutcome.REJECTED: False}


def _settle_blocks(
    connection: Connection, site_id: str, proof: ProofRecord, *, accepted: bool | None, now_s: int
) -> None:
    for block in blocks_in_force(connection, site_id):
        after = after_proof(block, accepted=accepted, proof=_reference(proof), now_s=now_s)
        if not after.in_force:
            end_block(connection, after, actor="manager", now_s=now_s)
        elif after is not block:
            update_block(connection, after)


def _convict(
    connection: Connection,
    site_id: str,
    proof: ProofRecord,
    *,
    permission: Permission,
    now_s: int,
) -> None:
    """Block a site whose proofs failed, unless it is blocked for what rests on the meter."""
    in_force = list(blocks_in_force(connection, site_id))
    query = sa.select(SITE.c.evidence_nats).where(SITE.c.site_id == site_id)
    convicted = rejections_convict(
        rejections=rejections_since_settled(connection, site_id),
        evidence_nats=connection.execute(query).scalar() or 0.0,
    )
    if convicted and all(b.cause is BlockCause.OPERATOR or b.cable_id for b in in_force):
        block = SiteBlock(
            site_id=SiteId(site_id),
            permission=permission,
            cause=BlockCause.PROOF_FAILED,
            reason=f"the meter did not show the pattern of {_reference(proof)} ({proof.detail})",
            evidence=(_reference(proof),),
            create_s=now_s,
            created_by="manager",
        )
        note_block(connection, insert_block(connection, block), actor="manager", now_s=now_s)


def _reference(proof: ProofRecord) -> str:
    return f"proof/{proof.proof_id}"
