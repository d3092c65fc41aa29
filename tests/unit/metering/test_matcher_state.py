"""A matcher survives being stored as JSON at any period, and refuses what it is not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gridcord.metering.matcher import observe, open_matcher
from gridcord.metering.matcher_state import MatcherStateError, from_plain, to_plain
from gridcord.metering.matching import HemsCoverage, MatchPolicy, MatchRule, MeteredSite
from tests.unit.metering.site_months import month_of

POLICY = MatchPolicy()
SITES = [
    MeteredSite(),
    MeteredSite(has_export=False, step_wh=100),
    MeteredSite(hems=HemsCoverage.FULL, hems_step_wh=10),
    MeteredSite(length_s=900),
]


@pytest.mark.parametrize("site", SITES)
def test_a_stored_matcher_goes_on_exactly_as_if_it_had_not_been(site: MeteredSite) -> None:
    month = month_of(site, seed=3, arrives=0.5)
    kept = month.learned(site)
    for n, observation in enumerate(month.judged):
        stored = from_plain(json.loads(json.dumps(to_plain(matcher=kept), allow_nan=False)))
        assert stored == kept
        kept, match = observe(matcher=kept, observation=observation, policy=POLICY)
        if n % 10 == 0:
            assert observe(matcher=stored, observation=observation, policy=POLICY) == (kept, match)


def test_the_state_does_not_grow() -> None:
    site = MeteredSite(hems=HemsCoverage.FULL)
    month = month_of(site, seed=1)
    matcher = month.learned(site)
    before = len(json.dumps(to_plain(matcher=matcher)))
    for observation in month.judged:
        matcher, _ = observe(matcher=matcher, observation=observation, policy=POLICY)
    after = len(json.dumps(to_plain(matcher=matcher)))
    assert after < before + 2000
    assert after < 20_000


def test_the_patent_rule_is_stored_too() -> None:
    policy = MatchPolicy(rule=MatchRule.PATENT)
    site = MeteredSite()
    matcher = open_matcher(site=site, policy=policy)
    for observation in month_of(site, seed=1).history[:3]:
        matcher, _ = observe(matcher=matcher, observation=observation, policy=policy)
    assert from_plain(json.loads(json.dumps(to_plain(matcher=matcher)))) == matcher


def _damaged() -> list[dict[str, Any]]:
    good = to_plain(matcher=open_matcher(site=MeteredSite(), policy=POLICY))
    track = good["meter"]
    return [
        {},
        good | {"version": 2},
        good | {"rule": "guess"},
        good | {"site": good["site"] | {"length_s": 900}},
        good | {"site": good["site"] | {"colour": "red"}},
        good | {"site": None},
        good | {"balance": [0.1]},
        good | {"session": "one"},
        good | {"meter": track | {"evidence": [0.0] * 8}},
        good | {"meter": track | {"evidence": [float("nan")] * 9}},
        good | {"meter": track | {"bins": track["bins"][:47]}},
        good | {"meter": track | {"bins": [[0.0] * 6] * 48}},
        good | {"meter": track | {"pending": [1, 2]}},
        {k: v for k, v in good.items() if k != "meter"},
    ]


@pytest.mark.parametrize("data", _damaged())
def test_damaged_states_are_refused_by_name(data: dict[str, Any]) -> None:
    with pytest.raises(MatcherStateError):
        from_plain(data)
