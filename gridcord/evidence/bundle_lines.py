"""What the lines of a bundle say, member by member.

Inputs are what was known: keys, rules, sites, tariffs, consents, journal entries, readings,
verdicts, rulings, blocks, expectations, market results, shares of imbalances, payouts. The rest
follows from them: earnings, fees, bills, ledger entries, balances. `number` orders the inputs as
they became known.
"""

from __future__ import annotations

from dataclasses import dataclass

from gridcord.metering.matching import Finding, MatchPolicy, MeteredSite, Reason
from gridcord.metering.reading import Permission, SiteReading
from gridcord.settlement.account import Purpose
from gridcord.settlement.consent import Consent
from gridcord.settlement.departure import Expectation, Withholding
from gridcord.settlement.facts import Payout, SiteVerdict
from gridcord.settlement.imbalance import MarketResult
from gridcord.settlement.imbalance_share import ImbalanceShare
from gridcord.settlement.tariff import SiteTariff, Tariff
from gridcord.settlement.terms import SettlementRule, SiteTerms
from gridcord.units import Period, parse_epoch


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyLine:
    """The enrolled key of a cable: hexadecimal DER."""

    cable_id: str
    public_key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleLine:
    """The rules in force; the member has one line."""

    settlement: SettlementRule
    match: MatchPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteLine:
    """A site: its terms, its instruments, and what its matcher knew before the bundle begins.

    Args:
        terms: For settlement.
        metered: For the match.
        matcher: JSON of `gridcord.metering.matcher_state`; empty for a site nobody had seen.
    """

    terms: SiteTerms
    metered: MeteredSite
    matcher: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryLine:
    """One entry of a cable's journal. Exactly one of `ocmf`, `body`, `digest` is given.

    Args:
        number: When it became known, among all inputs.
        known_s: The same in seconds since 1970 UTC.
        cable_id: The cable.
        journal_epoch: Lineage of its journal, see `gridcord.units.epoch_text`.
        sequence: Number within it.
        previous: The entry before it, when that is not `sequence` - 1: a declared gap.
        ocmf: A transfer: its fiscal record.
        body: An entry of another kind: hexadecimal, as it was signed.
        signature: Over `body` and its name, hexadecimal DER.
        digest: An entry that is none of the reader's business: hexadecimal SHA-256 of it.
        quarantine: Why a signed entry was not believed; empty when it was.

    Raises:
        IdentifierError: No such epoch.
    """

    number: int
    known_s: int
    cable_id: str
    journal_epoch: str
    sequence: int
    previous: int | None = None
    ocmf: str = ""
    body: str = ""
    signature: str = ""
    digest: str = ""
    quarantine: str = ""

    def __post_init__(self) -> None:
        parse_epoch(self.journal_epoch)

    @property
    def epoch(self) -> int:
        """Lineage of its journal as a number."""
        return parse_epoch(self.journal_epoch)

    @property
    def name(self) -> str:
        """What a person calls it."""
        return f"{self.cable_id}/{self.journal_epoch}/{self.sequence}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingLine:
    """A reading that did not come in a journal: the utility's."""

    number: int
    known_s: int
    reading: SiteReading


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictLine:
    """A verdict of the manager, with what the match found."""

    number: int
    known_s: int
    verdict: SiteVerdict
    finding: Finding
    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class RulingLine:
    """Something that settled what a site's meter had said: an active proof, a lifted block.

    Args:
        site_id: The site.
        at_s: When, seconds since 1970 UTC; it counts before the first period that begins then.
        accepted: In the site's favour.
        nats: How strongly, log-likelihood ratio, >= 0.
    """

    site_id: str
    at_s: int
    accepted: bool
    nats: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockLine:
    """A restriction of a site, of one cable there, or of a cable whose session was ended.

    Args:
        site_id: The site; empty for wherever the cable was.
        cable_id: The only cable it was about; empty for the whole site.
        permission: What was still permitted.
        cause: A stable code; MISMATCH must name verdicts.
        start_s: From then, seconds since 1970 UTC.
        end_s: Until then; None while it holds.
        actor: Who.
        verdict_periods: Periods of the verdicts that it rests on.
    """

    site_id: str
    cable_id: str = ""
    permission: Permission
    cause: str
    start_s: int
    end_s: int | None
    actor: str
    verdict_periods: tuple[Period, ...] = ()

    @property
    def withholding(self) -> Withholding:
        """When it held, and for whom."""
        return Withholding(
            site_id=self.site_id, cable_id=self.cable_id, start_s=self.start_s, end_s=self.end_s
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketLine:
    """A result at the market: in a bundle about everything, that shows all it was made of."""

    number: int
    known_s: int
    result: MarketResult


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareLine:
    """What a driver who left early has to do with an imbalance."""

    number: int
    known_s: int
    share: ImbalanceShare


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutLine:
    """A payout."""

    number: int
    known_s: int
    payout: Payout


@dataclass(frozen=True, slots=True, kw_only=True)
class EarningLine:
    """What a record earned its driver; amounts in micros."""

    record: str
    driver_id: str
    site_id: str
    period: Period
    currency: str
    availability_micros: int
    energy_micros: int
    paid_discharge_wh: int
    tariff: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FeeLine:
    """What a record earned its host, in micros."""

    record: str
    host_id: str
    consent_id: str
    currency: str
    micros: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BillLine:
    """What a site's period cost its host; amounts in micros."""

    site_id: str
    period: Period
    metered_wh: int
    charged_wh: int
    discharged_wh: int
    own_wh: int
    currency: str
    host_micros: int
    guest_micros: int
    exact: bool
    reading_revision: int
    tariff: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PostingLine:
    """One line of a ledger entry, in micros."""

    account: str
    purpose: Purpose
    currency: str
    micros: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerLine:
    """One ledger entry."""

    subject: str
    serial: int
    known_s: int
    rule: str
    reverses: int | None
    sources: tuple[str, ...]
    postings: tuple[PostingLine, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceLine:
    """What an account is owed at the end, in micros."""

    account: str
    currency: str
    micros: int


INPUTS: dict[str, type] = {
    "keys": KeyLine,
    "rules": RuleLine,
    "sites": SiteLine,
    "tariffs": Tariff,
    "site_tariffs": SiteTariff,
    "consents": Consent,
    "entries": EntryLine,
    "readings": ReadingLine,
    "verdicts": VerdictLine,
    "rulings": RulingLine,
    "blocks": BlockLine,
    "expectations": Expectation,
    "market": MarketLine,
    "shares": ShareLine,
    "payouts": PayoutLine,
}
DERIVED: dict[str, type] = {
    "earnings": EarningLine,
    "fees": FeeLine,
    "bills": BillLine,
    "ledger": LedgerLine,
    "balances": BalanceLine,
}
MEMBERS = (*INPUTS, *DERIVED)
