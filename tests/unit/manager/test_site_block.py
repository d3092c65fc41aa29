"""Blocks as a state machine: nothing re-opens a site but a lift, an expiry or a proof."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gridcord.metering.reading import Permission, Verdict
from gridcord.metering.verdict import StatedMatch
from gridcord.units import SiteId
from manager.domain.trust.block_rules import (
    BlockPolicy,
    PermissionInvalid,
    ReasonRequired,
    SiteAlreadyBlocked,
    SiteFindings,
    SiteNotBlocked,
    after_proof,
    appealed,
    block_by_operator,
    blocks_for,
    expired,
    lifted,
    rejections_convict,
    review_due,
)
from manager.domain.trust.permission import PermissionPolicy, permission
from manager.domain.trust.position_check import PositionDoubt
from manager.domain.trust.site_block import BlockCause, BlockState, SiteBlock

SITE = SiteId("obis:4530303033")
MISMATCHED = StatedMatch(verdict=Verdict.MISMATCHED, reason="NOT_ARRIVING", sentence="it fell by 0")
ORDER = list(Permission)
PERMISSIONS = st.sampled_from(ORDER)
AGO = st.integers(0, 500)
CABLES = ("cable-1", "cable-2")
OF_CABLES = (BlockCause.LOCATION_MISMATCH, BlockCause.CLONE_SUSPECTED)
POLICY = BlockPolicy(mismatched=Permission.CHARGE_ONLY, expires_s=5_000, review_s=1_000)


class Governed(RuleBasedStateMachine):
    """One site: every block it ever had, and what was done to it last."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 1_000_000
        self.blocks: list[SiteBlock] = []
        self.before: list[SiteBlock] = []
        self.done = ""

    @property
    def in_force(self) -> list[SiteBlock]:
        return [block for block in self.blocks if block.in_force]

    def change(self, what: str, after: list[SiteBlock]) -> None:
        """Blocks changed, in their order; new ones come behind."""
        self.before, self.blocks, self.done = self.blocks, after, what

    @rule(seconds=st.integers(1, 3_000))
    def time_passes(self, seconds: int) -> None:
        self.now_s += seconds
        self.change("EXPIRE", [expired(block, now_s=self.now_s) for block in self.blocks])

    @rule(cause=st.sampled_from(BlockCause), ago_s=AGO, cable=st.sampled_from(CABLES))
    def something_is_found(self, cause: BlockCause, ago_s: int, cable: str) -> None:
        at_s = self.now_s - ago_s
        subject = (cause, cable if cause in OF_CABLES else "")
        ended = {
            (block.cause, block.cable_id): block.lift_s or 0
            for block in self.blocks
            if not block.in_force
        }
        findings = SiteFindings(
            site_id=SITE,
            match=MISMATCHED if cause is BlockCause.METER_MISMATCH else None,
            match_start_s=at_s,
            doubts=(PositionDoubt(cause=cause, cable_id=cable, sentence="two places", at_s=at_s),)
            if cause in OF_CABLES
            else (),
            differing=5 if cause is BlockCause.READINGS_DIFFER else 0,
            compared=6,
            settled_s=ended,
        )
        new = blocks_for(findings=findings, existing=self.blocks, policy=POLICY, now_s=self.now_s)
        if cause in (BlockCause.METER_MISMATCH, *OF_CABLES):
            fresh = at_s >= ended.get(subject, 0)
            known = subject in subjects(self.in_force)
            assert subjects(new) == ([subject] if fresh and not known else [])
        self.change("FIND", self.blocks + new)

    @rule(
        allowed=PERMISSIONS, reason=st.sampled_from(["", " ", "the host asked"]), ends=st.booleans()
    )
    def an_operator_blocks(self, allowed: Permission, reason: str, ends: bool) -> None:
        by_hand = [b for b in self.in_force if b.cause is BlockCause.OPERATOR]
        try:
            block = block_by_operator(
                site_id=SITE,
                permission=allowed,
                reason=reason,
                operator="operator-1",
                existing=self.blocks,
                now_s=self.now_s,
                expire_s=self.now_s + 2_000 if ends else None,
            )
        except ReasonRequired:
            assert not reason.strip()
        except PermissionInvalid:
            assert allowed is Permission.BIDIRECTIONAL
        except SiteAlreadyBlocked:
            assert by_hand
        else:
            assert not by_hand
            self.change("BLOCK", [*self.blocks, block])

    @rule(reason=st.sampled_from(["", "\t", "seen there"]), cable=st.sampled_from(["", *CABLES]))
    def an_operator_lifts(self, reason: str, cable: str) -> None:
        meant = [block for block in self.in_force if cable in ("", block.cable_id)]
        try:
            after = lifted(
                blocks=self.blocks,
                operator="operator-1",
                reason=reason,
                now_s=self.now_s,
                cable_id=cable,
            )
        except ReasonRequired:
            assert not reason.strip()
        except SiteNotBlocked:
            assert not meant
        else:
            ended = iter(after)
            self.change("LIFT", [next(ended) if b in meant else b for b in self.blocks])
            assert all(cable not in ("", block.cable_id) for block in self.in_force)

    @precondition(lambda self: self.in_force)
    @rule()
    def the_host_appeals(self) -> None:
        self.change("APPEAL", [appealed(block) for block in self.blocks])

    @rule(accepted=st.sampled_from([True, False, None]))
    def a_proof_ends(self, accepted: bool | None) -> None:
        self.change(
            f"PROOF {accepted}",
            [
                after_proof(block, accepted=accepted, proof="proof/1", now_s=self.now_s)
                for block in self.blocks
            ],
        )

    @rule()
    def reviews_are_due(self) -> None:
        self.change("REVIEW", [review_due(block, now_s=self.now_s) for block in self.blocks])
        assert all(b.review_s is None or b.review_s > self.now_s for b in self.in_force)

    @invariant()
    def a_block_ends_only_by_lift_expiry_or_proof(self) -> None:
        for before, after in zip(self.before, self.blocks, strict=False):
            if not before.in_force:
                assert after == before  # what has ended is history
            elif not after.in_force:
                assert after.lift_s == self.now_s
                assert after.lifted_by
                if self.done == "EXPIRE":
                    assert after.state is BlockState.EXPIRED
                    assert before.expire_s is not None
                    assert before.expire_s <= self.now_s
                else:
                    assert self.done in ("LIFT", "PROOF True")
                    assert after.state is BlockState.LIFTED
                    assert (after.lift_reason or "").strip()

    @invariant()
    def what_a_person_decided_ends_only_by_a_person_or_its_own_time(self) -> None:
        for before, after in zip(self.before, self.blocks, strict=False):
            if before.cause is BlockCause.OPERATOR and before.in_force:
                assert after.in_force or self.done in ("LIFT", "EXPIRE")
                assert after.state in (BlockState.ACTIVE, BlockState.LIFTED, BlockState.EXPIRED)

    @invariant()
    def nothing_becomes_laxer_while_every_block_stays(self) -> None:
        if self.done not in ("LIFT", "EXPIRE", "PROOF True"):
            for cable in CABLES:
                now, before = allowed(self.blocks, cable), allowed(self.before, cable)
                assert ORDER.index(now) <= ORDER.index(before)

    @invariant()
    def causes_do_not_pile_up(self) -> None:
        found = subjects(self.in_force)
        assert len(found) == len(set(found))

    @invariant()
    def what_is_in_force_withholds_something(self) -> None:
        for cable in CABLES:
            concerning = [block for block in self.in_force if block.cable_id in ("", cable)]
            free = allowed(self.blocks, cable) is Permission.BIDIRECTIONAL
            assert free == (not concerning)


def subjects(blocks: list[SiteBlock]) -> list[tuple[BlockCause, str]]:
    """What blocks are about."""
    return [(block.cause, block.cable_id) for block in blocks]


def allowed(blocks: list[SiteBlock], cable: str) -> Permission:
    """What may flow through a cable under these blocks alone."""
    return permission(
        site_identified=True,
        blocks=[block for block in blocks if block.concerns(cable)],
        clone_suspected=False,
        loadings=(),
        policy=PermissionPolicy(),
    ).permission


TestGoverned = Governed.TestCase
TestGoverned.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)


def test_one_failed_proof_convicts_only_who_is_suspected() -> None:
    assert not rejections_convict(rejections=1, evidence_nats=0.0)
    assert rejections_convict(rejections=1, evidence_nats=9.0)
    assert rejections_convict(rejections=2, evidence_nats=0.0)
    assert not rejections_convict(rejections=0, evidence_nats=12.9)
