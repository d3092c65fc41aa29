"""The terms of settlement: tariffs, consents, sites and the rule, all of them data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from gridcord.metering.matching import HemsCoverage
from gridcord.settlement.consent import Consent
from gridcord.settlement.tariff import EVERYWHERE, SiteTariff, Tariff, TariffBook


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteTerms:
    """What settlement knows of a site.

    Args:
        site_id: The site.
        area: Whose tariffs hold there.
        host_id: Who pays the site's bill; empty when not a customer, then nothing is billed.
        rating_w: Most power that the connection carries, W; bounds what the house can use.
        hems: How much of the load its energy manager sees.
    """

    site_id: str
    area: str = EVERYWHERE
    host_id: str = ""
    rating_w: int = 12_000
    hems: HemsCoverage = HemsCoverage.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class SettlementRule:
    """The choices that a tariff does not make. Another choice is another version.

    Args:
        version: What entries quote, such as `settlement/1`.
        pay_undecided: Pay discharge where no verdict was possible.
        pay_unread: Pay discharge before a reading of the site is known.
        imbalance_percent: Of what an early departure costs, the share that its driver bears, in
            [0, 100].

    Raises:
        ValueError: No such share.
    """

    version: str = "settlement/1"
    pay_undecided: bool = True
    pay_unread: bool = False
    imbalance_percent: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.imbalance_percent <= 100:
            message = f"no such share: {self.imbalance_percent} %"
            raise ValueError(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Everything that turns facts into money.

    Args:
        rule: The choices.
        tariffs: Of drivers.
        site_tariffs: Of sites.
        consents: Of hosts.
        sites: By site id; a site that is not named has the terms of `SiteTerms`' defaults.
    """

    tariffs: TariffBook[Tariff]
    site_tariffs: TariffBook[SiteTariff] = field(default_factory=lambda: TariffBook(()))
    consents: tuple[Consent, ...] = ()
    sites: Mapping[str, SiteTerms] = field(default_factory=lambda: MappingProxyType({}))
    rule: SettlementRule = field(default_factory=SettlementRule)

    def site(self, site_id: str) -> SiteTerms:
        """The terms of a site."""
        return self.sites.get(site_id) or SiteTerms(site_id=site_id)
