"""A manager with hosts, consents and tariffs, and cables that did something at its sites."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gridcord.chassis.identity import Role
from gridcord.evidence import plain
from gridcord.metering.reading import ReadingSource, SiteReading, Verdict
from gridcord.metering.records import (
    AssetLoading,
    CableEvent,
    CableEventKind,
    JournalEntry,
    SiteObservation,
)
from gridcord.metering.verdict import StatedMatch
from gridcord.settlement.consent import Consent
from gridcord.settlement.departure import Expectation
from gridcord.settlement.imbalance import Contract
from gridcord.settlement.schedule import Prices, Schedule
from gridcord.settlement.statement import Month
from gridcord.settlement.tariff import SiteTariff
from gridcord.settlement.terms import SiteTerms
from gridcord.units import Money, Period, Price, SiteId
from manager.domain.bidding.market_news import AreaContract, ImbalancePrice
from manager.storage.audit.log import SqlAuditLog
from manager.storage.derivation.utility_facts import SqlUtilityFacts
from manager.storage.engine import Database
from manager.storage.ledger.bundle_scope import SITE
from manager.storage.ledger.payouts import close_month
from manager.storage.ledger.settlement import waits
from manager.storage.ledger.terms import stored_terms
from manager.storage.market.expectations import SqlExpectations
from manager.storage.market.results import CONTRACTS, PRICES, SqlMarketFacts, results_wait
from tests.integration.manager.conftest import ManagerProcess, running_manager
from tests.integration.manager.recording import (
    RecordingCable,
    eventually,
    listed,
    new_site,
    tools,
)

DAY_S = 86_400
HALF_HOURS = 8
HOUSE_WH = 300
NOON = Period.containing((time.time() // DAY_S - 2) * DAY_S + DAY_S / 2)

# Wh of each cable by half hour, + charge, None unplugged: two at the first house, the driver of
# the third moves from the second house to the first in the middle.
MOVES: tuple[tuple[int | None, ...], ...] = (
    (0, -600, -600, None, 450, 450, -300, 0),
    (None, -200, -200, None, None, 0, 0, None),
    (-500, -500, 0, None, -500, -400, None, None),
)


# Wh sold by half hour; (cable, half hour): seconds it left early, W it was counted on for.
AREA = "tokyo"  # of cables, where settings name no other
SOLD_WH = {5: 500, 6: 400}
EARLY = {(2, 5): (600, -1200), (1, 6): (900, -800), (0, 6): (300, -600)}
ENDED = (0, 6)  # whose session an operator ended before
IMBALANCE_PERCENT = 40


def half_hour(number: int) -> Period:
    """Of the day before yesterday, from noon on."""
    return NOON.next(number)


@dataclass
class ProvenTown:
    """A manager and its cables.

    Args:
        process: The manager.
        database: Its file or address.
        sites: Two houses with hosts.
        cables: Three; the first two at the first house, the third at the second house, whose
            meter sees nothing of it.
    """

    process: ManagerProcess
    database: str
    sites: tuple[SiteId, SiteId]
    cables: list[RecordingCable] = field(default_factory=list)

    def live(self) -> None:
        """Let all of it happen, until the manager has concluded and settled."""
        first, second = self.sites
        self.cables = [
            RecordingCable(self.process, site_id=site) for site in (first, first, second)
        ]
        asyncio.run(self._live())

    async def _live(self) -> None:
        for cable, moves in zip(self.cables, MOVES, strict=True):
            await cable.deliver(self._journal(cable, moves))
        async with tools(self.process, Role.VIEWER) as client:
            await eventually(
                lambda: listed(client.transfers()),
                lambda found: bool(found) and all(each.HasField("manager_match") for each in found),
            )
        await self._settled()

    async def _settled(self) -> None:
        """Let the utility tell, and wait until sites are judged anew and the ledger knows."""
        database = Database(self.url)
        facts = SqlUtilityFacts(database)
        for cursor, (number, more_wh) in enumerate(((1, 0), (2, 0), (2, 20)), 1):
            told = self._reading(self.sites[0], number, ReadingSource.UTILITY, more_wh)
            await facts.take_reading(told, str(cursor), now_s=int(time.time()))
        await eventually(lambda: database.read(_quiet), bool)
        await self._traded(database)
        await eventually(lambda: database.read(_quiet), bool)
        database.close()

    async def _traded(self, database: Database) -> None:
        """Sell two half hours; the imbalance's price comes when the contracts are settled."""
        await SqlExpectations(database).keep(
            [
                Expectation(
                    cable_id=self.cables[place].name,
                    area=AREA,
                    period=half_hour(number),
                    power_w=power_w,
                    until_s=half_hour(number).end_s,
                )
                for (place, number), (_, power_w) in EARLY.items()
            ]
        )
        cable, number = ENDED
        await SqlAuditLog(database, now=lambda: half_hour(number).start_s + 600).note(
            actor="alice", action="SESSION_ENDED", subject=f"cable/{self.cables[cable].name}"
        )
        told = SqlMarketFacts(database)
        price = Price.per_kwh("JPY", "30")
        for number, sold_wh in SOLD_WH.items():
            contract = Contract(contract_id=f"c-{number}", energy_wh=sold_wh, price=price)
            news = AreaContract(area_id=AREA, period=half_hour(number), contract=contract)
            await told.take(news, CONTRACTS, str(number))
        await eventually(lambda: database.read(_quiet), bool)
        for number in SOLD_WH:
            published = ImbalancePrice(area_id=AREA, period=half_hour(number), price=price)
            await told.take(published, PRICES, str(number))

    def close_month(self) -> int:
        """Close the month as if it were long over; returns how many were paid."""
        month = Month(name=f"{NOON.start:%Y-%m}", zone="UTC")
        database = Database(self.url)

        def work(connection: Connection) -> int:
            terms = stored_terms(connection)
            assert terms is not None
            now_s = month.bounds()[1] + 2 * DAY_S
            return len(
                close_month(connection, terms, month, currency="JPY", actor="a", now_s=now_s)
            )

        paid = database.write_now(work)
        database.close()
        return paid

    @property
    def url(self) -> str:
        """Of the database."""
        return self.database if "://" in self.database else f"sqlite:///{self.database}"

    def _journal(
        self, cable: RecordingCable, moves: tuple[int | None, ...]
    ) -> Iterator[JournalEntry]:
        yield CableEvent(kind=CableEventKind.PLUGGED, at_s=NOON.start_s)
        for number, moved_wh in enumerate(moves):
            if moved_wh is not None:
                period, given_wh = half_hour(number), max(0, -moved_wh)
                early_s, _ = EARLY.get((self.cables.index(cable), number), (0, 0))
                record = cable.counted(
                    period,
                    charged_wh=max(0, moved_wh),
                    discharged_wh=given_wh,
                    end_s=period.end_s - early_s,
                )
                yield replace(record, final=early_s > 0)
            if cable is not self.cables[1]:
                yield self._observation(cable, number)
            if number == 2:
                yield _loaded(half_hour(number).end_s, cable.site_id)
        yield CableEvent(kind=CableEventKind.UNPLUGGED, at_s=half_hour(HALF_HOURS).start_s)

    def _observation(self, cable: RecordingCable, number: int) -> SiteObservation:
        reading = self._reading(cable.site_id, number, ReadingSource.SMART_METER)
        return SiteObservation(
            period=reading.period,
            site_id=cable.site_id,
            readings=(reading,),
            transferred_wh=0,
            match=StatedMatch(verdict=Verdict.INDETERMINATE, reason="NO_REFERENCE"),
        )

    def _reading(
        self, site_id: SiteId, number: int, source: ReadingSource, more_wh: int = 0
    ) -> SiteReading:
        moved = (moves[number] or 0 for moves in MOVES[:2])
        net_wh = HOUSE_WH + more_wh + (sum(moved) if site_id == self.sites[0] else 0)
        return SiteReading(
            site_id=site_id,
            period=half_hour(number),
            source=source,
            import_wh=max(0, net_wh),
            export_wh=max(0, -net_wh),
            revision=1 if more_wh else 0,
        )


def _loaded(at_s: int, site_id: SiteId) -> CableEvent:
    """Something in the middle of a journal from which no money follows."""
    loading = AssetLoading(asset_id="transformer-1", loading_percent=81.5, measured_s=at_s)
    kind = CableEventKind.EQUIPMENT_LIMIT_REACHED
    return CableEvent(kind=kind, at_s=at_s, site_id=site_id, asset_loading=loading)


def _quiet(connection: Connection) -> bool:
    """Whether every site is judged and the ledger knows all of it."""
    anew = sa.select(SITE.c.site_id).where(SITE.c.matched_period.is_(None)).limit(1)
    unsettled = waits(connection) or results_wait(connection, now_s=int(time.time()))
    return connection.execute(anew).first() is None and not unsettled


def terms_file(path: Path, sites: tuple[SiteId, SiteId]) -> Path:
    """Both houses have hosts; the first has agreed to be used, for a fee."""
    home = Prices(taken=Price.per_kwh("JPY", "31"), given=Price.per_kwh("JPY", "8.5"))
    consent = Consent(
        consent_id="consent-1",
        site_id=sites[0],
        host_id="host-1",
        fee=Prices.same(Price.per_kwh("JPY", "1.25")),
        connected_fee=Money.of("JPY", "0.9"),
        max_power_w=1500,
    )
    lists: dict[str, list[object]] = {
        "sites": [SiteTerms(site_id=s, host_id=f"host-{n}") for n, s in enumerate(sites, 1)],
        "site_tariffs": [
            SiteTariff(tariff_id="home", version=1, schedule=Schedule(zone="Asia/Tokyo", base=home))
        ],
        "consents": [consent],
    }
    plain_lists = {
        name: [json.loads(plain.write(v)) for v in values] for name, values in lists.items()
    }
    path.write_text(json.dumps(plain_lists))
    return path


@contextmanager
def proven_town(
    folder: Path, database_url: str = "", **tables: dict[str, object]
) -> Iterator[ProvenTown]:
    """A town whose manager judges at once by the patent's rule.

    Args:
        folder: Of its files.
        database_url: Of PostgreSQL; empty for SQLite in the folder.
        tables: Of the manager's settings, beside those it needs.
    """
    sites = (new_site(), new_site())
    match: dict[str, object] = {
        "rule": "patent",
        "difference_wh": 50,
        "reading_grace_s": 0,
        "check_every_s": 0.2,
        "sample_matched": 0,
    }
    settlement: dict[str, object] = {
        "terms": str(terms_file(folder / "terms.json", sites)),
        "imbalance_percent": IMBALANCE_PERCENT,
    }
    with running_manager(
        folder, database_url, match=match, settlement=settlement, **tables
    ) as process:
        town = ProvenTown(process, database_url or str(folder / "manager.db"), sites)
        town.live()
        yield town
