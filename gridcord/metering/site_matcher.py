"""The evidence rule: what all periods of a site together say.

Two residual streams (meter only; meter minus HEMS where there is one) and the plain balance of a
full HEMS give one finding. Evidence is about the site: it stays until later periods take it away or
an active proof settles it. State is a plain value: keep an old one and replay from it when a
reading is revised or comes late (`gridcord.metering.revision`).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import exp, hypot

from gridcord.metering.base_profile import balanced_home, scale_of, unknown_home
from gridcord.metering.hems_balance import HemsBalance, checked
from gridcord.metering.hypotheses import (
    FAULTS,
    FRAUDS,
    HALF,
    HYPOTHESES,
    NOTHING,
    OTHER_CIRCUIT,
    Kind,
)
from gridcord.metering.matching import (
    DAY_S,
    Finding,
    HemsCoverage,
    Match,
    MatchPolicy,
    MeteredSite,
    Reason,
    SitePeriod,
)
from gridcord.metering.residual_track import ResidualTrack, advance, after_gap
from gridcord.units.period import HALF_HOUR_S

CALIBRATION = 0.6  # odds = exp(CALIBRATION * nats): periods are not quite independent
FRAUD_LEAD_NATS = 3.0  # 20 : 1, by which theft must explain better than a fault before it is said
MOST_UNCERTAIN_KWH = 0.25  # of a half hour's transfer; beyond it the period tells nothing
MAX_NATS_SHOWN = 60.0  # odds beyond 1 : 10^15 are no figure anybody should read
_UNDECIDED = Finding.UNDECIDED


class OutOfOrder(ValueError):
    """A period is not later than the last one: replay from an earlier state instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteMatcher:
    """State of one site under the evidence rule, about 5 kB.

    Args:
        site: What is known of its instruments.
        meter: The meter-only stream.
        rest: The stream of meter minus HEMS; None without a HEMS or without export register.
        balance: The plain balance of a full HEMS.
        last_start_s: Start of the last period taken in; None before the first.
        session: The last plug-in session seen.
        asked_session: The session for which a too good HEMS was already questioned.
    """

    site: MeteredSite
    meter: ResidualTrack
    rest: ResidualTrack | None = None
    balance: HemsBalance = field(default_factory=HemsBalance)
    last_start_s: int | None = None
    session: int | None = None
    asked_session: int | None = None


def unknown_site(*, site: MeteredSite) -> SiteMatcher:
    """A site of which nothing was seen yet."""
    scale = scale_of(site=site)
    meter = ResidualTrack(scale=scale, bins=unknown_home(site=site), has_export=site.has_export)
    if site.hems is HemsCoverage.NONE or not site.has_export:
        return SiteMatcher(site=site, meter=meter)
    rest = ResidualTrack(scale=scale, bins=balanced_home(site=site), has_export=True)
    return SiteMatcher(site=site, meter=meter, rest=rest)


def observe(
    *, matcher: SiteMatcher, observation: SitePeriod, policy: MatchPolicy, learning: bool = False
) -> tuple[SiteMatcher, Match]:
    """Take one period in and say what is known now.

    Args:
        matcher: The state before.
        observation: The period; later than all before it. Periods left out count as gaps.
        policy: How sure one has to be.
        learning: History before the first session: learn, judge nothing.

    Raises:
        OutOfOrder: The period is not later than the last.
    """
    start_s, length_s = observation.period.start_s, matcher.site.length_s
    before_s = matcher.last_start_s
    if before_s is not None and start_s <= before_s:
        message = f"period {start_s} does not follow {before_s}"
        raise OutOfOrder(message)
    if before_s is not None and start_s - before_s > length_s:
        matcher = _skipped(matcher)
    before = matcher
    matcher = _taken_in(matcher, observation, learning=learning)
    if learning:
        return matcher, Match(finding=_UNDECIDED, reason=Reason.LEARNING)
    matcher, finding, reason = _found(matcher, policy)
    return matcher, _match(before, matcher, observation, finding, reason)


def with_proof(*, matcher: SiteMatcher, accepted: bool, nats: float) -> SiteMatcher:
    """Let the outcome of an active proof count.

    Args:
        matcher: The state before.
        accepted: The pattern was seen by this meter (True) or was not (False).
        nats: How strongly, log-likelihood ratio, >= 0.

    Returns:
        The state in which every fraud explanation has lost (or gained) that evidence.
    """
    sign = -1.0 if accepted else 1.0
    shifts = [sign * nats if h.kind is Kind.FRAUD else 0.0 for h in HYPOTHESES]
    rest = matcher.rest
    return replace(
        matcher,
        meter=_shifted(matcher.meter, shifts),
        rest=None if rest is None else _shifted(rest, shifts),
        balance=matcher.balance._replace(broken=0) if accepted else matcher.balance,
    )


def _shifted(track: ResidualTrack, shifts: list[float]) -> ResidualTrack:
    evidence = tuple(max(0.0, u + d) for u, d in zip(track.evidence, shifts, strict=True))
    confidence = tuple(r - d for r, d in zip(track.confidence, shifts, strict=True))
    return track._replace(evidence=evidence, confidence=confidence)


def _skipped(matcher: SiteMatcher) -> SiteMatcher:
    rest = matcher.rest
    return replace(
        matcher,
        meter=after_gap(track=matcher.meter),
        rest=None if rest is None else after_gap(track=rest),
    )


def _taken_in(matcher: SiteMatcher, observation: SitePeriod, *, learning: bool) -> SiteMatcher:
    site, session = matcher.site, observation.session
    new_session = session is not None and session != matcher.session
    session = matcher.session if session is None else session
    start_s = observation.period.start_s
    net_wh, moved_wh = observation.net_wh(site=site), observation.transferred_wh
    uncertain_kwh = observation.uncertain_wh / 1000
    vague = uncertain_kwh > MOST_UNCERTAIN_KWH * site.length_s / HALF_HOUR_S
    if net_wh is None or moved_wh is None or vague:
        return replace(_skipped(matcher), last_start_s=start_s, session=session)
    index = start_s % DAY_S // site.length_s
    net_kwh, moved_kwh = net_wh / 1000, moved_wh / 1000
    meter = advance(
        track=matcher.meter,
        index=index,
        net_kwh=net_kwh,
        moved_kwh=moved_kwh,
        uncertain_kwh=uncertain_kwh,
        new_session=new_session,
        learning=learning,
    )
    rest, balance, consumption_wh = matcher.rest, matcher.balance, observation.consumption_wh
    if rest is not None and consumption_wh is None:
        rest = after_gap(track=rest)
    elif rest is not None and consumption_wh is not None:
        consumption_kwh = consumption_wh / 1000
        rest = advance(
            track=rest,
            index=index,
            net_kwh=net_kwh - consumption_kwh,
            moved_kwh=moved_kwh,
            uncertain_kwh=uncertain_kwh,
            new_session=new_session,
            learning=learning,
        )
        if site.hems is HemsCoverage.FULL:
            balance = checked(
                balance=balance,
                site=site,
                net_kwh=net_kwh,
                consumption_kwh=consumption_kwh,
                moved_kwh=moved_kwh,
                uncertain_kwh=uncertain_kwh,
            )
    return SiteMatcher(
        site=site,
        meter=meter,
        rest=rest,
        balance=balance,
        last_start_s=start_s,
        session=session,
        asked_session=matcher.asked_session,
    )


def _found(matcher: SiteMatcher, policy: MatchPolicy) -> tuple[SiteMatcher, Finding, Reason]:
    track = matcher.rest or matcher.meter
    fraud, fault = _against_honesty(track), max(track.evidence[FAULTS])
    if fraud >= policy.mismatch_nats and fraud >= fault + FRAUD_LEAD_NATS:
        return matcher, Finding.MISMATCH, Reason.NOT_ARRIVING
    if matcher.balance.accuses and fraud > fault:
        return matcher, Finding.MISMATCH, Reason.BALANCE_BROKEN
    if fault >= policy.mismatch_nats:
        clock = HYPOTHESES[track.evidence.index(fault)].kind is Kind.CLOCK
        return matcher, Finding.FAULT, Reason.CLOCK_FAULT if clock else Reason.METER_FAULT
    if fraud >= policy.suspect_nats:
        return matcher, Finding.SUSPECT, Reason.EVIDENCE_GROWS
    if matcher.rest is not None and _hems_too_good(matcher, policy):
        asked = replace(matcher, asked_session=matcher.session)
        return asked, Finding.SUSPECT, Reason.HEMS_TOO_GOOD
    if _confirmed(track, policy):
        return matcher, Finding.MATCH, Reason.SESSION_CONFIRMED
    return matcher, Finding.UNDECIDED, Reason.EVIDENCE_THIN


def _against_honesty(track: ResidualTrack) -> float:
    """Evidence of the best fraud explanation, nats.

    Without an export register a partial loss looks like the surplus nobody sees, so only full
    losses count.
    """
    evidence = track.evidence
    if track.has_export:
        return max(evidence[FRAUDS])
    return max(evidence[NOTHING], evidence[OTHER_CIRCUIT])


def _hems_too_good(matcher: SiteMatcher, policy: MatchPolicy) -> bool:
    """The balance holds but the meter alone disagrees: host load, or a forged HEMS. Ask once."""
    if matcher.asked_session == matcher.session:
        return False
    return _against_honesty(matcher.meter) >= policy.mismatch_nats


def _confirmed(track: ResidualTrack, policy: MatchPolicy) -> bool:
    against = track.confidence
    if min(against[NOTHING], against[OTHER_CIRCUIT]) < policy.confirm_nats:
        return False
    return not track.has_export or against[HALF] >= policy.confirm_part_nats


def _match(
    before: SiteMatcher,
    after: SiteMatcher,
    observation: SitePeriod,
    finding: Finding,
    reason: Reason,
) -> Match:
    track = after.rest or after.meter
    nats = max(track.evidence[FAULTS]) if finding is Finding.FAULT else _against_honesty(track)
    expected_wh, observed_wh, uncertainty_wh = _change(before, observation)
    return Match(
        finding=finding,
        reason=reason,
        expected_change_wh=expected_wh,
        observed_change_wh=observed_wh,
        uncertainty_wh=uncertainty_wh,
        evidence_nats=nats,
        alternative=HYPOTHESES[track.evidence.index(nats)].name if nats else "",
        odds=exp(min(MAX_NATS_SHOWN, CALIBRATION * nats)) if nats else 1.0,
    )


def _change(
    before: SiteMatcher, observation: SitePeriod
) -> tuple[int | None, int | None, int | None]:
    """Expected and observed change of the meter and the site's own scatter, Wh."""
    net_wh, moved_wh = observation.net_wh(site=before.site), observation.transferred_wh
    if net_wh is None or not moved_wh:
        return moved_wh, None, None
    index = observation.period.start_s % DAY_S // before.site.length_s
    track, consumption_wh = before.meter, 0
    if before.rest is not None and observation.consumption_wh is not None:
        track, consumption_wh = before.rest, observation.consumption_wh
    of = track.bins[index]
    observed_wh = net_wh - consumption_wh - round(1000 * of.level_kwh)
    scatter_wh = hypot(1000 * of.scatter_kwh, observation.uncertain_wh)
    return moved_wh, observed_wh, round(scatter_wh)
