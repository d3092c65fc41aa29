"""Figures 5 and 6 of the patent: does the site's meter see what the cable transmits?

Figure 5 shows values of a site that match, figure 6 values that do not; the determination itself is
steps S814 to S820. Each test names its figure. Our signs: transferred energy is negative while the
vehicle discharges; "received energy" is import, and net (import minus export) where the site also
exports.
"""

from __future__ import annotations

import pytest

from gridcord.metering.explanation import explain
from gridcord.metering.matcher import Matcher, observe, open_matcher
from gridcord.metering.matching import (
    HemsCoverage,
    Match,
    MatchPolicy,
    MatchRule,
    MeteredSite,
    Reason,
    SitePeriod,
)
from gridcord.metering.reading import Verdict
from gridcord.units import Period

PATENT = MatchPolicy(rule=MatchRule.PATENT, difference_wh=100)
FIRST = Period(1_700_000_000 // 1800 * 1800)


def values(
    number: int,
    *,
    transferred_wh: int,
    import_wh: int | None,
    export_wh: int | None = 0,
    consumption_wh: int | None = None,
) -> SitePeriod:
    return SitePeriod(
        period=FIRST.next(number),
        transferred_wh=transferred_wh,
        import_wh=import_wh,
        export_wh=export_wh,
        consumption_wh=consumption_wh,
    )


def judged(site: MeteredSite, *periods: SitePeriod, policy: MatchPolicy = PATENT) -> list[Match]:
    matcher: Matcher = open_matcher(site=site, policy=policy)
    matches = []
    for period in periods:
        matcher, match = observe(matcher=matcher, observation=period, policy=policy)
        matches.append(match)
    return matches


WITH_HEMS = MeteredSite(hems=HemsCoverage.FULL)
METER_ONLY = MeteredSite()


def test_figure_5_with_hems_received_falls_by_what_was_transmitted() -> None:
    """Consumption stays at 1.0 kWh, 0.5 kWh comes out of the vehicle, 0.5 kWh is received."""
    before, during = judged(
        WITH_HEMS,
        values(0, transferred_wh=0, import_wh=1000, consumption_wh=1000),
        values(1, transferred_wh=-500, import_wh=500, consumption_wh=1000),
    )
    assert before.reason is Reason.NO_TRANSFER
    assert (during.verdict, during.reason) == (Verdict.MATCHED, Reason.BALANCE_HOLDS)


def test_figure_6_with_hems_received_stays_although_energy_was_transmitted() -> None:
    """The HEMS counts 1.0 kWh consumed and the meter 1.0 kWh received: 0.5 kWh went elsewhere."""
    _, during = judged(
        WITH_HEMS,
        values(0, transferred_wh=0, import_wh=1000, consumption_wh=1000),
        values(1, transferred_wh=-500, import_wh=1000, consumption_wh=1000),
    )
    assert (during.verdict, during.reason) == (Verdict.MISMATCHED, Reason.BALANCE_BROKEN)
    assert during.residual_wh == 500


def test_figure_5_with_hems_consumption_explains_a_rise() -> None:
    """The host turns on an oven: received does not fall, but the balance still holds."""
    (during,) = judged(
        WITH_HEMS, values(1, transferred_wh=-500, import_wh=1300, consumption_wh=1800)
    )
    assert during.verdict is Verdict.MATCHED


def test_figure_5_meter_only_decrease_equals_transmitted() -> None:
    _, during = judged(
        METER_ONLY,
        values(0, transferred_wh=0, import_wh=1000),
        values(1, transferred_wh=-500, import_wh=540),
    )
    assert (during.verdict, during.reason) == (Verdict.MATCHED, Reason.CHANGE_SEEN)
    assert (during.expected_change_wh, during.observed_change_wh) == (-500, -460)


def test_figure_6_meter_only_no_decrease() -> None:
    _, during = judged(
        METER_ONLY,
        values(0, transferred_wh=0, import_wh=1000),
        values(1, transferred_wh=-500, import_wh=980),
    )
    assert (during.verdict, during.reason) == (Verdict.MISMATCHED, Reason.CHANGE_NOT_SEEN)
    assert explain(during) == (
        "the meter should have fallen by 0.50 kWh, it fell by 0.02 ± 0.10 kWh;"
        " it did not move by what was transferred"
    )


@pytest.mark.parametrize(
    ("import_wh", "verdict"), [(1500, Verdict.MATCHED), (1000, Verdict.MISMATCHED)]
)
def test_figures_5_and_6_the_other_direction_charging(import_wh: int, verdict: Verdict) -> None:
    _, during = judged(
        METER_ONLY,
        values(0, transferred_wh=0, import_wh=1000),
        values(1, transferred_wh=500, import_wh=import_wh),
    )
    assert during.verdict is verdict


@pytest.mark.parametrize(
    ("import_wh", "export_wh", "verdict"),
    [(20, 570, Verdict.MATCHED), (200, 0, Verdict.MISMATCHED)],
)
def test_figures_5_and_6_a_site_that_exports_compares_the_net(
    import_wh: int, export_wh: int, verdict: Verdict
) -> None:
    """The house uses 0.2 kWh, the vehicle gives 0.75: received alone could not fall enough."""
    _, during = judged(
        METER_ONLY,
        values(0, transferred_wh=0, import_wh=200),
        values(1, transferred_wh=-750, import_wh=import_wh, export_wh=export_wh),
    )
    assert during.verdict is verdict


def test_figure_5_with_hems_and_export() -> None:
    (during,) = judged(
        WITH_HEMS,
        values(1, transferred_wh=-750, import_wh=0, export_wh=550, consumption_wh=200),
    )
    assert during.verdict is Verdict.MATCHED


def test_the_step_of_the_register_makes_small_transfers_undecidable() -> None:
    """With steps of 100 Wh neither figure can be told from the other below a few steps."""
    coarse = MeteredSite(step_wh=100)
    _, small, large, none = judged(
        coarse,
        values(0, transferred_wh=0, import_wh=1000),
        values(1, transferred_wh=-300, import_wh=800),
        values(2, transferred_wh=-1500, import_wh=0, export_wh=400),
        values(3, transferred_wh=-1500, import_wh=900),
    )
    assert (small.verdict, small.reason) == (Verdict.INDETERMINATE, Reason.WITHIN_STEPS)
    assert large.verdict is Verdict.MATCHED
    assert none.verdict is Verdict.MISMATCHED


def test_without_an_export_register_a_surplus_proves_nothing() -> None:
    site = MeteredSite(has_export=False)
    _, surplus, unmoved = judged(
        site,
        values(0, transferred_wh=0, import_wh=300, export_wh=None),
        values(1, transferred_wh=-750, import_wh=0, export_wh=None),
        values(2, transferred_wh=-750, import_wh=310, export_wh=None),
    )
    assert (surplus.verdict, surplus.reason) == (Verdict.INDETERMINATE, Reason.SURPLUS_UNSEEN)
    assert unmoved.verdict is Verdict.MISMATCHED


def test_a_hems_that_sees_a_part_narrows_the_comparison() -> None:
    """The oven is on the HEMS, the rest is not: the change of net minus consumption decides."""
    site = MeteredSite(hems=HemsCoverage.PARTIAL)
    _, matched, mismatched = judged(
        site,
        values(0, transferred_wh=0, import_wh=500, consumption_wh=300),
        values(1, transferred_wh=-500, import_wh=900, consumption_wh=1200),
        values(2, transferred_wh=-500, import_wh=1400, consumption_wh=1200),
    )
    assert (matched.verdict, mismatched.verdict) == (Verdict.MATCHED, Verdict.MISMATCHED)


def test_what_is_missing_is_said_and_accuses_nobody() -> None:
    no_reference, no_reading = judged(
        METER_ONLY,
        values(0, transferred_wh=-500, import_wh=500),
        values(1, transferred_wh=-500, import_wh=None),
    )
    assert (no_reference.verdict, no_reference.reason) == (
        Verdict.INDETERMINATE,
        Reason.NO_REFERENCE,
    )
    assert (no_reading.verdict, no_reading.reason) == (Verdict.INDETERMINATE, Reason.NO_READING)


@pytest.mark.parametrize("rule", list(MatchRule))
def test_both_rules_tell_figure_6_from_figure_5_over_an_evening(rule: MatchRule) -> None:
    """The literal rule in one period, the evidence rule over a few: they agree where both speak."""
    policy = MatchPolicy(rule=rule)
    idle = [values(n, transferred_wh=0, import_wh=200 + n % 3) for n in range(48 * 7)]
    for moved_wh, verdict in ((-740, Verdict.MATCHED), (0, Verdict.MISMATCHED)):
        evening = [
            values(
                48 * 7 + n,
                transferred_wh=-750,
                import_wh=max(0, 200 + moved_wh),
                export_wh=max(0, -200 - moved_wh),
            )
            for n in range(12)
        ]
        assert judged(METER_ONLY, *idle, *evening, policy=policy)[-1].verdict is verdict
