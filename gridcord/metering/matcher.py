"""The seam: one matcher per site, whatever the rule.

    matcher = open_matcher(site=site, policy=policy)
    matcher, match = observe(matcher=matcher, observation=period, policy=policy)

A matcher is a plain frozen value. Store it with `gridcord.metering.matcher_state`, take late and
revised readings with `gridcord.metering.match_history`.
"""

from __future__ import annotations

from collections.abc import Iterable

from gridcord.metering import patent_rule, site_matcher
from gridcord.metering.matching import (
    Finding,
    Match,
    MatchPolicy,
    MatchRule,
    MeteredSite,
    Reason,
    SitePeriod,
)
from gridcord.metering.patent_rule import PatentMatcher
from gridcord.metering.site_matcher import SiteMatcher

Matcher = PatentMatcher | SiteMatcher


def open_matcher(*, site: MeteredSite, policy: MatchPolicy) -> Matcher:
    """A matcher for a site nobody has seen, under the policy's rule."""
    if policy.rule is MatchRule.PATENT:
        return PatentMatcher(site=site)
    return site_matcher.unknown_site(site=site)


def observe(
    *, matcher: Matcher, observation: SitePeriod, policy: MatchPolicy, learning: bool = False
) -> tuple[Matcher, Match]:
    """Take one period in and say what is known now.

    Args:
        matcher: The state before.
        observation: The period.
        policy: How sure one has to be.
        learning: History before the first session: learn, judge nothing.

    Raises:
        OutOfOrder: Under the evidence rule, a period that is not later than the last.
    """
    if isinstance(matcher, SiteMatcher):
        return site_matcher.observe(
            matcher=matcher, observation=observation, policy=policy, learning=learning
        )
    after, match = patent_rule.observe(matcher=matcher, observation=observation, policy=policy)
    if learning:
        match = Match(finding=Finding.UNDECIDED, reason=Reason.LEARNING)
    return after, match


def learn(*, matcher: Matcher, history: Iterable[SitePeriod], policy: MatchPolicy) -> Matcher:
    """Take in what the meter (or the utility) knows of the time before the first session."""
    for observation in history:
        matcher, _ = observe(matcher=matcher, observation=observation, policy=policy, learning=True)
    return matcher
