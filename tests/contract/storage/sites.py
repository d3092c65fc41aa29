"""A manager's view of one site on a real database: sessions, records, readings, checks."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace

from gridcord.metering.matching import MatchPolicy
from gridcord.metering.reading import ClockState, ReadingSource, SiteReading
from gridcord.metering.records import JournalEntry, TransferRecord
from gridcord.session.entry import EntryKey
from gridcord.session.opening import CableHello
from gridcord.settlement.tariff import TariffBook
from gridcord.settlement.terms import Terms
from gridcord.units import CableId, DriverId, Period, Position, SiteId, VehicleId
from manager.domain.records.cable_session import CableIntroduction
from manager.domain.records.logged_entry import LoggedEntry, ReadEntry
from manager.domain.trust.block_rules import BlockPolicy
from manager.domain.trust.site import RegisteredSite
from manager.domain.trust.site_block import SiteBlock
from manager.ports import CheckedSite
from manager.storage.derivation.projection import ProjectionPolicy, SqlProjection
from manager.storage.derivation.site_checks import CheckPolicy, SqlSiteChecks
from manager.storage.engine import Database
from manager.storage.sessions.cables import SqlJournals
from manager.storage.sites.blocks import blocks_in_force
from tests.unit.settlement.cases import record, tariff

SITE = SiteId("obis:4530303033")
FIRST = Period(1_795_392_000)
TOKYO = Position(35.68, 139.77, 10.0)
POLICY = CheckPolicy(
    match=MatchPolicy(),
    blocks=BlockPolicy(),
    grace_s=0.0,
    history_s=86_400,
    period_s=1800,
    position_tolerance_m=250.0,
    has_utility=True,
    believed_s=4 * 3600,
)


class Sites:
    """One manager, by hand.

    Args:
        database: With its tables.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        self.checks = SqlSiteChecks(database, POLICY)
        self._numbers = itertools.count(1)
        terms = Terms(tariffs=TariffBook([replace(tariff(), tariff_id="standard")]))
        self._projection = SqlProjection(
            database, ProjectionPolicy(terms=terms, sample_matched=0.0)
        )

    def connect(
        self,
        cable: str = "cable-1",
        *,
        now_s: int,
        position: Position | None = None,
        site_id: str = SITE,
        driver: str = "driver-80",
    ) -> None:
        """A cable opens a session."""
        introduction = CableIntroduction(
            cable_id=CableId(cable),
            journal=CableHello(
                journal_epoch=7, oldest_retained=1, next_sequence=1, boot_id="b", last_fence=0
            ),
            site_meter_id=site_id,
            hems_id="",
            position=position,
            vehicle_id=VehicleId("vehicle"),
            driver_id=DriverId(driver),
            signing_key=b"key",
            rated_power_w=1500,
            asset_loading=None,
            can_prove_actively=True,
            clock_state=ClockState.SYNCED,
            clock_s=now_s,
            monotonic_ns=0,
        )
        journals = SqlJournals(self.database)
        asyncio.run(journals.open(introduction, previous_alive=False, now_s=now_s))

    def write(self, content: JournalEntry, *, now_s: int, cable: str = "cable-1") -> None:
        """An entry of a cable is derived from."""
        number = next(self._numbers)
        entry = LoggedEntry(
            number=number,
            key=EntryKey(cable, 7, number),
            kind="TRANSFER",
            body=b"",
            signature=b"",
            signing_key=b"key",
            rated_power_w=1500,
            receive_s=now_s,
        )
        read = ReadEntry(entry=entry, content=content)
        asyncio.run(self._projection.apply([read], now_s=now_s))

    def transfer(self, number: int, *, cable: str = "cable-1", **changes: object) -> None:
        """A discharge of 0.75 kWh in a period, or what `changes` make of it."""
        body: TransferRecord = record(discharged_wh=750, period=FIRST.next(number), site_id=SITE)
        body = replace(body, **changes)  # type: ignore[arg-type]
        self.write(body, now_s=body.period.end_s + 2, cable=cable)

    def learn(self, *readings: SiteReading) -> None:
        """Readings arrive."""
        asyncio.run(self.checks.learn(readings, now_s=readings[-1].period.end_s + 1))

    def check(self, *, now_s: int, registered: RegisteredSite | None = None) -> CheckedSite | None:
        """The site is looked at if its turn has come."""
        due = asyncio.run(self.checks.due(now_s=now_s, limit=10))
        here = [site for site in due if site.site_id == SITE]
        if not here:
            return None
        return asyncio.run(self.checks.conclude(here[0], registered, now_s=now_s))

    def blocks(self) -> list[SiteBlock]:
        """Those in force at the site."""
        return self.database.read_now(lambda c: list(blocks_in_force(c, SITE)))


def reading(
    number: int,
    import_wh: int,
    export_wh: int = 0,
    *,
    source: ReadingSource = ReadingSource.UTILITY,
    revision: int = 0,
) -> SiteReading:
    """What was counted at the site in a period."""
    return SiteReading(
        site_id=SITE,
        period=FIRST.next(number),
        source=source,
        import_wh=import_wh,
        export_wh=export_wh,
        revision=revision,
    )
