"""What settled a site's evidence: active proofs, and blocks that were lifted or ran out."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gridcord.metering.records import ProofOutcome
from manager.domain.trust.block_rules import REJECTION_NATS, Subject
from manager.domain.trust.site_block import BlockCause, BlockState
from manager.domain.trust.site_judgement import Settled
from manager.storage.rows import ProofRow
from manager.storage.sites.blocks import BLOCK

PROOF: sa.Table = ProofRow.__table__  # type: ignore[attr-defined]

CLEARED_NATS = 60.0  # takes away all evidence that led to a block; only what comes later counts

_DECIDED = (ProofOutcome.ACCEPTED.value, ProofOutcome.REJECTED.value)
_BY_PROOF = (BlockCause.METER_MISMATCH, BlockCause.PROOF_FAILED)
_ENDED = (BlockState.LIFTED.value, BlockState.EXPIRED.value)


def settled_at(connection: Connection, site_id: str) -> list[Settled]:
    """What a site's matcher must take into account besides readings, in order of time."""
    proofs = sa.select(PROOF).where(PROOF.c.site_id == site_id, PROOF.c.outcome.in_(_DECIDED))
    found = [
        Settled(
            at_s=row.end_s,
            accepted=row.outcome == ProofOutcome.ACCEPTED.value,
            nats=_nats(row.outcome, row.evidence_nats),
        )
        for row in connection.execute(proofs)
    ]
    ended_s = _ended_s(connection, site_id)
    found += [
        Settled(at_s=at_s, accepted=True, nats=CLEARED_NATS)
        for (cause, _), at_s in ended_s
        if cause is BlockCause.METER_MISMATCH
    ]
    return sorted(found, key=lambda each: each.at_s)


def rejections_since_settled(connection: Connection, site_id: str) -> int:
    """Failed proofs since the site proved itself, or was let in again after one."""
    ended = [at_s for (cause, _), at_s in _ended_s(connection, site_id) if cause in _BY_PROOF]
    query = sa.select(sa.func.max(PROOF.c.end_s)).where(
        PROOF.c.site_id == site_id, PROOF.c.outcome == ProofOutcome.ACCEPTED.value
    )
    proven_s = connection.execute(query).scalar()
    since_s = max([*ended, proven_s or 0])
    count = sa.select(sa.func.count()).where(
        PROOF.c.site_id == site_id,
        PROOF.c.outcome == ProofOutcome.REJECTED.value,
        PROOF.c.end_s >= since_s,
    )
    return connection.execute(count).scalar() or 0


def _nats(outcome: str, evidence_nats: float) -> float:
    """A failed proof says what it was measured to say, whatever its own sum is."""
    if outcome == ProofOutcome.REJECTED.value:
        return min(abs(evidence_nats), REJECTION_NATS)
    return abs(evidence_nats)


def news_since(connection: Connection, site_id: str, *, believed_s: int) -> dict[Subject, int]:
    """By cause and cable: what was so before this instant does not block again (hysteresis).

    Args:
        connection: Of the transaction.
        site_id: The site.
        believed_s: How long a site that proved itself is believed against its readings, seconds:
            it is not asked again sooner, and nobody is blocked who could not answer.
    """
    newest: dict[Subject, int] = {}
    for subject, at_s in _ended_s(connection, site_id):
        newest[subject] = max(at_s, newest.get(subject, at_s))
    query = sa.select(sa.func.max(PROOF.c.end_s)).where(
        PROOF.c.site_id == site_id, PROOF.c.outcome == ProofOutcome.ACCEPTED.value
    )
    proven_s = connection.execute(query).scalar()
    if proven_s is not None:
        subject = (BlockCause.METER_MISMATCH, "")
        newest[subject] = max(proven_s + believed_s, newest.get(subject, 0))
    return newest


def _ended_s(connection: Connection, site_id: str) -> list[tuple[Subject, int]]:
    query = sa.select(BLOCK.c.cause, BLOCK.c.cable_id, BLOCK.c.lift_s).where(
        BLOCK.c.site_id == site_id, BLOCK.c.state.in_(_ENDED), BLOCK.c.lift_s.is_not(None)
    )
    return [
        ((BlockCause(row.cause), row.cable_id), row.lift_s) for row in connection.execute(query)
    ]
