"""The patent's rule, literally: one period decides (figures 5 and 6, steps S814 to S820).

With a HEMS that sees the whole load the energies must balance in each period::

    import - export = consumption + transferred

Without one, the net of the period is compared with that of the last period without a transfer: it
must have changed by what was transferred, within a preset difference. A HEMS that sees a part of
the load narrows that: net minus consumption is compared instead. The patent speaks of received
energy that decreases while the vehicle discharges; the same holds for an increase while it charges,
and for a site that exports once net is taken for received.

Both are three-valued: a value is a difference of truncated registers, and when "it arrived" and
"it did not" both lie within what the steps and the tolerance allow, one period cannot tell.
"""

from __future__ import annotations

from dataclasses import dataclass

from gridcord.metering.matching import (
    Finding,
    HemsCoverage,
    Match,
    MatchPolicy,
    MeteredSite,
    Reason,
    SitePeriod,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PatentMatcher:
    """A site under the patent's rule.

    Args:
        site: What is known of its instruments.
        idle_wh: Net (minus consumption, where a HEMS tells it) of the last period without a
            transfer, Wh; None before the first.
    """

    site: MeteredSite
    idle_wh: int | None = None


def observe(
    *, matcher: PatentMatcher, observation: SitePeriod, policy: MatchPolicy
) -> tuple[PatentMatcher, Match]:
    """Judge one period by itself.

    Returns:
        The site after it, and the match: MATCH (the only reading that fits), MISMATCH (no reading
        of "it arrived" fits) or UNDECIDED (both fit, or something is missing), with its reason.
    """
    site, moved_wh = matcher.site, observation.transferred_wh
    unexplained_wh = _unexplained_wh(site, observation)
    if unexplained_wh is None or moved_wh is None:
        return matcher, Match(finding=Finding.UNDECIDED, reason=Reason.NO_READING)
    if moved_wh == 0:
        idle = PatentMatcher(site=site, idle_wh=unexplained_wh)
        return idle, Match(finding=Finding.UNDECIDED, reason=Reason.NO_TRANSFER)
    balance = site.hems is HemsCoverage.FULL
    base_wh = 0 if balance else matcher.idle_wh
    if base_wh is None:
        return matcher, Match(finding=Finding.UNDECIDED, reason=Reason.NO_REFERENCE)
    floor_wh = _floor_wh(site, observation, base_wh)
    return matcher, _judged(
        observed_wh=unexplained_wh - base_wh,
        expected_wh=max(moved_wh, floor_wh) if floor_wh is not None else moved_wh,
        floored=floor_wh is not None and moved_wh < floor_wh,
        tolerance_wh=policy.difference_wh
        + _steps_wh(site, periods=1 if balance else 2)
        + 2 * observation.uncertain_wh,
        reasons=_BALANCE if balance else _CHANGE,
    )


_BALANCE = (Reason.BALANCE_HOLDS, Reason.BALANCE_BROKEN)
_CHANGE = (Reason.CHANGE_SEEN, Reason.CHANGE_NOT_SEEN)


def _unexplained_wh(site: MeteredSite, observation: SitePeriod) -> int | None:
    """Net, minus what the HEMS saw; None when either is missing."""
    net_wh = observation.net_wh(site=site)
    if site.hems is HemsCoverage.NONE or net_wh is None:
        return net_wh
    return None if observation.consumption_wh is None else net_wh - observation.consumption_wh


def _floor_wh(site: MeteredSite, observation: SitePeriod, base_wh: int) -> int | None:
    """The deepest change that a meter without export register can show: down to no import."""
    if site.has_export:
        return None
    consumption_wh = 0 if site.hems is HemsCoverage.NONE else observation.consumption_wh or 0
    return min(0, -consumption_wh - base_wh)


def _judged(
    *,
    observed_wh: int,
    expected_wh: int,
    floored: bool,
    tolerance_wh: int,
    reasons: tuple[Reason, Reason],
) -> Match:
    arrived = abs(observed_wh - expected_wh) <= tolerance_wh
    if not arrived:
        finding, reason = Finding.MISMATCH, reasons[1]
    elif floored:
        finding, reason = Finding.UNDECIDED, Reason.SURPLUS_UNSEEN
    elif abs(observed_wh) <= tolerance_wh:
        finding, reason = Finding.UNDECIDED, Reason.WITHIN_STEPS
    else:
        finding, reason = Finding.MATCH, reasons[0]
    return Match(
        finding=finding,
        reason=reason,
        expected_change_wh=expected_wh,
        observed_change_wh=observed_wh,
        uncertainty_wh=tolerance_wh,
    )


def _steps_wh(site: MeteredSite, *, periods: int) -> int:
    """How far truncation alone can move the net of one period, or the change between two, Wh.

    A difference of two truncated registers is off by less than one step, for each register.
    """
    registers_wh = site.step_wh * (2 if site.has_export else 1)
    hems_wh = 0 if site.hems is HemsCoverage.NONE else site.hems_step_wh
    return (registers_wh + hems_wh) * periods
