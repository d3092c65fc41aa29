"""What one half hour comes to: of a cable (availability) and of a site (energy, bill, fees).

Two functions of facts, because two things are shared: a cable may be at two sites in a half hour
but earns one availability, and a site may have two cables but one meter. Their results do not
depend on the order in which facts came.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from gridcord.metering.matching import HemsCoverage
from gridcord.metering.reading import SiteReading, Verdict
from gridcord.settlement.caps import capped_discharge_wh, explained_discharge_wh
from gridcord.settlement.consent import consent_for, host_fee
from gridcord.settlement.earning import Earning, earning, period_earnings
from gridcord.settlement.facts import Gathering, SiteSubject
from gridcord.settlement.site_bill import SiteBill, site_bill
from gridcord.settlement.tariff import NoTariff
from gridcord.settlement.terms import Terms
from gridcord.settlement.transfer import TransferKey
from gridcord.units import Money, Power

Discharges = Mapping[TransferKey, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFee:
    """What a host gets for one record under a consent."""

    key: TransferKey
    host_id: str
    consent_id: str
    amount: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteHalfHour:
    """What a site's half hour comes to.

    Args:
        reading: The one that counted; None while none is known.
        paid_discharge_wh: Of each record, Wh.
        energy: Of each record, for its driver.
        fees: To the host.
        bill: Of the host; None without reading, host or site tariff.
        unpaid_discharge_wh: Discharge that is not paid: not (yet) explained by the meter, or
            refused by verdict and rule, Wh, >= 0.
    """

    reading: SiteReading | None
    paid_discharge_wh: Discharges
    energy: Mapping[TransferKey, Earning]
    fees: tuple[HostFee, ...]
    bill: SiteBill | None
    unpaid_discharge_wh: int


def cable_half_hour(*, facts: Gathering, terms: Terms) -> dict[TransferKey, Earning]:
    """What each record of one cable and period earns for being connected; energy left out.

    The tariff is that of the site where the cable was first.

    Raises:
        NoTariff: No tariff holds.
    """
    if not facts.settleable:
        return {}
    first = min(facts.settleable, key=lambda each: (each.record.start_s, each.key))
    area = terms.site(first.record.site_id).area
    tariff = terms.tariffs.tariff(area=area, period=first.period)
    nothing = Money.zero(tariff.schedule.currency)
    earnings = period_earnings(transfers=facts.settleable, tariff=tariff)
    return {key: replace(each, energy=nothing) for key, each in earnings.items()}


def site_half_hour(*, subject: SiteSubject, facts: Gathering, terms: Terms) -> SiteHalfHour:
    """What the energy of one site and period comes to.

    Raises:
        NoTariff: No driver's tariff holds.
    """
    paid = _paid_discharge(subject, facts, terms)
    return SiteHalfHour(
        reading=facts.reading,
        paid_discharge_wh=paid,
        energy=_energy(subject, facts, terms, paid),
        fees=_fees(facts, terms, paid),
        bill=_bill(subject, facts, terms, paid),
        unpaid_discharge_wh=_discharged_wh(facts) - sum(paid.values()),
    )


def _elsewhere(facts: Gathering) -> bool:
    """Whether the cables' energy does not pass the site's meter."""
    return facts.verdict is not None and facts.verdict.verdict is Verdict.MISMATCHED


def _charged_wh(facts: Gathering) -> int:
    return sum(each.record.site_to_vehicle_wh for each in facts.settleable)


def _discharged_wh(facts: Gathering) -> int:
    return sum(each.record.vehicle_to_site_wh for each in facts.settleable)


def _paid_discharge(subject: SiteSubject, facts: Gathering, terms: Terms) -> Discharges:
    rule, verdict = terms.rule, facts.verdict
    undecided = verdict is not None and verdict.verdict is Verdict.INDETERMINATE
    refused = _elsewhere(facts) or (undecided and not rule.pay_undecided)
    cap_wh = 0 if refused else _cap_wh(subject, facts, terms)
    if cap_wh is None and rule.pay_unread:
        return {each.key: each.record.vehicle_to_site_wh for each in facts.settleable}
    return capped_discharge_wh(transfers=facts.settleable, cap_wh=cap_wh or 0)


def _cap_wh(subject: SiteSubject, facts: Gathering, terms: Terms) -> int | None:
    if facts.reading is None:
        return None
    site = terms.site(subject.site_id)
    return explained_discharge_wh(
        reading=facts.reading,
        charged_wh=_charged_wh(facts),
        most_consumption_wh=Power(site.rating_w).over(subject.period.length_s).wh,
        hems_sees_all=site.hems is HemsCoverage.FULL,
    )


def _energy(
    subject: SiteSubject, facts: Gathering, terms: Terms, paid: Discharges
) -> dict[TransferKey, Earning]:
    if not facts.settleable:
        return {}
    area = terms.site(subject.site_id).area
    tariff = terms.tariffs.tariff(area=area, period=subject.period)
    nothing = Money.zero(tariff.schedule.currency)
    return {
        each.key: replace(
            earning(record=each.record, tariff=tariff, paid_discharge_wh=paid[each.key]),
            availability=nothing,
        )
        for each in facts.settleable
    }


def _fees(facts: Gathering, terms: Terms, paid: Discharges) -> tuple[HostFee, ...]:
    """Fees of records under a consent; none for energy that does not pass the site's meter."""
    fees = []
    for each in () if _elsewhere(facts) else facts.settleable:
        consent = consent_for(consents=terms.consents, record=each.record)
        if consent is not None:
            fees.append(
                HostFee(
                    key=each.key,
                    host_id=consent.host_id,
                    consent_id=consent.consent_id,
                    amount=host_fee(
                        consent=consent, record=each.record, paid_discharge_wh=paid[each.key]
                    ),
                )
            )
    return tuple(fees)


def _bill(
    subject: SiteSubject, facts: Gathering, terms: Terms, paid: Discharges
) -> SiteBill | None:
    """The host's bill; energy that does not pass this meter is left out of it."""
    site = terms.site(subject.site_id)
    if facts.reading is None or not site.host_id:
        return None
    try:
        tariff = terms.site_tariffs.tariff(area=site.area, period=subject.period)
    except NoTariff:
        return None
    return site_bill(
        reading=facts.reading,
        charged_wh=0 if _elsewhere(facts) else _charged_wh(facts),
        discharged_wh=sum(paid.values()),
        tariff=tariff,
    )
