"""Evenings that never are idle: what judges them by one old level is one error, not many."""

from __future__ import annotations

import json
from random import Random

import pytest

from gridcord.metering.base_profile import LEVEL_ERROR, Bin
from gridcord.metering.matcher import observe, open_matcher
from gridcord.metering.matcher_state import from_plain, to_plain
from gridcord.metering.matching import Finding, MatchPolicy, MeteredSite, SitePeriod
from gridcord.units import Period
from tests.unit.metering.site_months import FIRST_DAY_S, Month, findings, observations

EVENING = range(34, 42)  # half hours of a day, with a discharge on each day of the month
HISTORY_DAYS, DAYS = 28, 58


def every_evening(*, seed: int, arrives: float = 1.0, grows: float = 0.0) -> Month:
    """The same discharge every evening; the evening's own use grows over the month by a share."""
    rng, periods = Random(f"every evening {seed}"), list[SitePeriod]()
    for n in range(DAYS * 48):
        day, slot = divmod(n, 48)
        judged = day >= HISTORY_DAYS
        own_wh = (350 if slot in EVENING else 120) * rng.lognormvariate(0, 0.35)
        if judged and slot in EVENING:
            own_wh *= 1 + grows * (day - HISTORY_DAYS) / (DAYS - HISTORY_DAYS)
        cable_wh = -750 if judged and slot in EVENING else 0
        net_wh = round(own_wh + cable_wh * arrives)
        periods.append(
            SitePeriod(
                period=Period(FIRST_DAY_S + n * 1800),
                transferred_wh=cable_wh,
                import_wh=max(0, net_wh),
                export_wh=max(0, -net_wh),
                session=day if cable_wh else None,
            )
        )
    start = HISTORY_DAYS * 48
    return Month(history=periods[:start], judged=periods[start:])


@pytest.mark.parametrize("seed", range(4))
def test_a_house_whose_evenings_slowly_change_is_not_accused(seed: int) -> None:
    said = findings(MeteredSite(), every_evening(seed=seed, grows=0.5))
    assert Finding.MISMATCH not in said


@pytest.mark.parametrize("seed", range(4))
def test_a_thief_is_found_within_three_evenings(seed: int) -> None:
    said = findings(MeteredSite(), every_evening(seed=seed, arrives=0.0))
    discharges = [said[n] for n in range(len(said)) if n % 48 in EVENING]
    assert Finding.MISMATCH in discharges[: 3 * len(EVENING)]


def test_n_periods_that_share_an_error_tell_as_much_as_fewer_independent_ones() -> None:
    told = sum(Bin(0.0, 0.05, judged=n).news for n in range(200))
    assert told == pytest.approx(200 / (1 + 200 * LEVEL_ERROR) + 0.5, abs=0.5)
    assert Bin(0.0, 0.05).news == 1.0


def test_an_idle_period_teaches_the_level_anew_and_an_older_state_is_understood() -> None:
    month, policy = observations(MeteredSite(), seed=2), MatchPolicy()
    matcher = open_matcher(site=MeteredSite(), policy=policy)
    for observation in (*month.history, *month.judged):
        matcher, _ = observe(matcher=matcher, observation=observation, policy=policy)
    plain = json.loads(json.dumps(to_plain(matcher=matcher)))
    counts = [of[6] for of in plain["meter"]["bins"]]
    assert 0 < max(counts) < 20
    older = plain | {"meter": plain["meter"] | {"bins": [of[:6] for of in plain["meter"]["bins"]]}}
    again = to_plain(matcher=from_plain(older))
    assert [of[:6] for of in again["meter"]["bins"]] == older["meter"]["bins"]
    assert {of[6] for of in again["meter"]["bins"]} == {0}
