"""Entries projected at once leave what the same entries leave one by one."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from gridcord.metering.reading import ReadingSource, SiteReading, Verdict
from gridcord.metering.records import JournalEntry, SiteObservation
from gridcord.metering.verdict import StatedMatch
from gridcord.session.entry import EntryKey
from gridcord.settlement.tariff import TariffBook
from gridcord.settlement.terms import Terms
from gridcord.units import Period, SiteId
from manager.domain.records.logged_entry import LoggedEntry, ReadEntry
from manager.storage.derivation.projection import ProjectionPolicy, SqlProjection
from manager.storage.engine import Database
from manager.storage.log.transfer_batch import GAP, TRANSFER
from manager.storage.schema import migrate
from manager.storage.sites.readings import READING
from tests.unit.settlement.cases import PERIOD, record, tariff

NOW_S = 1_800_000_000
TERMS = Terms(tariffs=TariffBook([tariff()]))
ENTRIES = 40


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = Database(database_url)
    migrate(opened)
    yield opened
    opened.close()


def entries(town: str, *, first: int) -> list[ReadEntry]:
    """Records and observations of two cables; numbers come out of order, as late entries do."""
    chance = random.Random(20)
    sequences = chance.sample(range(1, 200), ENTRIES)
    found = []
    for number, sequence in enumerate(sequences, first):
        key = EntryKey(f"{town}-{chance.randrange(2)}", 7, sequence)
        entry = LoggedEntry(
            number=number,
            key=key,
            kind="",
            body=b"",
            signature=b"",
            signing_key=b"",
            rated_power_w=1500,
            receive_s=NOW_S,
        )
        found.append(ReadEntry(entry=entry, content=content(town, chance)))
    return found


def content(town: str, chance: random.Random) -> JournalEntry:
    """A record whose registers may leave a gap, or what a meter said of the period of one."""
    period = PERIOD.next(chance.randrange(3))
    site_id = f"obis:{town}-{chance.randrange(2)}"
    if chance.random() < 0.6:
        body = record(discharged_wh=750, period=period, site_id=site_id)
        return replace(body, vehicle_to_site_start_wh=chance.choice([5_000, 5_750]))
    return observation(site_id, period, chance)


def observation(site_id: str, period: Period, chance: random.Random) -> SiteObservation:
    """What a meter said."""
    read = SiteReading(
        site_id=SiteId(site_id),
        period=period,
        source=ReadingSource.SMART_METER,
        import_wh=chance.randrange(1_000),
        export_wh=0,
    )
    match = StatedMatch(verdict=Verdict.MATCHED, reason=f"R{chance.randrange(9)}")
    return SiteObservation(
        period=period, site_id=site_id, readings=(read,), transferred_wh=0, match=match
    )


def project(database: Database, batches: Sequence[Sequence[ReadEntry]]) -> None:
    projection = SqlProjection(database, ProjectionPolicy(terms=TERMS, sample_matched=0.0))
    for batch in batches:
        asyncio.run(projection.apply(batch, now_s=NOW_S))


def left(database: Database, town: str) -> list[list[tuple[Any, ...]]]:
    """Records in the order of their last change, gaps and readings; without the town's name."""
    told = (
        (TRANSFER.c.cable_id, TRANSFER, TRANSFER.c.update_number),
        (GAP.c.cable_id, GAP, GAP.c.sequence),
        (READING.c.site_id, READING, READING.c.period_start),
    )
    numbers = {"entry_number", "update_number"}

    def work(connection: sa.Connection) -> list[list[tuple[Any, ...]]]:
        return [
            [
                tuple(
                    value.replace(town, "") if isinstance(value, str) else value
                    for name, value in row._asdict().items()
                    if name not in numbers
                )
                for row in connection.execute(
                    sa.select(table).where(name.contains(town)).order_by(order, name)
                )
            ]
            for name, table, order in told
        ]

    return database.read_now(work)


def test_a_batch_leaves_what_its_entries_leave_one_by_one(database: Database) -> None:
    project(database, [[each] for each in entries("single", first=1)])
    many = entries("batch", first=ENTRIES + 1)
    project(database, [many[:5], many[5:]])
    transfers, gaps, readings = left(database, "single")
    assert transfers
    assert gaps
    assert readings
    assert left(database, "batch") == [transfers, gaps, readings]
