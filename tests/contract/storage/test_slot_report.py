"""The report of a slot: what was contracted and delivered, and what the difference costs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from gridcord.units import Money, Price
from manager.domain.bidding.market_news import ImbalancePrice
from manager.domain.dispatch.demand import Demand, DemandReport, Progress
from manager.storage.engine import Database
from manager.storage.market.demands import SqlDemands
from manager.storage.market.results import PRICES, SqlMarketFacts
from manager.storage.schema import migrate
from tests.unit.settlement.cases import PERIOD

AREA = "6"  # without cables: telemetry says what was done


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = Database(database_url)
    migrate(opened)
    yield opened
    opened.close()


def _demands(database: Database) -> SqlDemands:
    return SqlDemands(database, default_area="3", now=lambda: PERIOD.end_s + 1)


def _report(database: Database, area_id: str = AREA) -> DemandReport:
    (report,) = asyncio.run(
        _demands(database).reports(start_s=None, end_s=None, area_id=area_id, after="", limit=10)
    )
    return report


def _asked(database: Database, *, contracted_wh: int, target_wh: int, done_wh: int) -> None:
    demands = _demands(database)
    demand = Demand(area_id=AREA, period=PERIOD, target_wh=target_wh, contracted_wh=contracted_wh)
    asyncio.run(demands.take(demand, "1"))
    done = Progress(allocated_wh=target_wh, telemetry_wh=done_wh, uncabled_wh=done_wh)
    asyncio.run(demands.note(AREA, PERIOD, done))


@pytest.mark.parametrize(
    ("contracted_wh", "done_wh", "jpy"),
    [
        (-2_000, -1_500, "-6"),  # half a kWh short of what was sold is bought, at 12 JPY/kWh
        (-2_000, -2_250, "3"),  # a quarter more than sold is paid
        (1_000, 1_500, "-6"),  # half a kWh more than bought is paid for
        (1_000, 1_000, "0"),
    ],
)
def test_energy_off_the_contract_is_settled_at_the_one_price(
    database: Database, contracted_wh: int, done_wh: int, jpy: str
) -> None:
    _asked(database, contracted_wh=contracted_wh, target_wh=contracted_wh, done_wh=done_wh)
    assert _report(database).imbalance is None  # no price yet
    news = ImbalancePrice(area_id=AREA, period=PERIOD, price=Price.per_kwh("JPY", "12"))
    asyncio.run(SqlMarketFacts(database).take(news, PRICES, "1"))
    report = _report(database)
    assert report.delivered_wh == done_wh
    assert report.imbalance == Money.of("JPY", jpy)
    assert report.closed


def test_an_activation_is_no_contract_its_energy_is_an_imbalance(database: Database) -> None:
    _asked(database, contracted_wh=0, target_wh=-1_000, done_wh=-1_000)
    news = ImbalancePrice(area_id=AREA, period=PERIOD, price=Price.per_kwh("JPY", "12"))
    asyncio.run(SqlMarketFacts(database).take(news, PRICES, "1"))
    report = _report(database)
    assert report.imbalance_wh == 0  # what was asked was done
    assert report.imbalance == Money.of("JPY", "12")  # and is paid as energy


def test_a_later_demand_keeps_what_was_done(database: Database) -> None:
    _asked(database, contracted_wh=-2_000, target_wh=-2_000, done_wh=-700)
    later = Demand(area_id=AREA, period=PERIOD, target_wh=-3_000, contracted_wh=-2_000, revision=2)
    asyncio.run(_demands(database).take(later, "2"))
    report = _report(database)
    assert report.delivered_wh == -700
    assert report.imbalance_wh == 2_300
    progress = asyncio.run(_demands(database).progress(AREA, PERIOD))
    assert progress == Progress(allocated_wh=-2_000, telemetry_wh=-700, uncabled_wh=-700)


def test_what_was_only_noted_was_not_asked(database: Database) -> None:
    demands = _demands(database)
    asyncio.run(demands.note(AREA, PERIOD, Progress(telemetry_wh=5)))
    assert asyncio.run(demands.of_period(PERIOD)) == []
    assert _report(database).delivered_wh == 5
