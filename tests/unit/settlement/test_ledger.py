"""The ledger: always zero, the same in any order, never changed, and it knows what it knew."""

from __future__ import annotations

import dataclasses
import random
from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridcord.metering.reading import ClockState, ReadingSource, SiteReading, Verdict
from gridcord.settlement.account import AGGREGATOR, UTILITY, Account, AccountKind, Posting, Purpose
from gridcord.settlement.facts import (
    Equivocation,
    Fact,
    Payout,
    SiteSubject,
    SiteVerdict,
    Subject,
)
from gridcord.settlement.ledger import (
    Entry,
    SubjectState,
    Unbalanced,
    balances,
    fold,
    learn,
    restated,
)
from gridcord.settlement.terms import SettlementRule
from gridcord.units import Money, SiteId
from tests.unit.settlement.cases import PERIOD, record, transfer
from tests.unit.settlement.facts_of_a_town import SITES, facts, known, terms

TERMS = terms()
SEED = st.integers(0, 2**32)
DRIVER = Account(AccountKind.DRIVER, "driver-80")
HOST = Account(AccountKind.HOST, "host-0")


def standing(entries: tuple[Entry, ...]) -> dict[Subject, tuple[Posting, ...]]:
    """What is in force: entries less those that were reversed."""
    found: dict[Subject, tuple[Posting, ...]] = {}
    for entry in entries:
        if entry.reverses is None:
            found[entry.subject] = entry.postings
        else:
            del found[entry.subject]
    return found


@settings(max_examples=500, deadline=None)
@given(seed=SEED, count=st.integers(1, 30))
def test_the_same_facts_in_any_order_give_the_same_balances(seed: int, count: int) -> None:
    told = list(facts(seed, count))
    shuffled = random.Random(seed + 1).sample(told, len(told))
    one = tuple(fold(facts=known(told), terms=TERMS))
    other = tuple(fold(facts=known(shuffled + told[:3]), terms=TERMS))
    assert balances(one) == balances(other)
    assert standing(one) == standing(other)


@settings(max_examples=500, deadline=None)
@given(seed=SEED, count=st.integers(1, 30))
def test_it_sums_to_zero_at_every_moment(seed: int, count: int) -> None:
    entries = tuple(fold(facts=known(list(facts(seed, count))), terms=TERMS))
    for moment in range(-1, count * 2, max(1, count // 4)):
        sums: defaultdict[str, int] = defaultdict(int)
        for (_, currency), micros in balances(entries, as_of_s=moment).items():
            sums[currency] += micros
        assert set(sums.values()) <= {0}


@settings(max_examples=300, deadline=None)
@given(seed=SEED, count=st.integers(2, 30))
def test_what_was_known_is_what_the_first_facts_said(seed: int, count: int) -> None:
    told = known(list(facts(seed, count)))
    moment = len(told) // 2
    entries = tuple(fold(facts=told, terms=TERMS))
    then = tuple(fold(facts=told[: moment + 1], terms=TERMS))
    assert entries[: len(then)] == then
    assert balances(entries, as_of_s=moment) == balances(then)


@settings(max_examples=300, deadline=None)
@given(seed=SEED, count=st.integers(1, 40))
def test_entries_are_numbered_and_each_reversal_undoes_the_one_before(
    seed: int, count: int
) -> None:
    last: dict[Subject, Entry] = {}
    for entry in fold(facts=known(list(facts(seed, count, periods=1))), terms=TERMS):
        before = last.get(entry.subject)
        assert entry.serial == (before.serial if before else 0) + 1
        assert entry.sources
        if entry.reverses is not None:
            assert before is not None
            assert entry.reverses == before.serial
            assert entry.postings == tuple(each.reversed() for each in before.postings)
            assert entry.sources == (f"entry:{before.name}",)
        else:
            assert before is None or before.reverses is not None
        last[entry.subject] = entry


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_million_facts_in_two_orders() -> None:
    told = list(facts(2026, 1_000_000, periods=40_000))
    one = balances(fold(facts=known(told), terms=TERMS))
    random.Random(1).shuffle(told)
    assert balances(fold(facts=known(told), terms=TERMS)) == one
    assert sum(one.values()) == 0


def reading(import_wh: int, export_wh: int, revision: int = 0) -> SiteReading:
    return SiteReading(
        site_id=SiteId(SITES[0]),
        period=PERIOD,
        source=ReadingSource.UTILITY,
        import_wh=import_wh,
        export_wh=export_wh,
        revision=revision,
    )


DISCHARGE = transfer(record(discharged_wh=750, site_id=SITES[0]))


def entries_of(*facts: Fact) -> tuple[Entry, ...]:
    return tuple(fold(facts=known(list(facts)), terms=TERMS))


def owed(entries: tuple[Entry, ...], account: Account, *, as_of_s: int | None = None) -> int:
    return balances(entries, as_of_s=as_of_s).get((account, "JPY"), 0)


def test_a_half_hour_from_plug_to_correction() -> None:
    """16:30 in Tokyo: discharge 18.003 JPY/kWh, home 31.7 taken, 8.5 given, fee 1.25/kWh + 0.9."""
    entries = entries_of(DISCHARGE, reading(0, 250), reading(0, 300, revision=1))
    availability, energy, fee = 7_770_000, 13_502_250, 1_837_500
    assert owed(entries, DRIVER, as_of_s=0) == availability
    assert owed(entries, HOST, as_of_s=0) == 900_000  # connected; energy waits for a reading
    assert owed(entries, DRIVER, as_of_s=1) == availability + energy
    assert owed(entries, HOST, as_of_s=1) == fee - 15_850_000
    assert owed(entries, UTILITY, as_of_s=1) == -2_125_000
    assert owed(entries, HOST) == fee - 14_265_000
    assert owed(entries, UTILITY) == -2_550_000
    assert [(each.subject, each.serial, each.reverses) for each in entries[-2:]] == [
        (SiteSubject(SITES[0], PERIOD), 4, 3),
        (SiteSubject(SITES[0], PERIOD), 5, None),
    ]
    assert f"reading:site:{SITES[0]}@{PERIOD}:UTILITY:1" in entries[-1].sources
    assert f"transfer:{DISCHARGE.key}" in entries[-1].sources
    assert entries[-1].rule == "settlement/1"


def test_a_mismatch_takes_the_discharge_and_the_fee_back_and_frees_the_host() -> None:
    verdict = SiteVerdict(site_id=SITES[0], period=PERIOD, verdict=Verdict.MISMATCHED)
    entries = entries_of(DISCHARGE, reading(400, 0), verdict)
    assert owed(entries, DRIVER) == 7_770_000
    assert owed(entries, HOST) == -12_680_000  # the meter alone


def test_two_cables_with_the_same_energy_are_paid_what_the_meter_explains() -> None:
    double = transfer(record(discharged_wh=5000, site_id=SITES[0]), cable="cable-35")
    entries = entries_of(DISCHARGE, double, reading(5400, 0))
    energy = sum(
        posting.amount.micros
        for entry in entries
        for posting in entry.postings
        if posting.purpose is Purpose.ENERGY and posting.account == DRIVER
    )
    assert energy == 602 * 18_003 // 1  # 6000 Wh rating - 5400 Wh import + 2 Wh of steps


def test_nothing_new_makes_no_entry() -> None:
    state, first = learn(
        state=SubjectState(),
        subject=SiteSubject(SITES[0], PERIOD),
        fact=DISCHARGE,
        known_s=1,
        terms=TERMS,
    )
    again = learn(
        state=state,
        subject=SiteSubject(SITES[0], PERIOD),
        fact=DISCHARGE,
        known_s=2,
        terms=TERMS,
    )
    assert first
    assert again == (state, ())


def test_other_terms_restate() -> None:
    subject = SiteSubject(SITES[0], PERIOD)
    state, _ = learn(state=SubjectState(), subject=subject, fact=DISCHARGE, known_s=1, terms=TERMS)
    paying = terms(SettlementRule(version="settlement/2", pay_unread=True))
    _, entries = restated(state=state, subject=subject, known_s=2, terms=paying)
    assert [(each.reverses, each.rule) for each in entries] == [
        (1, "settlement/1"),
        (None, "settlement/2"),
    ]


def test_two_records_of_one_name_are_not_settled() -> None:
    forged = dataclasses.replace(DISCHARGE, record=record(discharged_wh=751, site_id=SITES[0]))
    with pytest.raises(Equivocation, match="cable-34"):
        entries_of(DISCHARGE, forged)


def test_a_month_is_paid_once() -> None:
    payout = Payout(account=DRIVER, month="2026-11", amount=Money.of("JPY", "8"))
    entries = entries_of(DISCHARGE, payout, payout)
    assert owed(entries, DRIVER) == -230_000
    assert owed(entries, Account(AccountKind.BANK)) == 8_000_000
    with pytest.raises(Equivocation, match="twice"):
        entries_of(payout, dataclasses.replace(payout, amount=Money.of("JPY", "9")))


def test_an_entry_that_does_not_balance_cannot_be() -> None:
    posting = Posting(account=AGGREGATOR, purpose=Purpose.ENERGY, amount=Money.of("JPY", "1"))
    with pytest.raises(Unbalanced):
        Entry(
            subject=SiteSubject(SITES[0], PERIOD),
            serial=1,
            known_s=0,
            rule="settlement/1",
            sources=(),
            postings=(posting,),
        )


def test_a_record_whose_utc_is_unknown_waits() -> None:
    body = dataclasses.replace(DISCHARGE.record, clock_state=ClockState.UNKNOWN)
    waiting = dataclasses.replace(DISCHARGE, record=body)
    assert entries_of(waiting) == ()
