"""Late and revised readings: the history says what it would have said had they come in order."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridcord.metering.match_history import MatchHistory, TooOld, open_history, record
from gridcord.metering.matcher import observe, open_matcher
from gridcord.metering.matching import MatchPolicy, MatchRule, MeteredSite, SitePeriod
from tests.unit.metering.site_months import month_of

POLICY = MatchPolicy()
SITE = MeteredSite()
JUDGED = month_of(SITE, seed=2, arrives=0.5).judged


def recorded(periods: list[SitePeriod], policy: MatchPolicy = POLICY) -> MatchHistory:
    history = open_history(matcher=open_matcher(site=SITE, policy=policy))
    for period in periods:
        history = record(history=history, observation=period, policy=policy)
    return history


@pytest.mark.parametrize("rule", list(MatchRule))
def test_in_order_it_is_the_matcher_itself(rule: MatchRule) -> None:
    policy = MatchPolicy(rule=rule)
    matcher = open_matcher(site=SITE, policy=policy)
    for period in JUDGED[:300]:
        matcher, match = observe(matcher=matcher, observation=period, policy=policy)
    history = recorded(JUDGED[:300], policy)
    assert (history.matcher, history.match) == (matcher, match)


@settings(max_examples=25, deadline=None)
@given(st.permutations(range(60)))
def test_any_order_of_arrival_ends_in_the_same_state(order: list[int]) -> None:
    assert recorded([JUDGED[n] for n in order]).matcher == recorded(JUDGED[:60]).matcher


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 199), st.integers(0, 3000))
def test_a_revision_replaces_the_provisional_value(which: int, import_wh: int) -> None:
    wrong = replace(JUDGED[which], import_wh=import_wh, export_wh=0)
    provisional = [wrong if n == which else p for n, p in enumerate(JUDGED[:200])]
    revised = record(history=recorded(provisional), observation=JUDGED[which], policy=POLICY)
    truth = recorded(JUDGED[:200])
    assert (revised.matcher, revised.match) == (truth.matcher, truth.match)


def test_saying_it_twice_changes_nothing() -> None:
    once = recorded(JUDGED[:100])
    assert record(history=once, observation=JUDGED[99], policy=POLICY) == once
    assert record(history=once, observation=JUDGED[10], policy=POLICY) == once


def test_memory_is_bounded_and_what_is_too_old_is_said() -> None:
    history = recorded(JUDGED[:800])
    assert sum(len(s.observations) for s in history.segments) <= 8 * 48
    with pytest.raises(TooOld):
        record(history=history, observation=JUDGED[0], policy=POLICY)
