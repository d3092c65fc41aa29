"""What the manager concludes of a site, on both databases: positions, knowledge, evidence."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
import sqlalchemy as sa

from gridcord.metering.reading import Permission, ReadingQuality, ReadingSource, Verdict
from gridcord.metering.records import ProofOutcome, ProofRecord
from gridcord.units import Position
from manager.domain.trust.block_rules import ReasonRequired
from manager.domain.trust.site import RegisteredSite
from manager.domain.trust.site_block import BlockCause, BlockState
from manager.storage.engine import Database
from manager.storage.notices import NOTICE
from manager.storage.rows import AuditRow, SiteRow, TransferRow
from manager.storage.schema import migrate
from manager.storage.sites.governed_blocks import SqlBlocks
from manager.storage.sites.proofs import SqlProofs
from tests.contract.storage.sites import FIRST, SITE, TOKYO, Sites, reading

SITE_TABLE: sa.Table = SiteRow.__table__  # type: ignore[attr-defined]
AUDIT: sa.Table = AuditRow.__table__  # type: ignore[attr-defined]
TRANSFER: sa.Table = TransferRow.__table__  # type: ignore[attr-defined]
REGISTERED = RegisteredSite(site_id=SITE, position=Position(35.68, 139.77))
YOKOHAMA = Position(35.44, 139.64, 10.0)
NOW_S = FIRST.next(100).start_s


@pytest.fixture
def sites(database_url: str) -> Iterator[Sites]:
    opened = Database(database_url)
    migrate(opened)
    yield Sites(opened)
    opened.close()


def fixed(position: Position, at_s: float) -> Position:
    return replace(position, fix_time_s=at_s)


def causes(sites: Sites) -> list[BlockCause]:
    return [block.cause for block in sites.blocks()]


def lift(sites: Sites, now_s: int, reason: str = "seen there by the installer") -> None:
    blocks = SqlBlocks(sites.database)
    asyncio.run(blocks.lift(SITE, reason, cable_id="", operator="operator-1", now_s=now_s))


def told(sites: Sites) -> list[tuple[str, str, str]]:
    query = sa.select(NOTICE).order_by(NOTICE.c.notice_number)
    rows = sites.database.read_now(lambda c: c.execute(query).all())
    return [(row.driver_id, row.reason, row.text) for row in rows]


def audited(sites: Sites) -> list[str]:
    query = sa.select(AUDIT.c.action).order_by(AUDIT.c.audit_number)
    return [row.action for row in sites.database.read_now(lambda c: c.execute(query).all())]


def test_a_session_that_opens_far_away_is_looked_at_at_once(sites: Sites) -> None:
    sites.connect(now_s=NOW_S, position=fixed(YOKOHAMA, NOW_S - 30))
    checked = sites.check(now_s=NOW_S, registered=REGISTERED)
    assert checked is not None
    (block,) = checked.blocks
    assert (block.cause, block.permission) == (BlockCause.LOCATION_MISMATCH, Permission.NONE)
    assert block.reason.startswith("the cable cable-1 is 29,")
    assert block.cable_id == "cable-1"
    assert told(sites) == [
        ("", "SITE_BLOCKED", block.reason),
        ("driver-80", "SITE_BLOCKED", block.reason),
    ]
    assert sites.check(now_s=NOW_S + 5, registered=REGISTERED) is None  # done


@pytest.mark.parametrize(
    ("position", "age_s"),
    [
        (TOKYO, 30),  # it is there
        (replace(YOKOHAMA, accuracy_m=40_000.0), 30),  # nobody can say
        (YOKOHAMA, 3600),  # where it was an hour before it was plugged in
        (YOKOHAMA, -7200),  # a fix of the future
    ],
)
def test_a_poor_or_old_fix_accuses_nobody(sites: Sites, position: Position, age_s: int) -> None:
    sites.connect(now_s=NOW_S, position=fixed(position, NOW_S - age_s))
    checked = sites.check(now_s=NOW_S, registered=REGISTERED)
    assert checked is not None
    assert checked.blocks == ()


@pytest.mark.parametrize(
    ("inside", "blocked"), [(True, []), (False, [BlockCause.LOCATION_MISMATCH])]
)
def test_in_privacy_mode_the_utility_says_inside_or_outside(
    sites: Sites, inside: bool, blocked: list[BlockCause]
) -> None:
    private = RegisteredSite(site_id=SITE, position_inside=inside)
    sites.connect(now_s=NOW_S, position=fixed(YOKOHAMA, NOW_S))
    sites.check(now_s=NOW_S, registered=private)
    assert causes(sites) == blocked


def test_what_an_older_version_kept_of_a_site_is_understood(sites: Sites) -> None:
    sites.connect(now_s=NOW_S, position=fixed(TOKYO, NOW_S))
    sites.check(now_s=NOW_S, registered=REGISTERED)
    query = sa.select(SITE_TABLE.c.registered).where(SITE_TABLE.c.site_id == SITE)
    kept = sites.database.read_now(lambda c: str(c.execute(query).scalar()))
    assert "route_b" not in kept
    older = json.dumps(json.loads(kept) | {"route_b_id": "0" * 32, "route_b_password": ""})
    update = SITE_TABLE.update().where(SITE_TABLE.c.site_id == SITE).values(registered=older)
    sites.database.write_now(lambda c: c.execute(update))
    sites.connect(now_s=NOW_S + 900, position=fixed(YOKOHAMA, NOW_S + 900))
    (due,) = asyncio.run(sites.checks.due(now_s=NOW_S + 900, limit=9))
    assert due.registered == REGISTERED


def test_in_privacy_mode_each_position_is_asked_for_anew(sites: Sites) -> None:
    private = RegisteredSite(site_id=SITE, position_inside=True)
    sites.connect(now_s=NOW_S, position=fixed(TOKYO, NOW_S))
    sites.check(now_s=NOW_S, registered=private)
    sites.connect(now_s=NOW_S + 900, position=fixed(YOKOHAMA, NOW_S + 900))
    (due,) = asyncio.run(sites.checks.due(now_s=NOW_S + 900, limit=9))
    assert (due.cause, due.registered) == ("POSITION", None)
    assert due.position is not None
    assert due.position.distance_m(YOKOHAMA) < 1


def test_two_cables_that_claim_one_meter_from_two_places(sites: Sites) -> None:
    sites.connect("cable-1", now_s=NOW_S, position=fixed(TOKYO, NOW_S))
    sites.check(now_s=NOW_S)
    assert causes(sites) == []
    sites.connect("cable-2", now_s=NOW_S + 60, position=fixed(YOKOHAMA, NOW_S + 60))
    sites.check(now_s=NOW_S + 60)
    assert causes(sites) == [BlockCause.LOCATION_MISMATCH] * 2  # nobody can say which of them
    assert sorted(block.cable_id for block in sites.blocks()) == ["cable-1", "cable-2"]
    for block in sites.blocks():
        assert "claim this meter from places that are 29," in block.reason
    sites.check(now_s=NOW_S + 120)
    assert len(sites.blocks()) == 2


def test_a_cable_faster_than_an_airliner_exists_twice(sites: Sites) -> None:
    osaka = Position(34.69, 135.50, 10.0)
    sites.connect(now_s=NOW_S, position=fixed(osaka, NOW_S), site_id="obis:4530303034")
    sites.connect(now_s=NOW_S + 600, position=fixed(TOKYO, NOW_S + 600))
    sites.check(now_s=NOW_S + 600, registered=REGISTERED)
    (block,) = sites.blocks()
    assert (block.cause, block.cable_id) == (BlockCause.CLONE_SUSPECTED, "cable-1")
    assert "within 600 s" in block.reason


def test_a_cable_that_transferred_at_two_sites_at_once_exists_twice(sites: Sites) -> None:
    sites.connect(now_s=NOW_S)
    sites.transfer(90)
    sites.transfer(90, site_id="obis:4530303034")
    sites.check(now_s=NOW_S)
    (block,) = sites.blocks()
    assert (block.cause, block.cable_id) == (BlockCause.CLONE_SUSPECTED, "cable-1")
    assert "at the same time" in block.reason


def test_a_lifted_location_block_comes_back_only_by_a_later_fix(sites: Sites) -> None:
    sites.connect(now_s=NOW_S, position=fixed(YOKOHAMA, NOW_S))
    sites.check(now_s=NOW_S, registered=REGISTERED)
    lift(sites, NOW_S + 60)
    sites.connect(now_s=NOW_S + 120, position=fixed(YOKOHAMA, NOW_S))  # the same fix
    sites.check(now_s=NOW_S + 120, registered=REGISTERED)
    assert causes(sites) == []
    sites.connect(now_s=NOW_S + 240, position=fixed(YOKOHAMA, NOW_S + 240))
    sites.check(now_s=NOW_S + 240, registered=REGISTERED)
    assert causes(sites) == [BlockCause.LOCATION_MISMATCH]


def test_house_values_that_are_not_the_utilitys_block_one_period_after_the_other(
    sites: Sites,
) -> None:
    """Knowledge proof: each look sees one new period, and all of two days count."""
    sites.connect(now_s=NOW_S)
    for number in range(94, 98):
        sites.transfer(number, vehicle_to_site_end_wh=5_000)
        sites.learn(
            reading(number, 300, source=ReadingSource.SMART_METER),
            reading(number, 470 + number),
        )
        sites.check(now_s=FIRST.next(number + 1).start_s + 600)
    (block,) = sites.blocks()
    assert block.cause is BlockCause.READINGS_DIFFER
    assert block.reason.startswith("in 3 of 3 periods")


@pytest.mark.parametrize("gap_wh", [0, 10, -10])
def test_what_clocks_and_steps_make_of_a_period_is_no_difference(sites: Sites, gap_wh: int) -> None:
    for number in range(90, 98):
        sites.transfer(number, vehicle_to_site_end_wh=5_000)
        sites.learn(
            reading(number, 300, source=ReadingSource.SMART_METER), reading(number, 300 + gap_wh)
        )
    sites.check(now_s=NOW_S)
    assert causes(sites) == []


def months_of_theft(sites: Sites, first: int, count: int) -> None:
    """The cable says it discharges 0.75 kWh in four half hours a day; the meter never sees it."""
    for number in range(first, first + count):
        discharging = number % 48 in (36, 37, 38, 39)
        if discharging:
            sites.transfer(number)
    usual(sites, first, count)


def usual(sites: Sites, first: int, count: int) -> None:
    """What the meter of a steady house shows."""
    numbers = range(first, first + count)
    sites.learn(*(reading(number, 150 + number * 37 % 90) for number in numbers))


def thief(sites: Sites) -> int:
    """A site that is blocked by evidence; the instant behind all that is known of it."""
    sites.connect(now_s=NOW_S)
    usual(sites, 0, 48 * 3)
    months_of_theft(sites, 48 * 3, 48 * 3)
    now_s = FIRST.next(48 * 6).start_s + 10
    sites.check(now_s=now_s)
    return now_s


def test_evidence_blocks_and_a_late_record_does_not_undo_a_lift(sites: Sites) -> None:
    now_s = thief(sites)
    (block,) = sites.blocks()
    assert block.cause is BlockCause.METER_MISMATCH
    assert "should have fallen by 0.75 kWh" in block.reason
    assert block.evidence
    lift(sites, now_s + 60)
    sites.transfer(48 * 5 + 36, cable="cable-2")  # judged anew from the first period on
    sites.check(now_s=now_s + 120)
    assert causes(sites) == []
    months_of_theft(sites, 48 * 6 + 1, 48 * 4)  # what comes later counts
    sites.check(now_s=FIRST.next(48 * 10 + 1).start_s + 10)
    assert causes(sites) == [BlockCause.METER_MISMATCH]


def test_judging_anew_says_what_was_said(sites: Sites) -> None:
    now_s = thief(sites)
    query = sa.select(TRANSFER.c.manager_match).order_by(TRANSFER.c.entry_number)
    before = sites.database.read_now(lambda c: c.execute(query).all())
    sites.learn(replace(reading(0, 150), revision=1))
    sites.check(now_s=now_s + 60)
    sites.transfer(48 * 6, vehicle_to_site_end_wh=5_000)
    sites.learn(reading(48 * 6, 150))
    sites.check(now_s=FIRST.next(48 * 6 + 1).start_s + 10)
    after = sites.database.read_now(lambda c: c.execute(query).all())
    assert after[:-1] == before
    assert json.loads(before[-1].manager_match)["verdict"] == Verdict.MISMATCHED.value


def test_a_cable_with_small_gaps_gathers_evidence(sites: Sites) -> None:
    sites.connect(now_s=NOW_S)
    usual(sites, 0, 48 * 3)
    for number in range(48 * 3, 48 * 6):
        if number % 48 in (36, 37, 38, 39):
            sites.transfer(number, quality=ReadingQuality.ESTIMATED, missing_s=25)
    usual(sites, 48 * 3, 48 * 3)
    sites.check(now_s=FIRST.next(48 * 6).start_s + 10)
    assert causes(sites) == [BlockCause.METER_MISMATCH]


def prove(sites: Sites, outcome: ProofOutcome, *, now_s: int) -> None:
    """A proof is asked for, and its cable answers."""
    proof_id = f"proof-at-{now_s}"
    asked = SqlProofs(sites.database).asked(
        proof_id,
        site_id=SITE,
        cable_id="cable-1",
        pattern=(),
        reason="appeal",
        actor="operator-1",
        now_s=now_s,
        expire_s=now_s + 600,
    )
    asyncio.run(asked)
    assert {block.state for block in sites.blocks()} <= {BlockState.ACTIVE, BlockState.APPEALED}
    nats = {ProofOutcome.ACCEPTED: 16.0, ProofOutcome.REJECTED: -21.0}.get(outcome, 1.0)
    answer = ProofRecord(
        proof_id=proof_id, site_id=SITE, outcome=outcome, evidence_nats=nats, gain=1.0
    )
    sites.write(answer, now_s=now_s + 200)


def test_an_appeal_by_active_proof_lifts_what_rests_on_the_meter(sites: Sites) -> None:
    now_s = thief(sites)
    prove(sites, ProofOutcome.INCONCLUSIVE, now_s=now_s + 10)
    assert [block.state for block in sites.blocks()] == [BlockState.ACTIVE]
    prove(sites, ProofOutcome.ACCEPTED, now_s=now_s + 1000)
    assert sites.blocks() == []
    sites.transfer(48 * 5 + 36, cable="cable-2")
    sites.check(now_s=now_s + 2000)
    assert sites.blocks() == []
    assert audited(sites)[-5:] == [
        "ACTIVE_PROOF_ASKED",
        "ACTIVE_PROOF_INCONCLUSIVE",
        "ACTIVE_PROOF_ASKED",
        "ACTIVE_PROOF_ACCEPTED",
        "SITE_BLOCK_LIFTED",
    ]


def test_one_failed_proof_is_a_suspicion_and_two_convict(sites: Sites) -> None:
    sites.connect(now_s=NOW_S, position=fixed(TOKYO, NOW_S))
    prove(sites, ProofOutcome.REJECTED, now_s=NOW_S + 10)
    assert causes(sites) == []
    prove(sites, ProofOutcome.ACCEPTED, now_s=NOW_S + 1000)
    prove(sites, ProofOutcome.REJECTED, now_s=NOW_S + 2000)
    assert causes(sites) == []
    prove(sites, ProofOutcome.REJECTED, now_s=NOW_S + 3000)
    assert causes(sites) == [BlockCause.PROOF_FAILED]
    lift(sites, NOW_S + 4000)
    prove(sites, ProofOutcome.REJECTED, now_s=NOW_S + 5000)
    assert causes(sites) == []


def test_a_suspected_site_whose_proof_fails_is_blocked_at_once(sites: Sites) -> None:
    sites.connect(now_s=NOW_S, position=fixed(TOKYO, NOW_S))
    row = sa.update(SITE_TABLE).where(SITE_TABLE.c.site_id == SITE).values(evidence_nats=9.5)
    sites.database.write_now(lambda c: c.execute(row))
    prove(sites, ProofOutcome.REJECTED, now_s=NOW_S + 10)
    assert causes(sites) == [BlockCause.PROOF_FAILED]


def test_a_block_nobody_looked_at_stays_and_reminds(sites: Sites) -> None:
    now_s = thief(sites)
    (before,) = sites.blocks()
    assert before.review_s is not None
    blocks = SqlBlocks(sites.database)
    for at_s in (now_s + 1, before.review_s, before.review_s + 60):
        asyncio.run(blocks.expire(now_s=at_s))
    (after,) = sites.blocks()
    assert after.review_s == before.review_s + 7 * 86_400
    assert audited(sites).count("SITE_BLOCK_REVIEW_DUE") == 1


def test_no_proof_touches_what_an_operator_decided(sites: Sites) -> None:
    create = SqlBlocks(sites.database).create(
        SITE,
        Permission.CHARGE_ONLY,
        "the host asked for it",
        operator="operator-1",
        expire_s=None,
        request_id=None,
        now_s=NOW_S,
    )
    asyncio.run(create)
    prove(sites, ProofOutcome.ACCEPTED, now_s=NOW_S + 10)
    (block,) = sites.blocks()
    assert (block.cause, block.state) == (BlockCause.OPERATOR, BlockState.ACTIVE)


def test_a_driver_who_arrives_at_a_blocked_site_is_told_once(sites: Sites) -> None:
    create = SqlBlocks(sites.database).create(
        SITE,
        Permission.NONE,
        "the meter is being changed",
        operator="operator-1",
        expire_s=None,
        request_id=None,
        now_s=NOW_S,
    )
    asyncio.run(create)
    for second in (10, 20):
        sites.connect(now_s=NOW_S + second)
    expected = [("", "SITE_BLOCKED"), ("driver-80", "SITE_BLOCKED")]
    assert [(driver, reason) for driver, reason, _ in told(sites)] == expected


def test_a_lift_without_a_reason_is_refused_and_changes_nothing(sites: Sites) -> None:
    thief(sites)
    before = sites.blocks()
    for nothing in ("", " \t"):
        with pytest.raises(ReasonRequired):
            lift(sites, NOW_S, nothing)
    assert sites.blocks() == before
