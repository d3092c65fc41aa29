"""What a cable says of its place is held against it, never against the house it names."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
import sqlalchemy as sa

from gridcord.metering.reading import Permission
from gridcord.units import Position
from manager.domain.trust.block_rules import SiteNotBlocked
from manager.domain.trust.site import RegisteredSite
from manager.domain.trust.site_block import BlockCause
from manager.service.transfer_messages import block_to_proto
from manager.storage.engine import Database
from manager.storage.notices import NOTICE
from manager.storage.rows import AuditRow
from manager.storage.schema import migrate
from manager.storage.sites.blocks import BLOCK, situation
from manager.storage.sites.governed_blocks import SqlBlocks
from tests.contract.storage.sites import FIRST, SITE, TOKYO, Sites

AUDIT: sa.Table = AuditRow.__table__  # type: ignore[attr-defined]
REGISTERED = RegisteredSite(site_id=SITE, position=Position(35.68, 139.77))
YOKOHAMA, OSAKA = Position(35.44, 139.64, 10.0), Position(34.69, 135.50, 10.0)
NOW_S = FIRST.next(100).start_s


@pytest.fixture
def sites(database_url: str) -> Iterator[Sites]:
    opened = Database(database_url)
    migrate(opened)
    yield Sites(opened)
    opened.close()


def comes(sites: Sites, cable: str, where: Position, *, now_s: int) -> None:
    """A cable of the driver of its name opens a session at the site."""
    position = replace(where, fix_time_s=float(now_s))
    sites.connect(cable, now_s=now_s, position=position, driver=f"driver-of-{cable}")


def forged(sites: Sites, registered: RegisteredSite | None = REGISTERED) -> None:
    """An honest cable is at its house; a thief's, elsewhere, claims the same meter."""
    comes(sites, "honest", TOKYO, now_s=NOW_S)
    sites.check(now_s=NOW_S, registered=registered)
    assert sites.blocks() == []
    comes(sites, "thief", YOKOHAMA, now_s=NOW_S + 60)
    sites.check(now_s=NOW_S + 60, registered=registered)


def blocked(sites: Sites) -> list[tuple[str, BlockCause]]:
    return [(block.cable_id, block.cause) for block in sites.blocks()]


def lift(sites: Sites, cable_id: str, *, now_s: int) -> None:
    blocks = SqlBlocks(sites.database)
    asyncio.run(
        blocks.lift(SITE, "seen there", cable_id=cable_id, operator="operator-1", now_s=now_s)
    )


def told(sites: Sites) -> list[tuple[str, str, str]]:
    query = sa.select(NOTICE).order_by(NOTICE.c.notice_number)
    rows = sites.database.read_now(lambda c: c.execute(query).all())
    return [(row.driver_id, row.reason, row.permission) for row in rows]


def test_only_the_cable_that_is_elsewhere_is_blocked(sites: Sites) -> None:
    forged(sites)
    assert blocked(sites) == [("thief", BlockCause.LOCATION_MISMATCH)]
    (block,) = sites.blocks()
    assert block.reason.startswith("the cable thief is 29,")
    assert block_to_proto(block).cable_id == "thief"
    (held,) = sites.database.read_now(lambda c: situation(c, [SITE])).blocks[SITE]
    assert held.concerns("thief")
    assert not held.concerns("honest")
    sites.check(now_s=NOW_S + 120, registered=REGISTERED)
    assert len(sites.blocks()) == 1  # they do not pile up


def test_of_two_that_contradict_each_other_the_one_at_the_registered_place_is_believed(
    sites: Sites,
) -> None:
    """In privacy mode the utility answers about the position of the newest cable only."""
    forged(sites, RegisteredSite(site_id=SITE, position_inside=True))  # the thief forged its place
    assert blocked(sites) == [("honest", BlockCause.LOCATION_MISMATCH)]
    lift(sites, "honest", now_s=NOW_S + 70)
    comes(sites, "honest", TOKYO, now_s=NOW_S + 120)
    sites.check(now_s=NOW_S + 120, registered=REGISTERED)  # a utility that tells the place
    assert blocked(sites) == [("thief", BlockCause.LOCATION_MISMATCH)]


def test_each_cable_that_is_elsewhere_is_blocked(sites: Sites) -> None:
    forged(sites)
    comes(sites, "second", OSAKA, now_s=NOW_S + 90)
    sites.check(now_s=NOW_S + 90, registered=REGISTERED)
    assert blocked(sites) == [
        ("thief", BlockCause.LOCATION_MISMATCH),
        ("second", BlockCause.LOCATION_MISMATCH),
    ]


def test_the_host_and_the_driver_of_that_cable_are_told_and_nobody_else(sites: Sites) -> None:
    forged(sites)
    comes(sites, "honest", TOKYO, now_s=NOW_S + 90)  # again: nothing is withheld from it
    comes(sites, "thief", YOKOHAMA, now_s=NOW_S + 95)  # again: was told
    sites.check(now_s=NOW_S + 100, registered=REGISTERED)
    lift(sites, "", now_s=NOW_S + 200)
    assert told(sites) == [
        ("", "SITE_BLOCKED", "NONE"),
        ("driver-of-thief", "SITE_BLOCKED", "NONE"),
        ("", "BLOCK_LIFTED", "BIDIRECTIONAL"),
        ("driver-of-thief", "BLOCK_LIFTED", "BIDIRECTIONAL"),
    ]
    query = sa.select(AUDIT).where(AUDIT.c.subject == SITE).order_by(AUDIT.c.audit_number)
    rows = sites.database.read_now(lambda c: c.execute(query).all())
    assert [(row.action, json.loads(row.detail)["cable"]) for row in rows] == [
        ("SITE_BLOCKED", "thief"),
        ("SITE_BLOCK_LIFTED", "thief"),
    ]


def test_what_is_lifted_is_said_by_site_or_by_cable(sites: Sites) -> None:
    forged(sites)
    blocks = SqlBlocks(sites.database)
    asyncio.run(
        blocks.create(
            SITE,
            Permission.CHARGE_ONLY,
            "works on the meter",
            operator="operator-1",
            expire_s=None,
            request_id=None,
            now_s=NOW_S + 90,
        )
    )
    with pytest.raises(SiteNotBlocked, match="honest"):
        lift(sites, "honest", now_s=NOW_S + 100)
    lift(sites, "thief", now_s=NOW_S + 100)
    assert blocked(sites) == [("", BlockCause.OPERATOR)]
    assert told(sites)[-1] == ("driver-of-thief", "BLOCK_LIFTED", "CHARGE_ONLY")
    comes(sites, "thief", YOKOHAMA, now_s=NOW_S + 200)
    sites.check(now_s=NOW_S + 200, registered=REGISTERED)  # a new fix is news
    assert len(blocked(sites)) == 2
    lift(sites, "", now_s=NOW_S + 300)
    assert blocked(sites) == []


def test_a_lift_for_one_cable_says_nothing_about_another(sites: Sites) -> None:
    forged(sites)
    lift(sites, "thief", now_s=NOW_S + 300)
    comes(sites, "second", YOKOHAMA, now_s=NOW_S + 240)  # its fix is older than the lift
    sites.check(now_s=NOW_S + 310, registered=REGISTERED)
    assert blocked(sites) == [("second", BlockCause.LOCATION_MISMATCH)]


def test_a_block_of_the_whole_site_from_before_holds_for_every_cable(sites: Sites) -> None:
    forged(sites)
    sites.database.write_now(lambda c: c.execute(BLOCK.update().values(cable_id="")))
    (block,) = sites.blocks()
    assert block.concerns("honest")
    comes(sites, "second", YOKOHAMA, now_s=NOW_S + 90)
    sites.check(now_s=NOW_S + 90, registered=REGISTERED)
    assert len(sites.blocks()) == 1
