"""Facts that money is derived from, and what they are about.

A fact is about subjects; a subject gathers its facts. Gathering is commutative and idempotent: the
same facts in any order, said any number of times, give the same gathering.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from gridcord.metering.reading import ReadingQuality, ReadingSource, SiteReading, Verdict
from gridcord.settlement.account import Account
from gridcord.settlement.imbalance import MarketResult
from gridcord.settlement.imbalance_share import ImbalanceShare
from gridcord.settlement.transfer import Transfer
from gridcord.units import CableId, Money, Period, Price

_METERS = (ReadingSource.UTILITY, ReadingSource.SMART_METER)
_QUALITY = {ReadingQuality.COMPLETE: 2, ReadingQuality.PARTIAL: 1, ReadingQuality.ESTIMATED: 0}
_VERDICT = {Verdict.INDETERMINATE: 0, Verdict.MATCHED: 1, Verdict.MISMATCHED: 2}


class Equivocation(ValueError):
    """Two different records claim one name; such a pair belongs in quarantine, not here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteVerdict:
    """The manager's verdict of one site and period.

    Args:
        site_id: The site.
        period: The period.
        verdict: The verdict.
        revision: 0 for the first, higher for what replaces it.
    """

    site_id: str
    period: Period
    verdict: Verdict
    revision: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Payout:
    """A closed statement was paid (or collected, when negative).

    Args:
        account: Whose.
        month: Such as `2026-11`; one payout per account and month.
        amount: Whole minor units of the currency.
        before_s: What was owed for all periods that start before this, seconds since 1970 UTC: the
            end of the month where it was closed. None for one of which that was not kept.
    """

    account: Account
    month: str
    amount: Money
    before_s: int | None = None


Fact = Transfer | SiteReading | SiteVerdict | MarketResult | ImbalanceShare | Payout


@dataclass(frozen=True, slots=True, order=True)
class CableSubject:
    """A cable in a period: what availability is paid for."""

    cable_id: CableId
    period: Period

    def __str__(self) -> str:
        return f"cable:{self.cable_id}@{self.period}"


@dataclass(frozen=True, slots=True, order=True)
class SiteSubject:
    """A site in a period: what energy is paid and billed by."""

    site_id: str
    period: Period

    def __str__(self) -> str:
        return f"site:{self.site_id}@{self.period}"


@dataclass(frozen=True, slots=True, order=True)
class AreaSubject:
    """A market area in a period: what contracts are settled by."""

    area: str
    period: Period

    def __str__(self) -> str:
        return f"area:{self.area}@{self.period}"


@dataclass(frozen=True, slots=True, order=True)
class ShareSubject:
    """A cable in a period: what it has to do with an imbalance."""

    cable_id: CableId
    period: Period

    def __str__(self) -> str:
        return f"share:{self.cable_id}@{self.period}"


@dataclass(frozen=True, slots=True, order=True)
class AccountSubject:
    """An account in a month: what is paid out."""

    account: Account
    month: str

    def __str__(self) -> str:
        return f"payout:{self.account}@{self.month}"


Subject = CableSubject | SiteSubject | AreaSubject | ShareSubject | AccountSubject


def subjects(fact: Fact) -> tuple[Subject, ...]:
    """What a fact is about."""
    match fact:
        case Transfer():
            return (
                CableSubject(fact.key.cable_id, fact.period),
                SiteSubject(fact.record.site_id, fact.period),
            )
        case SiteReading() | SiteVerdict():
            return (SiteSubject(fact.site_id, fact.period),)
        case MarketResult():
            return (AreaSubject(fact.area, fact.period),)
        case ImbalanceShare():
            return (ShareSubject(CableId(fact.cable_id), fact.period),)
        case Payout():
            return (AccountSubject(fact.account, fact.month),)


@dataclass(frozen=True, kw_only=True)
class Gathering:
    """All that is known of one subject.

    Args:
        transfers: Records, by name.
        readings: Of the site, each once.
        verdict: The one of the highest revision.
        market: The result of the highest revision.
        share: The one of the highest revision.
        payout: Of the month.
    """

    transfers: tuple[Transfer, ...] = ()
    readings: frozenset[SiteReading] = frozenset()
    verdict: SiteVerdict | None = None
    market: MarketResult | None = None
    share: ImbalanceShare | None = None
    payout: Payout | None = None

    def gathered(self, fact: Fact) -> Gathering:
        """With one more fact; the same object when it says nothing new.

        Raises:
            Equivocation: Another record of the same name, or another payout of the month.
        """
        match fact:
            case Transfer():
                return self._with_transfer(fact)
            case SiteReading():
                known = fact in self.readings
                return self if known else replace(self, readings=self.readings | {fact})
            case SiteVerdict():
                newer = self.verdict is None or _verdict_rank(fact) > _verdict_rank(self.verdict)
                return replace(self, verdict=fact) if newer else self
            case MarketResult():
                higher = self.market is None or _market_rank(fact) > _market_rank(self.market)
                return replace(self, market=fact) if higher else self
            case ImbalanceShare():
                later = self.share is None or _share_rank(fact) > _share_rank(self.share)
                return replace(self, share=fact) if later else self
            case Payout():
                return self._with_payout(fact)

    @cached_property
    def settleable(self) -> tuple[Transfer, ...]:
        """Records whose UTC is known, by name."""
        return tuple(each for each in self.transfers if each.settleable)

    @cached_property
    def reading(self) -> SiteReading | None:
        """The reading that counts: the utility's before a cable's, the highest revision of it.

        Consumption is taken from a home energy manager where the meter's reading tells none.
        Among equals the more complete counts, then the larger numbers: any order gives the same.
        """
        ordered = sorted(self.readings, key=_reading_rank, reverse=True)
        meters = (each for each in ordered if each.source in _METERS and each.import_wh is not None)
        meter = next(meters, None)
        hems = next((each for each in ordered if each.source is ReadingSource.HEMS), None)
        if meter is None or hems is None or meter.consumption_wh is not None:
            return meter
        return replace(meter, consumption_wh=hems.consumption_wh)

    def _with_transfer(self, transfer: Transfer) -> Gathering:
        for each in self.transfers:
            if each.key == transfer.key:
                if each != transfer:
                    message = f"two records are called {transfer.key}"
                    raise Equivocation(message)
                return self
        ordered = sorted((*self.transfers, transfer), key=lambda each: each.key)
        return replace(self, transfers=tuple(ordered))

    def _with_payout(self, payout: Payout) -> Gathering:
        if self.payout not in (None, payout):
            message = f"{payout.account} was paid twice for {payout.month}"
            raise Equivocation(message)
        return self if payout == self.payout else replace(self, payout=payout)


def _reading_rank(reading: SiteReading) -> tuple[int, ...]:
    values = (reading.import_wh, reading.export_wh, reading.consumption_wh)
    return (
        reading.source is ReadingSource.UTILITY,
        reading.revision,
        _QUALITY[reading.quality],
        *(-1 if value is None else value for value in values),
        -reading.step_wh,
    )


def _verdict_rank(verdict: SiteVerdict) -> tuple[int, int]:
    return verdict.revision, _VERDICT[verdict.verdict]


def _market_rank(result: MarketResult) -> tuple[object, ...]:
    return (
        result.revision,
        tuple((c.contract_id, c.energy_wh, _price_rank(c.price)) for c in result.contracts),
        result.delivered_wh,
        result.telemetry_wh,
        result.recorded_wh is None,
        _price_rank(result.imbalance_price),
        result.left_early_wh,
    )


def _share_rank(share: ImbalanceShare) -> tuple[object, ...]:
    figures = share.figures
    return (
        figures.revision,
        figures.digest,
        figures.area,
        figures.deviation_wh,
        figures.left_early_wh,
        _price_rank(figures.imbalance_price),
        (share.deviation_wh, share.site_id, share.driver, share.record),
    )


def _price_rank(price: Price | None) -> tuple[str, int]:
    return ("", 0) if price is None else (price.currency, price.micros_per_kwh)
