"""What a reader of a bundle brings along, and what a verification tells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from gridcord.evidence.bundle_archive import BundleFault
from gridcord.evidence.bundle_lines import BalanceLine


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """What the reader knows from elsewhere; without it a bundle vouches for itself.

    Args:
        root: The root that was announced for this bundle; empty when not known.
        cable_keys: Enrolled keys by cable, DER; cables that are not named are not checked.
        signer_key: The aggregator's key, DER; empty when not known.
    """

    root: str = ""
    cable_keys: Mapping[str, bytes] = field(default_factory=lambda: MappingProxyType({}))
    signer_key: bytes = b""


NO_TRUST = Trust()


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a verification found.

    Args:
        problem: The first thing that is wrong; None when nothing is.
        root: Of the manifest; empty when there is none to read.
        signer: Hexadecimal key that signed the manifest; empty when nobody did.
        lines: Lines of each member that were verified.
        signed_entries: Entries whose signature was checked.
        withheld: Entries of which only a digest is shown.
        quarantined: Signed entries that the aggregator did not believe, with its reason.
        gaps: Entries before which the cable declared a loss.
        taken_over: Sites whose match goes on from a state that only the aggregator vouches for.
        rulings: Sites and times at which a proof or a person settled what the meter had said.
        partial: It is about a site or driver: no market results, and payouts only of accounts
            all of whose entries it holds.
        hidden_results: Market results of which shares quote figures, but which it does not show.
        telemetry_results: Market results that count energy which no cable recorded.
        unproven_payouts: Payouts of which nobody kept until when they paid.
        breaks: Entries whose registers do not start where the record before ended.
        balances: What each account is owed.
    """

    problem: BundleFault | None = None
    root: str = ""
    signer: str = ""
    lines: Mapping[str, int] = field(default_factory=dict)
    signed_entries: int = 0
    withheld: int = 0
    quarantined: tuple[str, ...] = ()
    gaps: tuple[str, ...] = ()
    taken_over: tuple[str, ...] = ()
    rulings: tuple[str, ...] = ()
    partial: bool = False
    hidden_results: int = 0
    telemetry_results: int = 0
    unproven_payouts: tuple[str, ...] = ()
    breaks: tuple[str, ...] = ()
    balances: tuple[BalanceLine, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether everything in the bundle is as it was and follows from its inputs."""
        return self.problem is None

    @property
    def complete(self) -> bool:
        """Whether nothing is withheld, lost, set apart, taken over from before or unproven."""
        entries = self.withheld or self.quarantined or self.gaps
        vouched = self.taken_over or self.hidden_results or self.unproven_payouts
        return self.ok and not (entries or vouched)
