"""What a match is about and what it can say: the words that both rules share.

Signs: energy of the cable is positive from the outlet to the vehicle (charge) and negative out of
it (discharge); the net of a site is import minus export, so a discharge of 0.75 kWh moves an honest
net by -0.75 kWh.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from gridcord.metering.reading import Verdict
from gridcord.units import Period
from gridcord.units.period import HALF_HOUR_S

DAY_S = 86_400
GAP_POWER_W = 3_000  # more than a cable of an ordinary outlet carries


class MatchRule(StrEnum):
    """How a verdict is reached."""

    PATENT = "patent"  # one period against the one before, literally
    EVIDENCE = "evidence"  # evidence of all periods, weighed against other explanations


class HemsCoverage(StrEnum):
    """How much of a site's load its home energy manager sees."""

    NONE = "none"
    PARTIAL = "partial"
    FULL = "full"


@dataclass(frozen=True, slots=True, kw_only=True)
class MeteredSite:
    """What is known of a site's instruments.

    Args:
        step_wh: Step of the meter's registers, Wh, >= 1: 1, 10, 100 or 1000.
        has_export: It has an export register. Without one the surplus is invisible and every
            verdict weaker.
        hems: How much of the load the HEMS sees, the cable not among it.
        hems_step_wh: Step of the HEMS' consumption, Wh, >= 1.
        length_s: Seconds of a period; divides a day.

    Raises:
        ValueError: A step below 1 Wh, or a period that does not divide a day.
    """

    step_wh: int = 1
    has_export: bool = True
    hems: HemsCoverage = HemsCoverage.NONE
    hems_step_wh: int = 1
    length_s: int = HALF_HOUR_S

    def __post_init__(self) -> None:
        if min(self.step_wh, self.hems_step_wh) < 1:
            message = f"a register steps by at least 1 Wh, not {self.step_wh}, {self.hems_step_wh}"
            raise ValueError(message)
        if self.length_s <= 0 or DAY_S % self.length_s:
            message = f"a day is no whole number of periods of {self.length_s} s"
            raise ValueError(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class SitePeriod:
    """Everything that was measured at a site in one period.

    Args:
        period: The period.
        transferred_wh: Through **all** cables of the site together, Wh, + towards vehicles; None
            when the value of any of them is missing.
        import_wh: From the grid, Wh; None when the reading is missing.
        export_wh: To the grid, Wh; None when missing or there is no such register.
        consumption_wh: Of the appliances the HEMS sees, the cables not among them, Wh; None when
            not known.
        session: Number of the plug-in session, rising; None while nothing is plugged in (or when
            sessions are not told apart).
        uncertain_wh: How far the values may be off by themselves (one scale), Wh, >= 0: more than
            nothing where a boundary of the period was interpolated across a gap.
    """

    period: Period
    transferred_wh: int | None
    import_wh: int | None
    export_wh: int | None = None
    consumption_wh: int | None = None
    session: int | None = None
    uncertain_wh: int = 0

    def net_wh(self, *, site: MeteredSite) -> int | None:
        """Import minus export (import alone without an export register), Wh; None if missing."""
        if self.import_wh is None or not site.has_export:
            return self.import_wh
        return None if self.export_wh is None else self.import_wh - self.export_wh


class Moved(NamedTuple):
    """What went through cables in a period.

    Args:
        wh: Net, Wh, + towards vehicles.
        uncertain_wh: How far that may be off (one scale), Wh, >= 0.
    """

    wh: int
    uncertain_wh: int = 0


def gap_uncertainty_wh(*, unmeasured_s: int) -> int:
    """How far energy may be off that was interpolated across a gap in the measuring, Wh.

    The register went on counting, so nothing is lost; only how much of it belongs to this side of
    the boundary is not known. It lies between nothing and the most a cable carries in that time;
    half of that is its scale.

    Args:
        unmeasured_s: Seconds of the gap within the period, >= 0.
    """
    return math.ceil(GAP_POWER_W * unmeasured_s / 3600 / 2)


def sum_of_cables(moved: Iterable[Moved | None], /) -> Moved | None:
    """What all cables of a site moved together; None when one of them is not known.

    One meter sees the sum, so only the sum can be matched: a missing part makes the period a gap.
    """
    total = Moved(0)
    for each in moved:
        if each is None:
            return None
        total = Moved(total.wh + each.wh, total.uncertain_wh + each.uncertain_wh)
    return total


class Finding(StrEnum):
    """What the matcher says after a period, about everything it has seen so far."""

    MATCH = "match"  # the current session is confirmed
    MISMATCH = "mismatch"  # energy does not pass through this meter: flag the site
    UNDECIDED = "undecided"  # too little is known to tell
    SUSPECT = "suspect"  # ask for an active proof; nobody is flagged
    FAULT = "fault"  # a meter or a clock is wrong, it does not look like fraud


class Reason(StrEnum):
    """Why a finding is what it is."""

    BALANCE_HOLDS = "BALANCE_HOLDS"  # import - export = consumption + transferred (figure 5)
    BALANCE_BROKEN = "BALANCE_BROKEN"  # it is not (figure 6)
    CHANGE_SEEN = "CHANGE_SEEN"  # the meter moved by what was transferred (figure 5)
    CHANGE_NOT_SEEN = "CHANGE_NOT_SEEN"  # it did not (figure 6)
    WITHIN_STEPS = "WITHIN_STEPS"  # too little was transferred for steps and tolerance
    SURPLUS_UNSEEN = "SURPLUS_UNSEEN"  # no export register, and the import is at its floor
    NO_READING = "NO_READING"  # the meter's or the cable's value is missing
    NO_REFERENCE = "NO_REFERENCE"  # no idle period before to compare with
    NO_TRANSFER = "NO_TRANSFER"  # nothing was transferred
    LEARNING = "LEARNING"  # history before the first session
    SESSION_CONFIRMED = "SESSION_CONFIRMED"  # evidence excludes that nothing arrives here
    NOT_ARRIVING = "NOT_ARRIVING"  # evidence says the energy does not pass this meter
    METER_FAULT = "METER_FAULT"  # evidence says the meter reads low
    CLOCK_FAULT = "CLOCK_FAULT"  # evidence says a clock is off by a period
    EVIDENCE_GROWS = "EVIDENCE_GROWS"  # not enough to flag, enough to ask for a proof
    HEMS_TOO_GOOD = "HEMS_TOO_GOOD"  # the balance holds, but the meter alone disagrees
    EVIDENCE_THIN = "EVIDENCE_THIN"  # neither confirmed nor doubted


_VERDICTS = {Finding.MATCH: Verdict.MATCHED, Finding.MISMATCH: Verdict.MISMATCHED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """What comparing the cable with the site's readings says after a period.

    Args:
        finding: The answer, five-valued.
        reason: Why.
        expected_change_wh: How much the transfer should have moved the meter, Wh; None if unknown.
        observed_change_wh: How much it moved against what is usual without a transfer, Wh.
        uncertainty_wh: How far the observed change can be off by itself (one scale of the site's
            usual scatter, or the tolerance), Wh, >= 0.
        evidence_nats: Evidence for the best other explanation, natural logarithm, >= 0.
        alternative: The best other explanation ("nothing arrives", ...); "" when none was weighed.
        odds: How much likelier that explanation is than an honest site, calibrated, >= 1.
    """

    finding: Finding
    reason: Reason
    expected_change_wh: int | None = None
    observed_change_wh: int | None = None
    uncertainty_wh: int | None = None
    evidence_nats: float = 0.0
    alternative: str = ""
    odds: float = 1.0

    @property
    def verdict(self) -> Verdict:
        """The three-valued verdict: everything but match and mismatch is INDETERMINATE."""
        return _VERDICTS.get(self.finding, Verdict.INDETERMINATE)

    @property
    def residual_wh(self) -> int | None:
        """Observed minus expected change, Wh; None if either is unknown."""
        if self.expected_change_wh is None or self.observed_change_wh is None:
            return None
        return self.observed_change_wh - self.expected_change_wh


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchPolicy:
    """How sure one has to be.

    Args:
        rule: Which rule decides.
        difference_wh: The patent rule's preset difference, Wh, >= 0.
        suspect_nats: Evidence from which an active proof is asked for.
        mismatch_nats: Evidence from which a site is flagged.
        confirm_nats: Evidence against each full-loss explanation that confirms a session
            (6.9 = 1000 : 1).
        confirm_part_nats: The same against "half arrives" (4.6 = 100 : 1).

    Raises:
        ValueError: A bound is negative, not finite, or suspicion would come after the flag.
    """

    rule: MatchRule = MatchRule.EVIDENCE
    difference_wh: int = 200
    suspect_nats: float = 9.0
    mismatch_nats: float = 13.0
    confirm_nats: float = 6.9
    confirm_part_nats: float = 4.6

    def __post_init__(self) -> None:
        bounds = (self.suspect_nats, self.mismatch_nats, self.confirm_nats, self.confirm_part_nats)
        if self.difference_wh < 0 or not all(math.isfinite(b) and b >= 0 for b in bounds):
            message = "bounds of a match policy are finite and not negative"
            raise ValueError(message)
        if self.suspect_nats > self.mismatch_nats:
            message = "suspicion begins before the flag"
            raise ValueError(message)
