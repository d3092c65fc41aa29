"""Market results and payouts in the ledger's store: when they are known, revised, and once."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gridcord.settlement.account import Account, AccountKind
from gridcord.settlement.facts import Payout
from gridcord.settlement.imbalance import Contract
from gridcord.settlement.statement import Month
from gridcord.units import Money, Price
from manager.domain.bidding.market_news import AreaContract, ImbalancePrice, MarketNews
from manager.storage.engine import Database
from manager.storage.ledger.check import check_ledger
from manager.storage.ledger.entries import MARKET, LedgerWriter, NewFact, facts_of, ledger_lines
from manager.storage.ledger.market_settlement import settle_market
from manager.storage.ledger.payouts import NotOver, close_month
from manager.storage.market.results import GRACE_S, market_result, records_came, take_news
from manager.storage.schema import migrate
from tests.contract.storage.test_ledger import TERMS, balances, facts, reading
from tests.unit.settlement.cases import PERIOD, record, transfer

AREA = "3"
OVER_S = PERIOD.end_s + GRACE_S
DRIVER = Account(AccountKind.DRIVER, record().driver_id)
MONTH = Month(name="2026-11", zone="Asia/Tokyo")
CLOSED_S = MONTH.bounds()[1] + 2 * 86_400


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = Database(database_url)
    migrate(opened)
    yield opened
    opened.close()


def sold(name: str, energy_wh: int, price: str) -> AreaContract:
    contract = Contract(contract_id=name, energy_wh=energy_wh, price=Price.per_kwh("JPY", price))
    return AreaContract(area_id=AREA, period=PERIOD, contract=contract)


def imbalance(price: str) -> ImbalancePrice:
    return ImbalancePrice(area_id=AREA, period=PERIOD, price=Price.per_kwh("JPY", price))


def told(database: Database, *news: MarketNews) -> None:
    def work(connection: Connection) -> None:
        for each in news:
            take_news(connection, each)

    database.write_now(work)


def settle(database: Database, now_s: int = OVER_S) -> int:
    return database.write_now(
        lambda c: settle_market(c, TERMS, area_of_cables=AREA, now_s=now_s, limit=10)
    )


def delivered(database: Database, telemetry_wh: int) -> None:
    """What telemetry says went into the fleet, Wh."""
    insert = (
        "INSERT INTO demand (area_id, period_start, period_length, target_wh, contracted_wh,"
        " revision, sources, activation, allocated_wh, telemetry_wh, uncabled_wh)"
        f" VALUES ('{AREA}', {PERIOD.start_s}, 1800, 0, 0, 1, '[]', false, 0, {telemetry_wh}, 0)"
    )

    def work(connection: Connection) -> None:
        connection.exec_driver_sql("DELETE FROM demand")
        connection.exec_driver_sql(insert)
        records_came(connection, {PERIOD.start_s})

    database.write_now(work)


def test_contracts_are_settled_when_the_period_is_over_and_revised_by_what_comes(
    database: Database,
) -> None:
    told(database, sold("c1", 1_000, "20"), sold("c2", -400, "10"))
    delivered(database, -500)  # 500 Wh given, 600 were sold
    assert settle(database, OVER_S - 1) == 0
    assert settle(database) == 1
    assert balances(database) == {"AGGREGATOR:": 16_000_000, f"MARKET:{AREA}": -16_000_000}
    told(database, imbalance("50"))
    assert settle(database) == 1
    assert balances(database)[f"IMBALANCE:{AREA}"] == 5_000_000  # 100 Wh short
    delivered(database, -700)
    settle(database)
    assert balances(database)[f"IMBALANCE:{AREA}"] == -5_000_000
    assert balances(database)["AGGREGATOR:"] == 21_000_000
    lines = database.read_now(lambda c: list(ledger_lines(c)))
    assert [(line.serial, line.reverses) for line in lines] == [
        (1, None),
        (2, 1),
        (3, None),
        (4, 3),
        (5, None),
    ]
    assert "contract:c1" in lines[-1].sources
    checked = database.read_now(lambda c: check_ledger(c, TERMS))
    assert (checked.problems, checked.sums) == ((), {"JPY": 0})


def test_what_is_told_again_changes_nothing(database: Database) -> None:
    news: Sequence[MarketNews] = (sold("c1", 1_000, "20"), imbalance("50"))
    for _ in range(3):
        told(database, *news)
        settle(database)
    assert database.read_now(lambda c: len(list(facts_of(c)))) == 1
    assert settle(database) == 0


def test_any_order_ends_with_the_same_balances(database: Database) -> None:
    steps: list[Callable[[], object]] = [
        lambda: told(database, sold("c1", 1_000, "20")),
        lambda: told(database, sold("c2", -400, "10")),
        lambda: told(database, imbalance("50")),
        lambda: settle(database),
        lambda: settle(database),
    ]
    random.Random(9).shuffle(steps)
    for step in steps:
        step()
    settle(database)
    assert balances(database) == {
        "AGGREGATOR:": -14_000_000,
        f"MARKET:{AREA}": -16_000_000,
        f"IMBALANCE:{AREA}": 30_000_000,
    }


def test_a_period_without_contracts_is_not_settled(database: Database) -> None:
    told(database, imbalance("50"))
    assert settle(database) == 1
    assert database.read_now(lambda c: list(facts_of(c))) == []
    absent = database.read_now(
        lambda c: market_result(c, AREA, PERIOD.next(), area_of_cables=AREA, until_entry=0)
    )
    assert absent is None


def append(database: Database, *new: NewFact) -> None:
    database.write_now(lambda c: LedgerWriter(c, TERMS, now_s=PERIOD.end_s).add(new))


def close(database: Database, month: Month = MONTH, now_s: int = CLOSED_S) -> list[Payout]:
    return database.write_now(
        lambda c: close_month(c, TERMS, month, currency="JPY", actor="alice", now_s=now_s)
    )


def test_a_month_is_closed_once_and_later_corrections_are_carried_over(database: Database) -> None:
    append(database, *facts()[:2])
    append(database, NewFact(content=transfer(record(discharged_wh=33), sequence=2)))
    before = balances(database)[str(DRIVER)]
    (payout,) = close(database)
    assert payout.account == DRIVER
    left = before - payout.amount.micros
    assert abs(left) <= 500_000
    assert payout.amount.micros % 1_000_000 == 0
    assert balances(database)[str(DRIVER)] == left
    assert balances(database)["BANK:"] == payout.amount.micros
    assert close(database) == []
    append(database, reading(1, 0))  # less was explained after all
    december = Month(name="2026-12", zone="Asia/Tokyo")
    corrected = balances(database)[str(DRIVER)]
    found = close(database, december, december.bounds()[1] + 86_400)
    assert sum(each.amount.micros for each in found) == round(corrected / 1e6) * 1_000_000
    checked = database.read_now(lambda c: check_ledger(c, TERMS))
    assert (checked.problems, checked.sums) == ((), {"JPY": 0})
    noted = database.read_now(
        lambda c: c.exec_driver_sql("SELECT actor, action, subject FROM audit").all()
    )
    assert [tuple(row) for row in noted][:1] == [("alice", "MONTH_CLOSED", "2026-11")]


def test_a_month_that_is_not_over_is_not_closed(database: Database) -> None:
    append(database, *facts()[:2])
    with pytest.raises(NotOver):
        close(database, now_s=MONTH.bounds()[1] + 3_600)
    assert database.read_now(lambda c: c.execute(sa.text("SELECT 1 FROM audit")).first()) is None


def test_currencies_that_are_not_paid_stay_owed(database: Database) -> None:
    append(database, *facts()[:2])
    owed = balances(database)
    found = database.write_now(
        lambda c: close_month(c, TERMS, MONTH, currency="USD", actor="a", now_s=CLOSED_S)
    )
    assert (found, balances(database)) == ([], owed)


def test_a_payout_of_another_amount_is_refused(database: Database) -> None:
    payout = Payout(account=DRIVER, month="2026-11", amount=Money.of("JPY", "8"))
    append(database, NewFact(content=payout))
    with pytest.raises(ValueError, match="paid twice"):
        append(database, NewFact(content=replace(payout, amount=Money.of("JPY", "9"))))


def test_market_facts_are_found_by_their_area(database: Database) -> None:
    told(database, sold("c1", 1_000, "20"))
    other = replace(sold("c9", 7, "1"), area_id="4")
    later = replace(sold("c10", 7, "1"), area_id="4", period=PERIOD.next())
    told(database, other, later)
    assert settle(database, OVER_S + 1800) == 3
    kinds = database.read_now(lambda c: [row.content for row in facts_of(c)])
    assert len(kinds) == 3
    assert {type(each).__name__ for each in kinds} == {"MarketResult"}
    rows = database.read_now(
        lambda c: c.exec_driver_sql("SELECT kind, site_id FROM ledger_fact").all()
    )
    assert {tuple(row) for row in rows} == {(MARKET, "area:3"), (MARKET, "area:4")}
