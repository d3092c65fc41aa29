"""The ledger's store: facts once and in order, entries that follow, nothing ever changed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace

import pytest
import sqlalchemy as sa

from gridcord.evidence.bundle_lines import VerdictLine
from gridcord.metering.matching import Finding, MatchPolicy, MatchRule, Reason
from gridcord.metering.reading import ReadingSource, SiteReading, Verdict
from gridcord.settlement.consent import Consent
from gridcord.settlement.facts import SiteVerdict
from gridcord.settlement.schedule import Prices, Schedule
from gridcord.settlement.tariff import Tariff, TariffBook
from gridcord.settlement.terms import SettlementRule, Terms
from gridcord.units import Money, Period, Price, SiteId
from manager.storage.engine import Database
from manager.storage.ledger.check import check_ledger
from manager.storage.ledger.entries import LedgerWriter, NewFact, facts_of, ledger_lines
from manager.storage.ledger.settlement import settle
from manager.storage.ledger.terms import (
    TermsChanged,
    adopt_match_policy,
    adopt_terms,
    stored_match_policy,
)
from manager.storage.schema import migrate
from manager.storage.sites.readings import insert_readings
from tests.unit.settlement.cases import PERIOD, record, transfer

NOW_S = 1_800_000_000
SITE = record().site_id


def tariff(price: str = "20") -> Tariff:
    prices = Prices(taken=Price.per_kwh("JPY", "12"), given=Price.per_kwh("JPY", price))
    return Tariff(
        tariff_id="standard",
        version=1,
        schedule=Schedule(zone="Asia/Tokyo", base=prices),
        availability=Money.of("JPY", "1"),
    )


TERMS = Terms(tariffs=TariffBook([tariff()]))


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = Database(database_url)
    migrate(opened)
    yield opened
    opened.close()


def reading(revision: int, export_wh: int) -> NewFact:
    return NewFact(
        content=SiteReading(
            site_id=SiteId(SITE),
            period=PERIOD,
            source=ReadingSource.UTILITY,
            import_wh=0,
            export_wh=export_wh,
            revision=revision,
        )
    )


def verdict(revision: int, said: Verdict) -> NewFact:
    stated = SiteVerdict(site_id=SITE, period=PERIOD, verdict=said, revision=revision)
    finding = Finding.MISMATCH if said is Verdict.MISMATCHED else Finding.MATCH
    reason = Reason.BALANCE_BROKEN if said is Verdict.MISMATCHED else Reason.BALANCE_HOLDS
    return NewFact(
        content=VerdictLine(number=0, known_s=0, verdict=stated, finding=finding, reason=reason)
    )


def facts() -> list[NewFact]:
    moved = transfer(record(discharged_wh=500, period=PERIOD))
    return [
        NewFact(content=moved, entry_number=1),
        reading(0, 500),
        verdict(0, Verdict.MISMATCHED),
        reading(1, 400),
        verdict(1, Verdict.MATCHED),
    ]


def append(database: Database, new: list[NewFact], now_s: int = NOW_S) -> None:
    database.write_now(lambda c: LedgerWriter(c, TERMS, now_s=now_s).add(new))


def balances(database: Database) -> dict[str, int]:
    query = "SELECT account, SUM(micros) FROM ledger_posting GROUP BY account"
    rows = database.read_now(lambda c: c.exec_driver_sql(query).all())
    return {account: int(micros) for account, micros in rows if micros}


def test_a_late_reading_or_verdict_reverses_and_makes_anew(database: Database) -> None:
    for fact in facts():
        append(database, [fact])
    lines = database.read_now(lambda c: list(ledger_lines(c)))
    site = [line for line in lines if line.subject.startswith("site:")]
    assert [(line.serial, line.reverses) for line in site] == [(1, None), (2, 1), (3, None)]
    driver = f"DRIVER:{record().driver_id}"
    assert balances(database)[driver] == 1_000_000 + 10_000_000
    assert sum(balances(database).values()) == 0
    assert database.read_now(lambda c: check_ledger(c, TERMS)).problems == ()


def test_any_order_gives_the_same_balances_and_saying_it_again_changes_nothing(
    database: Database,
) -> None:
    shuffled = facts()
    random.Random(5).shuffle(shuffled)
    append(database, shuffled)
    once = balances(database)
    append(database, [replace(each, entry_number=None) for each in facts()[1:]])
    assert balances(database) == once
    assert once[f"DRIVER:{record().driver_id}"] == 11_000_000


def test_facts_are_numbered_as_they_become_known_and_time_never_runs_back(
    database: Database,
) -> None:
    append(database, facts()[:2])
    append(database, facts()[2:3], now_s=NOW_S - 60)
    known = database.read_now(lambda c: [(f.number, f.known_s) for f in facts_of(c)])
    assert known == [(1, NOW_S), (2, NOW_S), (3, NOW_S)]
    assert [f.content for f in database.read_now(lambda c: list(facts_of(c)))] == [
        each.content for each in facts()[:3]
    ]


@pytest.mark.parametrize("table", ["ledger_fact", "ledger_entry", "ledger_posting"])
@pytest.mark.parametrize("verb", ["UPDATE {} SET {} = 1", "DELETE FROM {}"])
def test_nothing_is_ever_changed(database: Database, table: str, verb: str) -> None:
    append(database, facts())
    column = "fact_number" if table == "ledger_fact" else "ledger_number"
    with pytest.raises(sa.exc.DBAPIError, match="append-only"):
        database.write_now(lambda c: c.exec_driver_sql(verb.format(table, column)))


def test_a_failed_transaction_leaves_nothing(database: Database) -> None:
    def fail(connection: sa.Connection) -> None:
        LedgerWriter(connection, TERMS, now_s=NOW_S).add(facts())
        message = "no"
        raise RuntimeError(message)

    with pytest.raises(RuntimeError):
        database.write_now(fail)
    assert balances(database) == {}
    append(database, facts())
    first = database.read_now(lambda c: next(facts_of(c)))
    assert first.number == 1


def test_what_was_changed_behind_the_guards_is_found(database: Database) -> None:
    append(database, facts())

    def forge(connection: sa.Connection) -> None:
        on = "" if database.is_sqlite else " ON ledger_posting"
        connection.exec_driver_sql(f"DROP TRIGGER ledger_posting_no_update{on}")
        connection.exec_driver_sql("UPDATE ledger_posting SET micros = micros + 1 WHERE line = 1")

    database.write_now(forge)
    found = database.read_now(lambda c: check_ledger(c, TERMS))
    assert found.sums["JPY"] != 0
    assert any("does not sum to zero" in problem for problem in found.problems)
    assert any("does not follow from the facts" in problem for problem in found.problems)


def test_a_reading_of_the_utility_is_taken_once(database: Database) -> None:
    given = reading(0, 500).content
    assert isinstance(given, SiteReading)

    def told(connection: sa.Connection) -> int:
        insert_readings(connection, [given], receive_s=NOW_S)
        return settle(connection, TERMS, now_s=NOW_S, limit=10)

    assert [database.write_now(told) for _ in range(3)] == [1, 0, 0]
    assert database.read_now(lambda c: [f.content for f in facts_of(c)]) == [given]


def adopt(database: Database, terms: Terms, now_s: int = NOW_S) -> Terms:
    return database.write_now(lambda c: adopt_terms(c, terms, now_s=now_s, period_s=1800))


def test_another_price_is_another_version_from_the_next_period_on(database: Database) -> None:
    adopt(database, TERMS)
    assert adopt(database, TERMS).tariffs.versions == (tariff(),)
    dearer = adopt(database, Terms(tariffs=TariffBook([tariff("25")])), NOW_S + 1)
    now = Period.containing(NOW_S + 1)
    assert dearer.tariffs.tariff(area="", period=now).name == "standard/1"
    assert dearer.tariffs.tariff(area="", period=now.next()).name == "standard/2"
    assert adopt(database, TERMS, NOW_S + 3600).tariffs.versions[0].name == "standard/3"


def test_another_rule_is_refused(database: Database) -> None:
    adopt(database, TERMS)
    with pytest.raises(TermsChanged, match="rests on"):
        adopt(database, replace(TERMS, rule=SettlementRule(pay_unread=True)))


def test_a_consent_may_be_withdrawn_but_not_changed(database: Database) -> None:
    free = Prices.same(Price.per_kwh("JPY", "1"))
    consent = Consent(
        consent_id="c1",
        site_id=SITE,
        host_id="h",
        fee=free,
        connected_fee=Money.of("JPY", "0"),
        max_power_w=1500,
    )
    adopt(database, replace(TERMS, consents=(consent,)))
    withdrawn = replace(consent, withdrawn_s=NOW_S)
    assert adopt(database, replace(TERMS, consents=(withdrawn,))).consents == (withdrawn,)
    with pytest.raises(TermsChanged):
        adopt(database, replace(TERMS, consents=(replace(withdrawn, max_power_w=9),)))


def test_another_way_to_judge_judges_every_site_anew(database: Database) -> None:
    policy = MatchPolicy(rule=MatchRule.PATENT)
    site = "INSERT INTO site (site_id, matched_period, evidence_nats, first_seen_s)"

    def work(connection: sa.Connection) -> list[int | None]:
        connection.exec_driver_sql(f"{site} VALUES ('s', 1800, 0, 0)")
        judged = []
        for each in (policy, policy, MatchPolicy()):
            adopt_match_policy(connection, each, now_s=NOW_S)
            found = connection.exec_driver_sql("SELECT matched_period FROM site").scalar()
            judged.append(found)
            connection.exec_driver_sql("UPDATE site SET matched_period = 1800")
        assert stored_match_policy(connection) == MatchPolicy()
        return judged

    assert database.write_now(work) == [None, 1800, None]
