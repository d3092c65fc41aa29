"""Late and revised readings: replay from the last state that did not know better.

A matcher takes periods in order. A utility's confirmed value replaces a provisional one days later,
and a meter's push may come after the next period's. A history keeps what it took in, in segments,
each with the state before it: a newest period costs nothing extra, a revised one costs its segment
and those after it. What is older than all segments is refused by name; who keeps every reading
(the manager) starts again from the first.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass

from gridcord.metering.matcher import Matcher, observe
from gridcord.metering.matching import Finding, Match, MatchPolicy, Reason, SitePeriod

SEGMENT_PERIODS = 48
SEGMENTS = 8


class TooOld(ValueError):
    """A period lies before everything the history still knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """Some periods in a row, and the state before the first of them."""

    before: Matcher
    observations: tuple[SitePeriod, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchHistory:
    """A matcher that can change its mind about the recent past.

    Args:
        segments: Oldest first, at least one; bounded.
        matcher: The state after all of them.
        match: What was said last.
    """

    segments: tuple[Segment, ...]
    matcher: Matcher
    match: Match


def open_history(*, matcher: Matcher) -> MatchHistory:
    """A history that begins with a matcher's state."""
    nothing = Match(finding=Finding.UNDECIDED, reason=Reason.EVIDENCE_THIN)
    return MatchHistory(segments=(Segment(before=matcher),), matcher=matcher, match=nothing)


def record(*, history: MatchHistory, observation: SitePeriod, policy: MatchPolicy) -> MatchHistory:
    """Take in a period: the newest, one that comes late, or a new value for one known before.

    Args:
        history: What is known.
        observation: The period; a period known before is replaced.
        policy: How sure one has to be.

    Returns:
        The history as it would be had the observation come in its place; its `match` is about
        everything known now.

    Raises:
        TooOld: The period lies before the first segment.
    """
    start_s = observation.period.start_s
    last_s = _last_start_s(history)
    if last_s is None or start_s > last_s:
        return _appended(history, observation, policy)
    for number in range(len(history.segments) - 1, -1, -1):
        segment = history.segments[number]
        if segment.observations and segment.observations[0].period.start_s <= start_s:
            return _replayed(history, number, observation, policy)
    if _may_begin_earlier(history.segments[0]):
        return _replayed(history, 0, observation, policy)
    message = f"period {observation.period} lies before everything still known"
    raise TooOld(message)


def _last_start_s(history: MatchHistory) -> int | None:
    for segment in reversed(history.segments):
        if segment.observations:
            return segment.observations[-1].period.start_s
    return None


def _may_begin_earlier(segment: Segment) -> bool:
    """Nothing was taken in before it, so any earlier period still has its place."""
    return getattr(segment.before, "last_start_s", 0) is None


def _appended(history: MatchHistory, observation: SitePeriod, policy: MatchPolicy) -> MatchHistory:
    matcher, match = observe(matcher=history.matcher, observation=observation, policy=policy)
    segments, last = history.segments, history.segments[-1]
    if len(last.observations) >= SEGMENT_PERIODS:
        segments = (*segments, Segment(before=history.matcher, observations=(observation,)))
    else:
        grown = Segment(before=last.before, observations=(*last.observations, observation))
        segments = (*segments[:-1], grown)
    return MatchHistory(segments=segments[-SEGMENTS:], matcher=matcher, match=match)


def _replayed(
    history: MatchHistory, number: int, observation: SitePeriod, policy: MatchPolicy
) -> MatchHistory:
    kept = history.segments[:number]
    changed = _placed(history.segments[number].observations, observation)
    matcher, match = history.segments[number].before, history.match
    segments = [*kept]
    for observations in (changed, *(s.observations for s in history.segments[number + 1 :])):
        segments.append(Segment(before=matcher, observations=observations))
        matcher, match = _folded(matcher, observations, policy, match)
    return MatchHistory(segments=tuple(segments), matcher=matcher, match=match)


def _placed(
    observations: tuple[SitePeriod, ...], observation: SitePeriod
) -> tuple[SitePeriod, ...]:
    start_s = observation.period.start_s
    at = bisect_left(observations, start_s, key=lambda o: o.period.start_s)
    known = at < len(observations) and observations[at].period.start_s == start_s
    return (*observations[:at], observation, *observations[at + known :])


def _folded(
    matcher: Matcher, observations: Iterable[SitePeriod], policy: MatchPolicy, match: Match
) -> tuple[Matcher, Match]:
    for observation in observations:
        matcher, match = observe(matcher=matcher, observation=observation, policy=policy)
    return matcher, match
