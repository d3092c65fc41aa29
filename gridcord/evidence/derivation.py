"""From the inputs of a bundle to everything that follows from them, the same way every time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from gridcord.evidence.bundle_lines import (
    BalanceLine,
    BillLine,
    EarningLine,
    FeeLine,
    LedgerLine,
    PostingLine,
)
from gridcord.settlement.facts import CableSubject, Gathering, SiteSubject, Subject, subjects
from gridcord.settlement.half_hour import SiteHalfHour, cable_half_hour, site_half_hour
from gridcord.settlement.ledger import Entry, KnownFact, balances, fold
from gridcord.settlement.posting_rules import driver_account
from gridcord.settlement.terms import Terms
from gridcord.settlement.transfer import Transfer
from gridcord.units import Period


def gathered(facts: Iterable[KnownFact]) -> dict[Subject, Gathering]:
    """Facts by what they are about.

    Raises:
        Equivocation: Two different records of one name.
    """
    known: defaultdict[Subject, Gathering] = defaultdict(Gathering)
    for each in facts:
        for subject in subjects(each.fact):
            known[subject] = known[subject].gathered(each.fact)
    return dict(known)


def by_site(known: dict[Subject, Gathering]) -> dict[str, dict[Period, Gathering]]:
    """The facts of sites, by site and period."""
    sites: defaultdict[str, dict[Period, Gathering]] = defaultdict(dict)
    for subject, facts in known.items():
        if isinstance(subject, SiteSubject):
            sites[subject.site_id][subject.period] = facts
    return dict(sites)


@dataclass(frozen=True, kw_only=True)
class Derivation:
    """What follows from facts under terms.

    Args:
        facts: In the order in which they became known.
        known: The same by subject, see `gathered`.
        terms: Tariffs, consents, rule.
    """

    facts: tuple[KnownFact, ...]
    known: dict[Subject, Gathering]
    terms: Terms

    def earnings(self) -> Iterator[EarningLine]:
        """Of each record, in the order of their names.

        Raises:
            NoTariff: None holds.
        """
        for transfer in self._transfers:
            site_id, period = transfer.record.site_id, transfer.period
            availability = cable_half_hour(
                facts=self.known[CableSubject(transfer.key.cable_id, period)], terms=self.terms
            )[transfer.key]
            site = self._sites[SiteSubject(site_id, period)]
            energy = site.energy[transfer.key]
            yield EarningLine(
                record=str(transfer.key),
                driver_id=driver_account(transfer).owner,
                site_id=site_id,
                period=period,
                currency=energy.energy.currency,
                availability_micros=availability.availability.micros,
                energy_micros=energy.energy.micros,
                paid_discharge_wh=site.paid_discharge_wh[transfer.key],
                tariff=energy.tariff,
            )

    def fees(self) -> Iterator[FeeLine]:
        """Of each record under a consent, by site and period."""
        for result in self._sites.values():
            for fee in result.fees:
                yield FeeLine(
                    record=str(fee.key),
                    host_id=fee.host_id,
                    consent_id=fee.consent_id,
                    currency=fee.amount.currency,
                    micros=fee.amount.micros,
                )

    def bills(self) -> Iterator[BillLine]:
        """Of each site and period that is billed."""
        for result in self._sites.values():
            bill = result.bill
            if bill is not None:
                yield BillLine(
                    site_id=bill.site_id,
                    period=bill.period,
                    metered_wh=bill.metered_wh,
                    charged_wh=bill.charged_wh,
                    discharged_wh=bill.discharged_wh,
                    own_wh=bill.own_wh,
                    currency=bill.host.currency,
                    host_micros=bill.host.micros,
                    guest_micros=bill.guest.micros,
                    exact=bill.exact,
                    reading_revision=bill.revision,
                    tariff=bill.tariff,
                )

    def ledger(self) -> Iterator[LedgerLine]:
        """Every entry, in the order in which they were made."""
        yield from map(_ledger_line, self.entries)

    def balances(self) -> Iterator[BalanceLine]:
        """Of each account that is not even, by account and currency."""
        for (account, currency), micros in sorted(balances(self.entries).items()):
            yield BalanceLine(account=str(account), currency=currency, micros=micros)

    @cached_property
    def entries(self) -> tuple[Entry, ...]:
        """The same as `ledger`, as values.

        Raises:
            NoTariff: None holds.
        """
        return tuple(fold(facts=self.facts, terms=self.terms))

    @cached_property
    def _transfers(self) -> list[Transfer]:
        found = (
            transfer
            for subject, facts in self.known.items()
            if isinstance(subject, SiteSubject)
            for transfer in facts.settleable
        )
        return sorted(found, key=lambda transfer: transfer.key)

    @cached_property
    def _sites(self) -> dict[SiteSubject, SiteHalfHour]:
        ordered = sorted(each for each in self.known if isinstance(each, SiteSubject))
        return {
            subject: site_half_hour(subject=subject, facts=self.known[subject], terms=self.terms)
            for subject in ordered
        }


def _ledger_line(entry: Entry) -> LedgerLine:
    return LedgerLine(
        subject=str(entry.subject),
        serial=entry.serial,
        known_s=entry.known_s,
        rule=entry.rule,
        reverses=entry.reverses,
        sources=entry.sources,
        postings=tuple(
            PostingLine(
                account=str(posting.account),
                purpose=posting.purpose,
                currency=posting.amount.currency,
                micros=posting.amount.micros,
            )
            for posting in entry.postings
        ),
    )
