"""A matcher as plain data: what JSON can hold, with a version.

The state of a site is persisted by whoever matches (the cable, the manager). It is derived data: a
state of another version, or a damaged one, is refused by name and rebuilt from the readings.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from gridcord.metering.base_profile import Bin, scale_of
from gridcord.metering.hems_balance import HemsBalance
from gridcord.metering.hypotheses import COUNT, Frame
from gridcord.metering.matcher import Matcher
from gridcord.metering.matching import DAY_S, HemsCoverage, MatchRule, MeteredSite
from gridcord.metering.patent_rule import PatentMatcher
from gridcord.metering.residual_track import Pending, ResidualTrack
from gridcord.metering.site_matcher import SiteMatcher

VERSION = 1


class MatcherStateError(ValueError):
    """Data is no matcher of this version."""


def to_plain(*, matcher: Matcher) -> dict[str, Any]:
    """A matcher as dicts, lists, numbers, strings and None."""
    site = matcher.site
    head = {
        "version": VERSION,
        "site": {
            "step_wh": site.step_wh,
            "has_export": site.has_export,
            "hems": site.hems.value,
            "hems_step_wh": site.hems_step_wh,
            "length_s": site.length_s,
        },
    }
    if isinstance(matcher, PatentMatcher):
        return head | {"rule": MatchRule.PATENT.value, "idle_wh": matcher.idle_wh}
    return head | {
        "rule": MatchRule.EVIDENCE.value,
        "meter": _track_to_plain(matcher.meter),
        "rest": None if matcher.rest is None else _track_to_plain(matcher.rest),
        "balance": [matcher.balance.idle_broken, matcher.balance.broken],
        "last_start_s": matcher.last_start_s,
        "session": matcher.session,
        "asked_session": matcher.asked_session,
    }


def from_plain(data: Mapping[str, Any], /) -> Matcher:
    """The matcher that `to_plain` made the data of.

    Raises:
        MatcherStateError: Another version, or not such data.
    """
    if data.get("version") != VERSION:
        message = f"state of version {data.get('version')!r}, not {VERSION}: rebuild it"
        raise MatcherStateError(message)
    try:
        return _from_plain(data)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        message = f"no state of a matcher: {error}"
        raise MatcherStateError(message) from error


def _from_plain(data: Mapping[str, Any]) -> Matcher:
    facts = dict(data["site"])
    site = MeteredSite(**facts | {"hems": HemsCoverage(facts["hems"])})
    if MatchRule(data["rule"]) is MatchRule.PATENT:
        return PatentMatcher(site=site, idle_wh=_whole(data["idle_wh"]))
    idle_broken, broken = data["balance"]
    rest = data["rest"]
    return SiteMatcher(
        site=site,
        meter=_track_from_plain(data["meter"], site, has_export=site.has_export),
        rest=None if rest is None else _track_from_plain(rest, site, has_export=True),
        balance=HemsBalance(idle_broken=_numbers([idle_broken], 1)[0], broken=int(broken)),
        last_start_s=_whole(data["last_start_s"]),
        session=_whole(data["session"]),
        asked_session=_whole(data["asked_session"]),
    )


def _track_to_plain(track: ResidualTrack) -> dict[str, Any]:
    pending = track.pending
    return {
        "bins": [list(of) for of in track.bins],
        "carried": list(track.carried),
        "evidence": list(track.evidence),
        "confidence": list(track.confidence),
        "before_kwh": track.before_kwh,
        "pending": None if pending is None else [list(pending[0]), pending[1], pending[2]],
    }


def _track_from_plain(
    data: Mapping[str, Any], site: MeteredSite, *, has_export: bool
) -> ResidualTrack:
    bins = data["bins"]
    if len(bins) != DAY_S // site.length_s:
        message = f"{len(bins)} bins for periods of {site.length_s} s"
        raise MatcherStateError(message)
    return ResidualTrack(
        scale=scale_of(site=site),
        bins=tuple(_bin(of) for of in bins),
        has_export=has_export,
        carried=_numbers(data["carried"], COUNT),
        evidence=_numbers(data["evidence"], COUNT),
        confidence=_numbers(data["confidence"], COUNT),
        before_kwh=_numbers([data["before_kwh"]], 1)[0],
        pending=_pending(data["pending"]),
    )


def _bin(of: Sequence[Any]) -> Bin:
    fields = [*of, 0] if len(of) == len(Bin._fields) - 1 else of  # older states had no count
    centre, zone_kwh, spread, export_kwh, days, silent, judged = _numbers(fields, len(Bin._fields))
    if zone_kwh <= 0 or spread <= 0:
        message = f"a scale is positive, not {zone_kwh}, {spread}"
        raise MatcherStateError(message)
    return Bin(centre, zone_kwh, spread, export_kwh, int(days), silent, int(judged))


def _pending(data: Sequence[Any] | None) -> Pending | None:
    if data is None:
        return None
    frame, honest, carried = data
    honest, carried = _numbers([honest, carried], 2)
    return Frame(*_numbers(frame, len(Frame._fields))), honest, carried


def _numbers(values: Sequence[Any], count: int) -> tuple[float, ...]:
    numbers = tuple(float(value) for value in values)
    if len(numbers) != count or not all(map(math.isfinite, numbers)):
        message = f"{count} finite numbers expected: {values!r:.80}"
        raise MatcherStateError(message)
    return numbers


def _whole(value: Any) -> int | None:
    if value is None or type(value) is int:
        return value
    message = f"a whole number expected: {value!r:.80}"
    raise MatcherStateError(message)
