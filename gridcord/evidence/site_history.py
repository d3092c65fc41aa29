"""From facts of a site to what its matcher takes in, period by period."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gridcord.metering import matcher_state
from gridcord.metering.matcher import Matcher, observe, open_matcher
from gridcord.metering.matching import (
    Match,
    MatchPolicy,
    MeteredSite,
    SitePeriod,
    sum_of_cables,
)
from gridcord.settlement.facts import Gathering
from gridcord.units import Period


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteHistory:
    """All that is known of a site, for a match.

    Args:
        metered: Its instruments.
        matcher: Plain state of the matcher before the first period; empty for none.
        periods: By period, in order.
    """

    metered: MeteredSite
    matcher: str
    periods: tuple[SitePeriod, ...]


def site_periods(gathered: Mapping[Period, Gathering]) -> tuple[SitePeriod, ...]:
    """What a matcher takes in, from the facts of each period of one site.

    A session runs from the first period with a cable to the one with a final record, or to the
    last before a period without any; sessions are numbered from 1 within the history.
    """
    periods, session, plugged = [], 0, False
    for period in sorted(gathered):
        facts = gathered[period]
        if facts.settleable and not plugged:
            session += 1
        plugged = bool(facts.settleable)
        reading = facts.reading
        periods.append(
            SitePeriod(
                period=period,
                transferred_wh=sum_of_cables(
                    each.record.transferred_wh for each in facts.settleable
                ),
                import_wh=None if reading is None else reading.import_wh,
                export_wh=None if reading is None else reading.export_wh,
                consumption_wh=None if reading is None else reading.consumption_wh,
                session=session if plugged else None,
            )
        )
        plugged = plugged and not any(each.record.final for each in facts.settleable)
    return tuple(periods)


def matches(history: SiteHistory, policy: MatchPolicy) -> Iterable[Match]:
    """What the matcher finds after each period of a history.

    Raises:
        ValueError: The state before it is none of this version, or periods are out of order.
    """
    matcher: Matcher = open_matcher(site=history.metered, policy=policy)
    if history.matcher:
        matcher = matcher_state.from_plain(json.loads(history.matcher))
    for period in history.periods:
        matcher, match = observe(matcher=matcher, observation=period, policy=policy)
        yield match
