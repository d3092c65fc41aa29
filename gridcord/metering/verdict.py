"""A match as it is told to others: by a cable in its journal, by the manager to its clients."""

from __future__ import annotations

from dataclasses import dataclass

from gridcord.metering.explanation import explain
from gridcord.metering.matching import Finding, Match
from gridcord.metering.reading import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class StatedMatch:
    """A match as somebody stated it (patent S816, determination units 302 and 252).

    Args:
        verdict: The verdict.
        expected_change_wh: Change of the meter's net import (import - export) that the transfer
            should have caused, Wh; None when not computed.
        observed_change_wh: Change that was seen, Wh; None when not computed.
        uncertainty_wh: Half width of what instruments and habits explain, Wh, >= 0.
        evidence_nats: Accumulated evidence against the site, nats; higher is worse.
        reason: Why, as a stable upper-case code, such as NO_READING or BALANCE_HOLDS.
        sentence: Why, for a person.
        suspect: Evidence is high enough to ask for an active proof, not to block.
        fault: A meter or clock fault explains it better than fraud.
    """

    verdict: Verdict
    reason: str
    sentence: str = ""
    expected_change_wh: int | None = None
    observed_change_wh: int | None = None
    uncertainty_wh: int | None = None
    evidence_nats: float | None = None
    suspect: bool = False
    fault: bool = False


def stated(match: Match) -> StatedMatch:
    """State a match, with its sentence."""
    return StatedMatch(
        verdict=match.verdict,
        reason=match.reason.value,
        sentence=explain(match),
        expected_change_wh=match.expected_change_wh,
        observed_change_wh=match.observed_change_wh,
        uncertainty_wh=match.uncertainty_wh,
        evidence_nats=match.evidence_nats,
        suspect=match.finding is Finding.SUSPECT,
        fault=match.finding is Finding.FAULT,
    )
