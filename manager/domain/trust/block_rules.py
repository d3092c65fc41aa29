"""When a site is blocked, and when it is not: decided from evidence, never from one period.

A mismatch that the cable reports alone blocks nothing; only what the manager itself concludes does.
Blocks do not pile up: one of each cause per site, or per cable there where it is about one cable. A
block that was lifted comes back only on evidence that came after the lift (hysteresis).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

from gridcord.metering.reading import Permission, Verdict
from gridcord.metering.verdict import StatedMatch
from gridcord.units import SiteId
from manager.domain.trust.position_check import PositionDoubt
from manager.domain.trust.site_block import BlockCause, BlockState, SiteBlock

DIFFERING_PERIODS = 3  # of the house's values before the meter's identity is doubted
DAY_S = 86_400
REVIEW_AGAIN_S = 7 * DAY_S  # an operator who did not look is reminded so often
REJECTION_NATS = 6.9  # what one failed proof says: right meters fail one in a thousand
CONVICTED_NATS = 13.0  # what blocks, as for the readings


class SiteAlreadyBlocked(Exception):
    """The site is blocked by an operator already."""


class SiteNotBlocked(Exception):
    """The site has no block to be lifted."""


class ReasonRequired(Exception):
    """A decision of a person needs a reason."""

    metadata: ClassVar[Mapping[str, str]] = {"field": "reason"}


class PermissionInvalid(Exception):
    """A block withholds something: it cannot permit everything."""

    metadata: ClassVar[Mapping[str, str]] = {"field": "permission"}


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockPolicy:
    """What the aggregator decided once.

    Args:
        mismatched: What may still flow at a site whose meter does not match.
        location_mismatched: What may still flow where the cable is not at the registered place.
        expires_s: A block of the manager's runs out after this, seconds; None for never.
        review_s: It is to be looked at again after this; None for never.
    """

    mismatched: Permission = Permission.NONE
    location_mismatched: Permission = Permission.NONE
    expires_s: int | None = None
    review_s: int | None = 30 * DAY_S


Subject = tuple[BlockCause, str]  # what a block is about: its cause, and its cable or the site


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteFindings:
    """What the manager found out about a site.

    Args:
        site_id: The site.
        match: The last conclusion; None without one.
        match_start_s: Start of the period it is about, seconds since 1970 UTC.
        doubts: What about the positions of its cables cannot be.
        differing: Periods in which the house's values are not the utility's.
        compared: Periods in which both are known.
        evidence: What it rests on, as references.
        settled_s: When a block of a cause ended last, of the whole site or of a cable, or the site
            proved itself, seconds since 1970 UTC; what was so before does not count again.
    """

    site_id: SiteId
    match: StatedMatch | None = None
    match_start_s: int = 0
    doubts: tuple[PositionDoubt, ...] = ()
    differing: int = 0
    compared: int = 0
    evidence: tuple[str, ...] = ()
    settled_s: Mapping[Subject, int] = field(default_factory=dict)

    def is_news(self, cause: BlockCause, at_s: int, *, cable_id: str = "") -> bool:
        """Whether something that was so at an instant may block for a cause (hysteresis)."""
        settled_s = (self.settled_s.get((cause, about)) for about in {"", cable_id})
        return all(each is None or at_s >= each for each in settled_s)


def blocks_for(
    *, findings: SiteFindings, existing: Sequence[SiteBlock], policy: BlockPolicy, now_s: int
) -> list[SiteBlock]:
    """New blocks that findings demand.

    Args:
        findings: What was found out.
        existing: All blocks in force at the site.
        policy: What the aggregator decided.
        now_s: The manager's clock.
    """
    in_force = {(block.cause, block.cable_id) for block in existing if block.in_force}
    wanted: dict[Subject, tuple[Permission, str, int | None]] = {}
    for each in _wanted(findings, policy):
        if each is not None and in_force.isdisjoint({each[0], (each[0][0], "")}):
            wanted.setdefault(each[0], each[1:])
    return [
        SiteBlock(
            site_id=findings.site_id,
            permission=permission,
            cause=cause,
            cable_id=cable_id,
            reason=reason,
            evidence=findings.evidence,
            create_s=now_s,
            created_by="manager",
            expire_s=None if policy.expires_s is None else now_s + policy.expires_s,
            review_s=None if policy.review_s is None else now_s + policy.review_s,
            doubt_s=doubt_s,
        )
        for (cause, cable_id), (permission, reason, doubt_s) in wanted.items()
    ]


_Wanted = tuple[Subject, Permission, str, int | None] | None


def _wanted(findings: SiteFindings, policy: BlockPolicy) -> list[_Wanted]:
    return [
        _by_match(findings, policy),
        *(_by_doubt(findings, doubt, policy) for doubt in findings.doubts),
        _by_readings(findings, policy),
    ]


def _by_match(findings: SiteFindings, policy: BlockPolicy) -> _Wanted:
    match = findings.match
    if match is None or match.verdict is not Verdict.MISMATCHED:
        return None
    if not findings.is_news(BlockCause.METER_MISMATCH, findings.match_start_s):
        return None
    reason = match.sentence or match.reason
    return (BlockCause.METER_MISMATCH, ""), policy.mismatched, reason, None


def _by_doubt(findings: SiteFindings, doubt: PositionDoubt, policy: BlockPolicy) -> _Wanted:
    if not findings.is_news(doubt.cause, doubt.at_s, cable_id=doubt.cable_id):
        return None
    about = (doubt.cause, doubt.cable_id)
    return about, policy.location_mismatched, doubt.sentence, doubt.at_s


def _by_readings(findings: SiteFindings, policy: BlockPolicy) -> _Wanted:
    if findings.differing < DIFFERING_PERIODS or findings.differing * 2 < findings.compared:
        return None
    reason = (
        f"in {findings.differing} of {findings.compared} periods the values read at the house "
        "are not the utility's for this site"
    )
    return (BlockCause.READINGS_DIFFER, ""), policy.mismatched, reason, None


def block_by_operator(
    *,
    site_id: SiteId,
    permission: Permission,
    reason: str,
    operator: str,
    existing: Sequence[SiteBlock],
    now_s: int,
    expire_s: int | None = None,
    request_id: str | None = None,
) -> SiteBlock:
    """A block that a person decided.

    Raises:
        ReasonRequired: No reason.
        PermissionInvalid: It would permit everything.
        SiteAlreadyBlocked: A person blocked the site before.
    """
    if not reason.strip():
        raise ReasonRequired("say why the site is blocked")
    if permission is Permission.BIDIRECTIONAL:
        raise PermissionInvalid("a block withholds something: NONE, CHARGE_ONLY or CHARGE_TO_SOC")
    if any(block.in_force and block.cause is BlockCause.OPERATOR for block in existing):
        message = f"{site_id} is blocked by an operator already: lift that block first"
        raise SiteAlreadyBlocked(message)
    return SiteBlock(
        site_id=site_id,
        permission=permission,
        cause=BlockCause.OPERATOR,
        reason=reason.strip(),
        create_s=now_s,
        created_by=operator,
        expire_s=expire_s,
        request_id=request_id,
    )


def lifted(
    *, blocks: Sequence[SiteBlock], operator: str, reason: str, now_s: int, cable_id: str = ""
) -> list[SiteBlock]:
    """The site's blocks in force, lifted; with a cable only those of that cable.

    Raises:
        ReasonRequired: No reason.
        SiteNotBlocked: None is in force.
    """
    if not reason.strip():
        raise ReasonRequired("say why the block is lifted")
    in_force = [b for b in blocks if b.in_force and cable_id in ("", b.cable_id)]
    if not in_force:
        whom = f"for the cable {cable_id} " if cable_id else ""
        raise SiteNotBlocked(f"no block is in force {whom}at this site")
    return [
        replace(
            block,
            state=BlockState.LIFTED,
            lift_s=now_s,
            lifted_by=operator,
            lift_reason=reason.strip(),
        )
        for block in in_force
    ]


def appealed(block: SiteBlock) -> SiteBlock:
    """A block whose site asked for an active proof; it stays in force until that is decided.

    Only what rests on the meter can be appealed: no proof undoes what a person decided.
    """
    if not block.in_force or not can_be_proven(block):
        return block
    return replace(block, state=BlockState.APPEALED)


def after_proof(block: SiteBlock, *, accepted: bool | None, proof: str, now_s: int) -> SiteBlock:
    """What an active proof makes of a block: accepted lifts what rests on the meter.

    Args:
        block: In force.
        accepted: The meter showed the pattern; None when nobody can tell.
        proof: Reference of the proof.
        now_s: The manager's clock.
    """
    if not block.in_force or not can_be_proven(block):
        return block
    if not accepted:
        evidence = block.evidence if accepted is None else (*block.evidence, proof)
        return replace(block, state=BlockState.ACTIVE, evidence=evidence)
    return replace(
        block,
        state=BlockState.LIFTED,
        lift_s=now_s,
        lifted_by="manager",
        lift_reason=f"the meter showed the pattern of {proof}",
    )


def can_be_proven(block: SiteBlock) -> bool:
    """Whether an active proof lifts a block: it rests on what the meter showed."""
    return block.cause in (BlockCause.METER_MISMATCH, BlockCause.PROOF_FAILED)


def rejections_convict(*, rejections: int, evidence_nats: float) -> bool:
    """Whether failed proofs block a site: two do, or one at a site that evidence suspects.

    One proof in about a thousand rejects the right meter (measured: docs/trust.md), so one alone
    says as much as a suspicion, and no more.

    Args:
        rejections: Since the site proved itself, or was let in again.
        evidence_nats: What its readings say against it.
    """
    return evidence_nats + REJECTION_NATS * rejections >= CONVICTED_NATS


def review_due(block: SiteBlock, *, now_s: int) -> SiteBlock:
    """The block, its next review in a while when one is due now; it stays in force."""
    if block.in_force and block.review_s is not None and now_s >= block.review_s:
        return replace(block, review_s=now_s + REVIEW_AGAIN_S)
    return block


def expired(block: SiteBlock, *, now_s: int) -> SiteBlock:
    """The block, run out when its time has come."""
    if block.in_force and block.expire_s is not None and now_s >= block.expire_s:
        return replace(block, state=BlockState.EXPIRED, lift_s=now_s, lifted_by="manager")
    return block
