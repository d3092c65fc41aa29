"""Statements: every half hour, one rounding, nothing lost between months."""

from __future__ import annotations

import csv
import io
import json
import re
import xml.etree.ElementTree as ET
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridcord.metering.reading import ReadingSource, SiteReading
from gridcord.settlement.account import Account, AccountKind, Purpose
from gridcord.settlement.facts import Fact, Gathering, Subject, subjects
from gridcord.settlement.ledger import KnownFact, balances, fold
from gridcord.settlement.statement import Month, Statement, opening_micros, rounded
from gridcord.settlement.statement_lines import driver_statement, host_statement
from gridcord.settlement.statement_page import statement_page
from gridcord.settlement.statement_table import statement_csv, statement_json
from gridcord.units import Money, Period
from tests.unit.settlement.cases import PERIOD, record, transfer
from tests.unit.settlement.facts_of_a_town import MONTH, SITES, facts, known, terms

TERMS = terms()
TOKYO = Month(name=MONTH, zone="Asia/Tokyo")


def gathered(told: Iterable[Fact]) -> dict[Subject, Gathering]:
    states: defaultdict[Subject, Gathering] = defaultdict(Gathering)
    for fact in told:
        for subject in subjects(fact):
            states[subject] = states[subject].gathered(fact)
    return dict(states)


def of_driver(told: list[Fact], driver_id: str, opening: int = 0) -> Statement:
    return driver_statement(
        driver_id=driver_id,
        month=TOKYO,
        currency="JPY",
        known=gathered(told),
        terms=TERMS,
        opening_micros=opening,
    )


def of_host(told: list[Fact], host_id: str) -> Statement:
    return host_statement(
        host_id=host_id, month=TOKYO, currency="JPY", known=gathered(told), terms=TERMS
    )


@settings(max_examples=200, deadline=None)
@given(seed=st.integers(0, 2**32), count=st.integers(1, 40))
def test_statements_are_what_the_ledger_says(seed: int, count: int) -> None:
    told = list(facts(seed, count))
    ledger = balances(fold(facts=known(told), terms=TERMS))
    for (account, currency), micros in ledger.items():
        if account.kind is AccountKind.DRIVER:
            assert of_driver(told, account.owner).exact_micros == micros
        elif account.kind is AccountKind.HOST:
            assert of_host(told, account.owner).exact_micros == micros
        assert currency == "JPY"


@pytest.mark.parametrize(
    ("amount", "expected"),
    [
        ("0.5 JPY", "0"),
        ("1.5 JPY", "2"),
        ("-2.5 JPY", "-2"),
        ("2.500001 JPY", "3"),
        ("0.005 USD", "0"),
        ("0.015 USD", "0.02"),
        ("-0.025 USD", "-0.02"),
        ("1.0005 KWD", "1"),
    ],
)
def test_the_one_rounding_is_half_to_even(amount: str, expected: str) -> None:
    value, currency = amount.split()
    assert rounded(Money.of(currency, value)) == Money.of(currency, expected)


def test_what_rounding_leaves_is_carried_and_a_late_correction_too() -> None:
    discharge = transfer(record(discharged_wh=750, site_id=SITES[0]))
    reading = SiteReading(
        site_id=SITES[0],
        period=PERIOD,
        source=ReadingSource.UTILITY,
        import_wh=0,
        export_wh=250,
    )
    november = of_driver([discharge], "driver-80")
    assert november.payable == Money.of("JPY", "8")
    assert november.carried_micros == -230_000
    december = Month(name="2026-12", zone="Asia/Tokyo")
    told: list[Fact] = [discharge, november.payout(), reading]
    entries = tuple(fold(facts=[KnownFact(fact=fact, known_s=1) for fact in told], terms=TERMS))
    opening = opening_micros(
        entries=entries, account=november.account, month=december, currency="JPY"
    )
    assert opening == -230_000 + 13_502_250


def test_months_are_local() -> None:
    start_s, end_s = TOKYO.bounds()
    assert datetime.fromtimestamp(start_s, UTC).isoformat() == "2026-10-31T15:00:00+00:00"
    assert Period(start_s) in TOKYO
    assert Period(start_s).next(-1) not in TOKYO
    assert Period(end_s) not in TOKYO
    assert (
        Month(name="2026-12", zone="UTC").bounds()[1]
        == Month(name="2027-01", zone="UTC").bounds()[0]
    )
    with pytest.raises(ValueError, match="2026-13"):
        Month(name="2026-13", zone="UTC")


def town_statement(owner: Account) -> Statement:
    told = list(facts(7, 200, periods=90))
    if owner.kind is AccountKind.DRIVER:
        return of_driver(told, owner.owner, opening=-123_456)
    return of_host(told, owner.owner)


OWNERS = (Account(AccountKind.DRIVER, "driver-1"), Account(AccountKind.HOST, "host-0"))


@pytest.mark.parametrize("owner", OWNERS, ids=str)
def test_json_and_csv_say_the_same(owner: Account) -> None:
    statement = town_statement(owner)
    document = json.loads(statement_json(statement))
    rows = list(csv.DictReader(io.StringIO(statement_csv(statement))))
    assert len(rows) == len(document["lines"]) == len(statement.lines) > 5
    total = document["opening_micros"] + round(sum(1_000_000 * float(row["total"]) for row in rows))
    assert total == document["exact_micros"] == statement.exact_micros
    assert document["payable_micros"] + document["carried_micros"] == total
    assert document["payable_micros"] % 1_000_000 == 0
    for row, line in zip(rows, document["lines"], strict=True):
        assert row["period_start"] == line["period_start"]
        assert round(float(row["charged_kwh"]) * 1000) == line["charged_wh"]


@pytest.mark.parametrize("owner", OWNERS, ids=str)
def test_the_page_is_whole_and_needs_nothing_from_outside(owner: Account) -> None:
    statement = town_statement(owner)
    page = statement_page(statement)
    body = ET.fromstring(re.search(r"<body>.*</body>", page, re.DOTALL)[0])  # type: ignore[index]
    rows = body.findall("div/table/tbody/tr")
    assert len(rows) == len(statement.lines)
    cells = [cell.text for cell in body.findall("div/table/tfoot/tr/td")]
    assert f"{sum(line.total_micros for line in statement.lines) / 1e6:.6f}" in cells
    assert "script" not in page
    assert "http" not in page
    chart = body.find("svg")
    assert chart is not None
    start_s, end_s = statement.month.bounds()
    assert len(chart.findall("g")) == (end_s - start_s) / 86_400, "a place for each day"
    assert f"{statement.exact_micros / 1e6:.6f}" in page


def test_a_name_cannot_write_into_the_page() -> None:
    account = Account(AccountKind.DRIVER, "<img src=x>")
    statement = Statement(account=account, month=TOKYO, currency="JPY", lines=())
    assert "<img" not in statement_page(statement)


def test_a_statement_names_what_is_not_paid() -> None:
    discharge = transfer(record(discharged_wh=750, site_id=SITES[0]))
    (line,) = of_driver([discharge], "driver-80").lines
    assert (line.discharged_wh, line.unpaid_wh) == (0, 750)
    assert line.amounts == {Purpose.AVAILABILITY: 7_770_000, Purpose.ENERGY: 0}
    assert line.tariff == "guest/2"
