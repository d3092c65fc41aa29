"""What a cable says it moved while it is surely elsewhere tells nothing of the house it names."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
import sqlalchemy as sa

from gridcord.metering.matching import Moved
from gridcord.metering.reading import ReadingQuality, ReadingSource
from gridcord.units import Position
from manager.domain.trust.site import RegisteredSite
from manager.domain.trust.site_block import BlockCause
from manager.storage.engine import Database
from manager.storage.rows import SiteRow, TransferRow
from manager.storage.schema import migrate
from manager.storage.sites.facts import facts_of
from manager.storage.sites.governed_blocks import SqlBlocks
from tests.contract.storage.sites import FIRST, SITE, TOKYO, Sites, reading

SITE_TABLE: sa.Table = SiteRow.__table__  # type: ignore[attr-defined]
TRANSFER: sa.Table = TransferRow.__table__  # type: ignore[attr-defined]
REGISTERED = RegisteredSite(site_id=SITE, position=Position(35.68, 139.77))
YOKOHAMA = Position(35.44, 139.64, 10.0)
DAY = 48
BEGIN, END = 3 * DAY + 30, 3 * DAY + 42  # half hours of the evening in question


@pytest.fixture
def sites(database_url: str) -> Iterator[Sites]:
    opened = Database(database_url)
    migrate(opened)
    yield Sites(opened)
    opened.close()


def start_s(number: int) -> int:
    return FIRST.next(number).start_s


def comes(sites: Sites, cable: str, where: Position | None, *, number: int) -> None:
    at_s = start_s(number)
    position = None if where is None else replace(where, fix_time_s=float(at_s))
    sites.connect(cable, now_s=at_s, position=position)


def usual(sites: Sites, first: int, until: int, *, seen_wh: int = 0) -> None:
    """What the meter of a steady house shows, with what it saw of a discharge."""
    for number in range(first, until):
        net_wh = 150 + number * 37 % 90 - seen_wh
        sites.learn(reading(number, max(0, net_wh), max(0, -net_wh)))


def evening(sites: Sites, cable: str, *, day: int = 0, count: int = END - BEGIN) -> None:
    for number in range(BEGIN + day * DAY, BEGIN + day * DAY + count):
        sites.transfer(number, cable=cable)


def check(sites: Sites, number: int, registered: RegisteredSite | None = REGISTERED) -> None:
    sites.check(now_s=start_s(number) + 10, registered=registered)


def blocked(sites: Sites) -> list[tuple[str, BlockCause]]:
    return [(block.cable_id, block.cause) for block in sites.blocks()]


def evidence_nats(sites: Sites) -> float:
    query = sa.select(SITE_TABLE.c.evidence_nats).where(SITE_TABLE.c.site_id == SITE)
    return float(sites.database.read_now(lambda c: c.execute(query).scalar()) or 0.0)


def moved(sites: Sites, first: int, until: int) -> list[Moved | None]:
    facts = sites.database.read_now(
        lambda c: facts_of(
            c, SITE, judged_s=start_s(first - 1), length_s=1800, grace_s=0, now_s=start_s(until)
        )
    )
    return [each.moved for each in facts]


@pytest.mark.parametrize(
    ("registered", "blocks"),
    [
        (REGISTERED, [("thief", BlockCause.LOCATION_MISMATCH)]),
        (None, [("", BlockCause.METER_MISMATCH)]),  # nobody can say where the house is
    ],
)
def test_who_is_elsewhere_makes_no_mismatch_of_an_honest_house(
    sites: Sites, registered: RegisteredSite | None, blocks: list[tuple[str, BlockCause]]
) -> None:
    comes(sites, "thief", YOKOHAMA, number=BEGIN)
    evening(sites, "thief")
    usual(sites, 0, END)
    check(sites, END, registered)
    assert blocked(sites) == blocks
    assert (evidence_nats(sites) > 0) == (registered is None)


def test_what_was_judged_before_the_doubt_is_judged_anew(sites: Sites) -> None:
    comes(sites, "thief", None, number=BEGIN)
    usual(sites, 0, END)
    evening(sites, "thief", count=4)
    check(sites, BEGIN + 4)
    assert evidence_nats(sites) > 3
    assert blocked(sites) == []
    fix = replace(YOKOHAMA, fix_time_s=float(start_s(BEGIN + 5)))
    sites.transfer(BEGIN + 4, cable="thief", position=fix)
    check(sites, BEGIN + 5)
    assert blocked(sites) == [("thief", BlockCause.LOCATION_MISMATCH)]
    assert sites.blocks()[0].doubt_s == start_s(BEGIN)  # it stayed where it was plugged in
    assert evidence_nats(sites) == 0
    query = sa.select(TRANSFER.c.manager_match).order_by(TRANSFER.c.entry_number)
    said = [json.loads(row[0]) for row in sites.database.read_now(lambda c: c.execute(query).all())]
    assert {each["evidence_nats"] for each in said} == {0}
    assert {each["verdict"] for each in said} == {"INDETERMINATE"}


def test_the_host_whose_own_cable_steals_is_found_in_the_other_periods(sites: Sites) -> None:
    comes(sites, "own", TOKYO, number=BEGIN)
    comes(sites, "thief", YOKOHAMA, number=BEGIN)
    evening(sites, "own")
    evening(sites, "thief", count=3)
    usual(sites, 0, END)
    check(sites, END)
    assert blocked(sites) == [
        ("thief", BlockCause.LOCATION_MISMATCH),
        ("", BlockCause.METER_MISMATCH),
    ]


def test_a_gap_is_where_it_moved_something_until_its_block_is_lifted(sites: Sites) -> None:
    comes(sites, "own", TOKYO, number=BEGIN - 1)
    comes(sites, "thief", YOKOHAMA, number=BEGIN)
    sites.transfer(BEGIN - 1, cable="thief")  # the same plug-in
    sites.transfer(BEGIN + 1, cable="own")
    sites.transfer(BEGIN + 1, cable="thief")
    sites.transfer(BEGIN + 2, cable="own")
    sites.transfer(BEGIN + 2, cable="thief", vehicle_to_site_end_wh=5_000)  # nothing
    usual(sites, 0, END)
    check(sites, BEGIN + 3)
    own, both = Moved(-750), Moved(-1500)
    expected = [None, Moved(0), None, own]
    assert moved(sites, BEGIN - 1, BEGIN + 3) == expected
    blocks, lift_s = SqlBlocks(sites.database), start_s(BEGIN + 4)
    asyncio.run(
        blocks.lift(SITE, "seen there", cable_id="thief", operator="operator-1", now_s=lift_s)
    )
    sites.transfer(BEGIN + 4, cable="own")
    sites.transfer(BEGIN + 4, cable="thief")
    assert moved(sites, BEGIN - 1, BEGIN + 5) == [*expected, Moved(0), both]


@pytest.mark.parametrize("quality", [ReadingQuality.COMPLETE, ReadingQuality.ESTIMATED])
def test_what_a_hems_did_not_measure_breaks_no_balance(
    sites: Sites, quality: ReadingQuality
) -> None:
    """The honest house's consumption was estimated while it discharged: nobody is accused of it."""
    sites.connect("own", now_s=start_s(BEGIN))
    evening(sites, "own")
    usual(sites, 0, BEGIN)
    usual(sites, BEGIN, END, seen_wh=750)
    for number in range(END):
        within = number >= BEGIN
        hems = reading(number, 0, source=ReadingSource.HEMS)
        consumption_wh = 150 + number * 37 % 90 - (600 if within else 0)
        sites.learn(
            replace(
                hems,
                import_wh=None,
                export_wh=None,
                consumption_wh=max(0, consumption_wh),
                quality=quality if within else ReadingQuality.COMPLETE,
            )
        )
    check(sites, END)
    found = [("", BlockCause.METER_MISMATCH)] if quality is ReadingQuality.COMPLETE else []
    assert blocked(sites) == found
