"""From what a half hour comes to, to postings that sum to zero.

| what happened | who gets | who gives |
|---|---|---|
| availability, energy (+ discharge) | driver | aggregator |
| host fee | host | aggregator |
| site bill: the house's own energy | utility | host |
| site bill: the difference guests made | utility | aggregator |
| contract | aggregator | market |
| imbalance (+ beyond the contract) | aggregator | imbalance |
| share of an imbalance, if the rule passes one on | driver | aggregator |
| payout | bank | driver or host |
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from gridcord.settlement.account import (
    AGGREGATOR,
    BANK,
    UTILITY,
    Account,
    AccountKind,
    Posting,
    Purpose,
)
from gridcord.settlement.facts import (
    AccountSubject,
    AreaSubject,
    CableSubject,
    Gathering,
    ShareSubject,
    SiteSubject,
    Subject,
)
from gridcord.settlement.half_hour import cable_half_hour, site_half_hour
from gridcord.settlement.imbalance_share import share_amount
from gridcord.settlement.terms import Terms
from gridcord.settlement.transfer import Transfer
from gridcord.units import Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Derived:
    """What a subject's facts come to.

    Args:
        postings: Sum to zero in each currency; zero amounts are left out.
        sources: Names of the facts and tariff versions they rest on, sorted.
    """

    postings: tuple[Posting, ...] = ()
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Move:
    """An amount that one account gets and another gives."""

    to: Account
    by: Account
    purpose: Purpose
    amount: Money


def derived(*, subject: Subject, facts: Gathering, terms: Terms) -> Derived:
    """What a subject's facts come to; depends on nothing else.

    Raises:
        NoTariff: No driver's tariff holds.
    """
    match subject:
        case CableSubject():
            moves, sources = _of_cable(facts, terms)
        case SiteSubject():
            moves, sources = _of_site(subject, facts, terms)
        case AreaSubject():
            moves, sources = _of_area(subject, facts)
        case ShareSubject():
            moves, sources = _of_share(facts, terms)
        case AccountSubject():
            moves, sources = _of_month(facts)
    return Derived(postings=_postings(moves), sources=tuple(sorted(set(sources))))


def driver_account(transfer: Transfer) -> Account:
    """Who earns by a record; a cable stands in for a driver it does not know."""
    owner = transfer.record.driver_id or f"cable={transfer.key.cable_id}"
    return Account(AccountKind.DRIVER, owner)


def _of_cable(facts: Gathering, terms: Terms) -> tuple[list[_Move], list[str]]:
    earnings = cable_half_hour(facts=facts, terms=terms)
    moves, sources = [], []
    for each in facts.settleable:
        earned = earnings[each.key]
        payee, purpose = driver_account(each), Purpose.AVAILABILITY
        moves.append(_Move(payee, AGGREGATOR, purpose, earned.availability))
        sources += [f"transfer:{each.key}", f"tariff:{earned.tariff}"]
    return moves, sources


def _of_site(subject: SiteSubject, facts: Gathering, terms: Terms) -> tuple[list[_Move], list[str]]:
    result = site_half_hour(subject=subject, facts=facts, terms=terms)
    moves, sources = [], []
    for each in facts.settleable:
        earned = result.energy[each.key]
        moves.append(_Move(driver_account(each), AGGREGATOR, Purpose.ENERGY, earned.energy))
        sources += [f"transfer:{each.key}", f"tariff:{earned.tariff}"]
    for fee in result.fees:
        host = Account(AccountKind.HOST, fee.host_id)
        moves.append(_Move(host, AGGREGATOR, Purpose.HOST_FEE, fee.amount))
        sources.append(f"consent:{fee.consent_id}")
    if result.bill is not None:
        host = Account(AccountKind.HOST, terms.site(subject.site_id).host_id)
        moves.append(_Move(UTILITY, host, Purpose.OWN_ENERGY, result.bill.host))
        moves.append(_Move(UTILITY, AGGREGATOR, Purpose.GUEST_ENERGY, result.bill.guest))
        sources.append(f"tariff:{result.bill.tariff}")
    if result.reading is not None:
        sources.append(f"reading:{subject}:{result.reading.source}:{result.reading.revision}")
    if facts.verdict is not None:
        sources.append(f"verdict:{subject}:{facts.verdict.verdict}:{facts.verdict.revision}")
    return moves, sources


def _of_area(subject: AreaSubject, facts: Gathering) -> tuple[list[_Move], list[str]]:
    result = facts.market
    if result is None:
        return [], []
    market = Account(AccountKind.MARKET, subject.area)
    imbalance = Account(AccountKind.IMBALANCE, subject.area)
    moves = [_Move(AGGREGATOR, market, Purpose.CONTRACT, c.income) for c in result.contracts]
    if result.imbalance is not None:
        moves.append(_Move(AGGREGATOR, imbalance, Purpose.IMBALANCE, result.imbalance))
    sources = [f"contract:{each.contract_id}" for each in result.contracts]
    return moves, [f"market:{subject}:{result.revision}", *sources]


def _of_share(facts: Gathering, terms: Terms) -> tuple[list[_Move], list[str]]:
    share = facts.share
    if share is None:
        return [], []
    amount = share_amount(share=share, percent=terms.rule.imbalance_percent)
    if amount is None:
        return [], []
    driver = Account(AccountKind.DRIVER, share.driver)
    area = AreaSubject(share.figures.area, share.period)
    sources = [f"market:{area}:{share.figures.revision}", f"transfer:{share.record}"]
    return [_Move(driver, AGGREGATOR, Purpose.IMBALANCE, amount)], sources


def _of_month(facts: Gathering) -> tuple[list[_Move], list[str]]:
    payout = facts.payout
    if payout is None:
        return [], []
    move = _Move(BANK, payout.account, Purpose.PAYOUT, payout.amount)
    return [move], [f"payout:{payout.account}:{payout.month}"]


def _postings(moves: list[_Move]) -> tuple[Posting, ...]:
    """One line per account, purpose and currency, in their order; nothing for nothing."""
    sums: defaultdict[tuple[Account, Purpose, str], int] = defaultdict(int)
    for move in moves:
        currency, micros = move.amount.currency, move.amount.micros
        sums[move.to, move.purpose, currency] += micros
        sums[move.by, move.purpose, currency] -= micros
    return tuple(
        Posting(account=account, purpose=purpose, amount=Money(currency, micros))
        for (account, purpose, currency), micros in sorted(sums.items())
        if micros
    )
