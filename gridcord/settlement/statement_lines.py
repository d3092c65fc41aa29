"""Makes the statements of drivers and hosts from the facts of their half hours."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from gridcord.settlement.account import Account, AccountKind, Purpose
from gridcord.settlement.facts import (
    AccountSubject,
    CableSubject,
    Gathering,
    ShareSubject,
    SiteSubject,
    Subject,
)
from gridcord.settlement.half_hour import cable_half_hour, site_half_hour
from gridcord.settlement.imbalance_share import share_amount
from gridcord.settlement.posting_rules import driver_account
from gridcord.settlement.statement import Line, Month, Statement
from gridcord.settlement.terms import Terms
from gridcord.settlement.transfer import TransferKey


@dataclass(slots=True)
class _Draft:
    """A driver's line while its two halves are found."""

    amounts: dict[Purpose, int] = field(default_factory=dict)
    tariff: str = ""
    paid_wh: int = 0


def driver_statement(
    *,
    driver_id: str,
    month: Month,
    currency: str,
    known: Mapping[Subject, Gathering],
    terms: Terms,
    opening_micros: int = 0,
) -> Statement:
    """The statement of a driver.

    Args:
        driver_id: Whose.
        month: Which.
        currency: Amounts in others are on other statements.
        known: Facts by subject; those of other drivers and months are passed over.
        terms: Tariffs and rule.
        opening_micros: See `opening_micros`.
    """
    account = Account(AccountKind.DRIVER, driver_id)
    lines: list[Line] = []
    drafts: defaultdict[TransferKey, _Draft] = defaultdict(_Draft)
    for subject, facts in known.items():
        if isinstance(subject, AccountSubject) or subject.period not in month:
            continue
        match subject:
            case CableSubject():
                _add_availability(drafts, facts, terms, currency)
            case SiteSubject():
                _add_energy(drafts, subject, facts, terms, currency)
            case ShareSubject():
                lines += _share_lines(driver_id, facts, terms, currency)
    for subject, facts in known.items():
        if isinstance(subject, SiteSubject) and subject.period in month:
            lines += _driver_lines(account, facts, drafts)
    return _statement(account, month, currency, lines, opening_micros)


def host_statement(
    *,
    host_id: str,
    month: Month,
    currency: str,
    known: Mapping[Subject, Gathering],
    terms: Terms,
    opening_micros: int = 0,
) -> Statement:
    """The statement of a host: own energy, and the fees for guests; arguments as for a driver."""
    account = Account(AccountKind.HOST, host_id)
    lines: list[Line] = []
    for subject, facts in known.items():
        if isinstance(subject, SiteSubject) and subject.period in month:
            line = _host_line(host_id, subject, facts, terms, currency)
            lines += [] if line is None else [line]
    return _statement(account, month, currency, lines, opening_micros)


def _statement(
    account: Account, month: Month, currency: str, lines: list[Line], opening: int
) -> Statement:
    ordered = sorted(lines, key=lambda line: (line.period, line.place))
    return Statement(
        account=account,
        month=month,
        currency=currency,
        lines=tuple(ordered),
        opening_micros=opening,
    )


def _add_availability(
    drafts: Mapping[TransferKey, _Draft], facts: Gathering, terms: Terms, currency: str
) -> None:
    for key, earned in cable_half_hour(facts=facts, terms=terms).items():
        if earned.availability.currency == currency:
            drafts[key].amounts[Purpose.AVAILABILITY] = earned.availability.micros


def _add_energy(
    drafts: Mapping[TransferKey, _Draft],
    subject: SiteSubject,
    facts: Gathering,
    terms: Terms,
    currency: str,
) -> None:
    result = site_half_hour(subject=subject, facts=facts, terms=terms)
    for key, earned in result.energy.items():
        draft = drafts[key]
        draft.tariff, draft.paid_wh = earned.tariff, result.paid_discharge_wh[key]
        if earned.energy.currency == currency:
            draft.amounts[Purpose.ENERGY] = earned.energy.micros


def _driver_lines(
    account: Account, facts: Gathering, drafts: Mapping[TransferKey, _Draft]
) -> list[Line]:
    return [
        Line(
            period=each.period,
            place=f"{each.record.site_id or 'unknown site'} · {each.key.cable_id}",
            amounts=drafts[each.key].amounts,
            charged_wh=each.record.site_to_vehicle_wh,
            discharged_wh=drafts[each.key].paid_wh,
            unpaid_wh=each.record.vehicle_to_site_wh - drafts[each.key].paid_wh,
            tariff=drafts[each.key].tariff,
        )
        for each in facts.settleable
        if driver_account(each) == account
    ]


def _share_lines(driver_id: str, facts: Gathering, terms: Terms, currency: str) -> list[Line]:
    share = facts.share
    if share is None or share.driver != driver_id:
        return []
    amount = share_amount(share=share, percent=terms.rule.imbalance_percent)
    if amount is None or amount.currency != currency or not amount.micros:
        return []
    place = f"left early · {share.cable_id} · market {share.figures.area}"
    return [Line(period=share.period, place=place, amounts={Purpose.IMBALANCE: amount.micros})]


def _host_line(
    host_id: str, subject: SiteSubject, facts: Gathering, terms: Terms, currency: str
) -> Line | None:
    result = site_half_hour(subject=subject, facts=facts, terms=terms)
    fees = [fee.amount for fee in result.fees if fee.host_id == host_id]
    amounts = {}
    if fees:
        amounts[Purpose.HOST_FEE] = sum(fee.micros for fee in fees if fee.currency == currency)
    bill = result.bill if terms.site(subject.site_id).host_id == host_id else None
    if bill is not None and bill.host.currency == currency:
        amounts[Purpose.OWN_ENERGY] = -bill.host.micros
    if not amounts:
        return None
    return Line(
        period=subject.period,
        place=subject.site_id,
        amounts=amounts,
        charged_wh=sum(each.record.site_to_vehicle_wh for each in facts.settleable),
        discharged_wh=sum(result.paid_discharge_wh.values()),
        unpaid_wh=result.unpaid_discharge_wh,
        own_wh=None if bill is None else bill.own_wh,
        tariff="" if bill is None else bill.tariff,
    )
