"""The evidence rule on simulated homes: honest homes are confirmed, thieves found, faults told."""

from __future__ import annotations

import time
from dataclasses import replace
from itertools import pairwise

import pytest

from gridcord.metering.explanation import explain
from gridcord.metering.matcher import Matcher, observe, open_matcher
from gridcord.metering.matching import (
    Finding,
    HemsCoverage,
    Match,
    MatchPolicy,
    MeteredSite,
    Moved,
    Reason,
    SitePeriod,
    gap_uncertainty_wh,
    sum_of_cables,
)
from gridcord.metering.reading import Verdict
from gridcord.metering.site_matcher import OutOfOrder, SiteMatcher, unknown_site, with_proof
from gridcord.units import Period
from tests.unit.metering.site_months import (
    DISCHARGE_WH,
    Month,
    findings,
    month_of,
    observations,
)

POLICY = MatchPolicy()
METER_ONLY = MeteredSite()
FULL_HEMS = MeteredSite(hems=HemsCoverage.FULL)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    "site",
    [
        METER_ONLY,
        MeteredSite(step_wh=100),
        MeteredSite(has_export=False),
        FULL_HEMS,
        MeteredSite(hems=HemsCoverage.PARTIAL),
        MeteredSite(length_s=900),
    ],
    ids=["meter", "100 Wh", "import only", "full HEMS", "partial HEMS", "quarter hours"],
)
def test_an_honest_home_is_never_flagged_and_mostly_confirmed(site: MeteredSite, seed: int) -> None:
    month = month_of(site, seed=seed)
    found = findings(site, month)
    assert Finding.MISMATCH not in found
    assert Finding.FAULT not in found
    confirmed = [
        after is Finding.MATCH
        for (before, after), (now, then) in zip(
            pairwise(found), pairwise(month.judged), strict=True
        )
        if now.session is not None and now.session != then.session and before
    ]
    assert sum(confirmed) >= 0.5 * len(confirmed)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("site", "arrives", "within"),
    [
        (METER_ONLY, 0.0, 30),
        (METER_ONLY, 0.5, 60),
        (MeteredSite(step_wh=100), 0.0, 30),
        (MeteredSite(has_export=False), 0.0, 40),
        (FULL_HEMS, 0.0, 4),
        (FULL_HEMS, 0.5, 4),
    ],
)
def test_a_thief_is_found(site: MeteredSite, arrives: float, within: int, seed: int) -> None:
    month = month_of(site, seed=seed, arrives=arrives)
    found = findings(site, month)
    assert Finding.MISMATCH in found
    first = found.index(Finding.MISMATCH)
    discharges = sum((o.transferred_wh or 0) < 0 for o in month.judged[: first + 1])
    assert discharges <= within
    assert Finding.MATCH not in found[:first]


@pytest.mark.parametrize("seed", range(3))
def test_the_wrong_meter_is_found(seed: int) -> None:
    month = month_of(METER_ONLY, seed=seed, arrives=0.0, charge_arrives=0.0)
    assert Finding.MISMATCH in findings(METER_ONLY, month)


@pytest.mark.parametrize("late", [1, -1])
def test_a_clock_that_is_off_by_a_period_is_a_fault_not_a_fraud(late: int) -> None:
    month = month_of(METER_ONLY, seed=2, late=late)
    matches = month.matches(METER_ONLY)
    found = [m.finding for m in matches]
    assert Finding.FAULT in found
    assert Finding.MISMATCH not in found
    fault = matches[found.index(Finding.FAULT)]
    assert fault.reason is Reason.CLOCK_FAULT
    assert fault.verdict is Verdict.INDETERMINATE
    assert ("late" if late > 0 else "early") in fault.alternative


def test_a_meter_that_reads_low_is_a_fault_not_a_fraud() -> None:
    found = findings(METER_ONLY, month_of(METER_ONLY, seed=1, reads=0.6))
    assert Finding.FAULT in found
    assert Finding.MISMATCH not in found


def test_a_host_who_cooks_while_discharging_is_honest_to_a_full_hems() -> None:
    month = month_of(FULL_HEMS, seed=5, host=1.0)
    matches = month.matches(FULL_HEMS)
    assert Finding.MISMATCH not in [m.finding for m in matches]
    asked = [m for m in matches if m.reason is Reason.HEMS_TOO_GOOD]
    sessions = {o.session for o in month.judged if o.session is not None}
    assert 1 <= len(asked) <= len(sessions) + 1  # once a session, not once a period


def test_a_forged_hems_is_asked_for_a_proof() -> None:
    month = month_of(FULL_HEMS, seed=5, arrives=0.0, forged=True)
    assert any(m.reason is Reason.HEMS_TOO_GOOD for m in month.matches(FULL_HEMS))


@pytest.mark.parametrize("level_wh", [60, 200, 350, 600, 1200])
@pytest.mark.parametrize("loss", [0.0, 0.02, 0.04])
def test_a_steady_load_through_a_long_steady_discharge_is_no_evidence(
    level_wh: int, loss: float
) -> None:
    """Nothing changes for hours, so nothing can be concluded but what the first step said."""
    matcher: Matcher = open_matcher(site=METER_ONLY, policy=POLICY)
    first = Period(1_700_000_000 // 1800 * 1800)
    for n in range(48 * 7 + 24):
        idle = n < 48 * 7
        net_wh = level_wh + n % 3 - (0 if idle else round(DISCHARGE_WH * (1 - loss)))
        matcher, match = observe(
            matcher=matcher,
            observation=SitePeriod(
                period=first.next(n),
                transferred_wh=0 if idle else -DISCHARGE_WH,
                import_wh=max(0, net_wh),
                export_wh=max(0, -net_wh),
            ),
            policy=POLICY,
            learning=idle,
        )
        assert match.finding in (Finding.UNDECIDED, Finding.MATCH)


def test_gaps_forget_the_carried_residual_and_keep_the_evidence() -> None:
    month = month_of(METER_ONLY, seed=1, arrives=0.0)
    matcher, _ = month.until(METER_ONLY, Finding.SUSPECT)
    assert isinstance(matcher, SiteMatcher)
    assert matcher.last_start_s is not None
    missing = SitePeriod(
        period=Period(matcher.last_start_s + 1800), transferred_wh=-750, import_wh=None
    )
    after, match = observe(matcher=matcher, observation=missing, policy=POLICY)
    assert isinstance(after, SiteMatcher)
    assert after.meter.evidence == matcher.meter.evidence
    assert set(after.meter.carried) == {0.0}
    assert match.observed_change_wh is None
    skipped = SitePeriod(
        period=Period(matcher.last_start_s + 5 * 1800), transferred_wh=0, import_wh=100, export_wh=0
    )
    later, _ = observe(matcher=matcher, observation=skipped, policy=POLICY)
    assert isinstance(later, SiteMatcher)
    assert later.meter.evidence == matcher.meter.evidence


def test_periods_out_of_order_are_refused() -> None:
    (one, two, *_) = observations(METER_ONLY, seed=1).judged
    matcher, _ = observe(matcher=unknown_site(site=METER_ONLY), observation=two, policy=POLICY)
    for early in (one, two):
        with pytest.raises(OutOfOrder):
            observe(matcher=matcher, observation=early, policy=POLICY)


def test_cables_are_summed_before_anything_is_compared() -> None:
    assert sum_of_cables([Moved(-750), Moved(-300, 5), Moved(100, 7)]) == Moved(-950, 12)
    assert sum_of_cables([]) == Moved(0)
    assert sum_of_cables([Moved(-750), None]) is None


@pytest.mark.parametrize(("unmeasured_s", "scale_wh"), [(0, 0), (1, 1), (24, 10), (600, 250)])
def test_a_gap_leaves_a_share_of_what_a_cable_can_carry_open(
    unmeasured_s: int, scale_wh: int
) -> None:
    assert gap_uncertainty_wh(unmeasured_s=unmeasured_s) == scale_wh


def with_gaps(month: Month, uncertain_wh: int) -> list[Finding]:
    matcher, found = month.learned(METER_ONLY), []
    for observation in month.judged:
        plugged = observation.session is not None
        vague = replace(observation, uncertain_wh=uncertain_wh if plugged else 0)
        matcher, match = observe(matcher=matcher, observation=vague, policy=POLICY)
        found.append(match.finding)
    return found


def test_small_gaps_in_the_measuring_of_the_cable_cost_little_evidence() -> None:
    thief, honest = (month_of(METER_ONLY, seed=1, arrives=share) for share in (0.0, 1.0))
    assert Finding.MISMATCH in with_gaps(thief, gap_uncertainty_wh(unmeasured_s=30))
    found = with_gaps(honest, gap_uncertainty_wh(unmeasured_s=30))
    assert Finding.MATCH in found
    assert not {Finding.MISMATCH, Finding.SUSPECT, Finding.FAULT} & set(found)


def test_a_period_that_was_hardly_measured_tells_nothing() -> None:
    thief = month_of(METER_ONLY, seed=1, arrives=0.0)
    found = with_gaps(thief, gap_uncertainty_wh(unmeasured_s=900))
    assert set(found) == {Finding.UNDECIDED}


def test_a_proof_settles_what_evidence_began() -> None:
    month = month_of(METER_ONLY, seed=1, arrives=0.0)
    matcher, match = month.until(METER_ONLY, Finding.SUSPECT)
    assert match.evidence_nats >= POLICY.suspect_nats
    assert isinstance(matcher, SiteMatcher)
    cleared = with_proof(matcher=matcher, accepted=True, nats=15.5)
    assert max(cleared.meter.evidence[1:5]) < POLICY.suspect_nats
    convicted = with_proof(matcher=matcher, accepted=False, nats=20.0)
    assert max(convicted.meter.evidence[1:5]) >= POLICY.mismatch_nats


def test_a_mismatch_explains_itself_in_one_sentence() -> None:
    matches = month_of(METER_ONLY, seed=3, arrives=0.0).matches(METER_ONLY)
    match = next(
        m for m in matches if m.finding is Finding.MISMATCH and (m.expected_change_wh or 0) < 0
    )
    assert match.expected_change_wh == -DISCHARGE_WH
    assert match.residual_wh == (match.observed_change_wh or 0) + DISCHARGE_WH
    assert match.odds > 1000
    sentence = explain(match)
    assert sentence.startswith("the meter should have fallen by 0.75 kWh, it ")
    assert sentence.endswith(
        f"odds of an honest site 1 : {match.odds:,.0f} against '{match.alternative}'"
    )


@pytest.mark.parametrize(
    ("expected_wh", "observed_wh", "said"),
    [
        (-740, -30, "should have fallen by 0.74 kWh, it fell by 0.03 ± 0.20 kWh"),
        (740, 4, "should have risen by 0.74 kWh, it stayed the same ± 0.20 kWh"),
        (0, 500, "should have stayed the same, it rose by 0.50 ± 0.20 kWh"),
    ],
)
def test_a_change_is_told_in_words(expected_wh: int, observed_wh: int, said: str) -> None:
    match = Match(
        finding=Finding.UNDECIDED,
        reason=Reason.EVIDENCE_THIN,
        expected_change_wh=expected_wh,
        observed_change_wh=observed_wh,
        uncertainty_wh=200,
    )
    assert explain(match).startswith(f"the meter {said}")


def test_every_reason_has_words() -> None:
    for reason in Reason:
        assert explain(Match(finding=Finding.UNDECIDED, reason=reason)) or reason in (
            Reason.EVIDENCE_THIN,
            Reason.NOT_ARRIVING,
            Reason.METER_FAULT,
            Reason.CLOCK_FAULT,
        )


def test_a_period_costs_microseconds() -> None:
    """20 µs of a quiet processor; a shared one is allowed five times that."""
    month = month_of(METER_ONLY, seed=1)
    matcher = month.learned(METER_ONLY)
    best = 1.0
    for _ in range(3):
        state, begin = matcher, time.process_time()
        for observation in month.judged:
            state, _ = observe(matcher=state, observation=observation, policy=POLICY)
        best = min(best, (time.process_time() - begin) / len(month.judged))
    assert best < 100e-6


def test_a_month_is_what_the_test_says() -> None:
    """The fixture itself: an honest month moves the net by what the cable transferred."""
    honest: Month = month_of(METER_ONLY, seed=1)
    stolen: Month = month_of(METER_ONLY, seed=1, arrives=0.0)
    for h, s in zip(honest.judged, stolen.judged, strict=True):
        assert (h.transferred_wh, h.period) == (s.transferred_wh, s.period)
        moved = (h.net_wh(site=METER_ONLY) or 0) - (s.net_wh(site=METER_ONLY) or 0)
        assert moved == pytest.approx(min(0, h.transferred_wh or 0), abs=40)
