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
from gridcord.metering.reading import ReadingQuality, ReadingSource, SiteReading
from gridcord.settlement.facts import Gathering
from gridcord.settlement.transfer import Transfer
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

    Every period from the first to the last, also those of which nothing is known. A session is a
    run of periods with a cable; sessions are numbered from 1 within the history. The sum of the
    cables is not known where one of them lacks its time or a measured value.
    """
    if not gathered:
        return ()
    periods, session, plugged = [], 0, False
    period, last = min(gathered), max(gathered)
    while period <= last:
        facts = gathered.get(period, _NOTHING)
        session += bool(facts.transfers) and not plugged
        plugged = bool(facts.transfers)
        periods.append(_site_period(period, facts, session if plugged else None))
        period = period.next()
    return tuple(periods)


def _site_period(period: Period, facts: Gathering, session: int | None) -> SitePeriod:
    meter = _newest(facts, ReadingSource.UTILITY) or _newest(facts, ReadingSource.SMART_METER)
    hems = _newest(facts, ReadingSource.HEMS)
    return SitePeriod(
        period=period,
        transferred_wh=sum_of_cables(
            each.record.transferred_wh if _usable(each) else None for each in facts.transfers
        ),
        import_wh=None if meter is None else meter.import_wh,
        export_wh=None if meter is None else meter.export_wh,
        consumption_wh=None if hems is None else hems.consumption_wh,
        session=session,
    )


def _newest(facts: Gathering, source: ReadingSource) -> SiteReading | None:
    """The highest revision of a source; of a meter only where it measured the whole period."""
    of_source = [each for each in facts.readings if each.source is source]
    newest = max(of_source, key=lambda each: (each.revision, str(each)), default=None)
    if newest is None or source is ReadingSource.HEMS:
        return newest
    whole = newest.quality is not ReadingQuality.PARTIAL and newest.import_wh is not None
    return newest if whole else None


def _usable(transfer: Transfer) -> bool:
    return transfer.settleable and transfer.record.quality is not ReadingQuality.ESTIMATED


def matches(history: SiteHistory, policy: MatchPolicy) -> Iterable[Match]:
    """What the matcher finds after each period of a history.

    What comes before the first session is learnt from, unless a state is given that has.

    Raises:
        ValueError: The state before it is none of this version, or periods are out of order.
    """
    matcher: Matcher = open_matcher(site=history.metered, policy=policy)
    if history.matcher:
        matcher = matcher_state.from_plain(json.loads(history.matcher))
    learning = not history.matcher
    for period in history.periods:
        learning = learning and period.session is None
        matcher, match = observe(
            matcher=matcher, observation=period, policy=policy, learning=learning
        )
        yield match


_NOTHING = Gathering()
