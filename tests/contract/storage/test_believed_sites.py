"""A site that proved itself is believed for a while; one blocked for its meter may prove itself."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from gridcord.metering.records import ProofOutcome, ProofRecord
from manager.domain.trust.site_block import BlockCause
from manager.ports import CheckedSite
from manager.storage.engine import Database
from manager.storage.schema import migrate
from manager.storage.sites.proofs import SqlProofs
from tests.contract.storage.sites import FIRST, POLICY, SITE, Sites, reading

DAY = 48
BEGIN = 3 * DAY + 30


@pytest.fixture
def sites(database_url: str) -> Iterator[Sites]:
    opened = Database(database_url)
    migrate(opened)
    yield Sites(opened)
    opened.close()


def start_s(number: int) -> int:
    return FIRST.next(number).start_s


def usual(sites: Sites, first: int, until: int) -> None:
    sites.learn(*(reading(number, 150 + number * 37 % 90) for number in range(first, until)))


def unseen(sites: Sites, number: int, *, cable: str = "cable-1") -> CheckedSite:
    """A discharge that the meter does not see, and what the manager says after it."""
    sites.transfer(number, cable=cable)
    usual(sites, number, number + 1)
    checked = sites.check(now_s=start_s(number + 1) + 10)
    assert checked is not None
    return checked


def proves(sites: Sites, *, now_s: int) -> None:
    proofs = SqlProofs(sites.database)
    asked = proofs.asked(
        f"proof-{now_s}", site_id=SITE, cable_id="cable-1", pattern=(), reason="suspected",
        actor="manager", now_s=now_s, expire_s=now_s + 600,
    )  # fmt: skip
    asyncio.run(asked)
    answer = ProofRecord(
        proof_id=f"proof-{now_s}", site_id=SITE, outcome=ProofOutcome.ACCEPTED,
        evidence_nats=16.0, gain=1.0,
    )  # fmt: skip
    sites.write(answer, now_s=now_s + 100)


def in_question(sites: Sites) -> list[str]:
    return asyncio.run(SqlProofs(sites.database).in_question(SITE))


def test_a_site_is_asked_before_it_is_blocked_and_believed_when_it_answers(sites: Sites) -> None:
    """The host's new load begins with the guest's discharge: to the meter alone that is theft."""
    sites.connect(now_s=start_s(BEGIN))
    usual(sites, 0, BEGIN)
    proven_s, said = None, list[CheckedSite]()
    for number in range(BEGIN, BEGIN + 16):
        said.append(unseen(sites, number))
        if said[-1].suspect and proven_s is None:
            assert sites.blocks() == []
            proven_s = start_s(number + 1) + 30
            proves(sites, now_s=proven_s)
    assert proven_s is not None
    [blocked_s] = [block.create_s for block in sites.blocks()]
    assert blocked_s >= proven_s + POLICY.believed_s
    assert said[-1].appealable
    proves(sites, now_s=start_s(BEGIN + 16) + 60)
    assert sites.blocks() == []


def test_the_cable_in_question_is_the_one_that_moved_most_while_the_site_was_doubted(
    sites: Sites,
) -> None:
    sites.connect(now_s=start_s(BEGIN))
    usual(sites, 0, BEGIN)
    sites.transfer(BEGIN, cable="other", vehicle_to_site_end_wh=5_050)
    for number in range(BEGIN, BEGIN + 12):
        assert in_question(sites) == []
        checked = unseen(sites, number)
        if checked.suspect or checked.blocks:
            break
    sites.transfer(number + 1, cable="other", vehicle_to_site_end_wh=5_050)
    checked = unseen(sites, number + 1)
    assert in_question(sites) == ["cable-1", "other"]
    assert {block.cause for block in checked.blocks} <= {BlockCause.METER_MISMATCH}
