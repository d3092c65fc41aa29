"""What the manager concludes of a site from all it knows (patent: determination unit 252).

Summed over all cables of the site, with the utility's reading of a period where there is one and
the cable's otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf

from gridcord.metering.matcher import Matcher, observe, open_matcher
from gridcord.metering.matching import (
    HemsCoverage,
    Match,
    MatchPolicy,
    MeteredSite,
    Moved,
    SitePeriod,
)
from gridcord.metering.reading import ReadingQuality, ReadingSource, SiteReading
from gridcord.metering.site_matcher import SiteMatcher, with_proof
from gridcord.units import Period

CLOCKS_WH = 5  # what seconds between the clocks of house and utility make of a period ...
CLOCKS_SHARE = 0.02  # ... plus this share of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """Something that settled what earlier periods had said: an active proof, a lifted block.

    Args:
        at_s: When, seconds since 1970 UTC.
        accepted: In the site's favour.
        nats: How strongly, >= 0.
    """

    at_s: int
    accepted: bool
    nats: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodFacts:
    """What is known of a site in one period.

    Args:
        period: The period.
        moved: Through all cables together; None when one of them is not usable.
        utility: The utility's reading; None while there is none.
        meter: The smart meter's, read by a cable; None without.
        hems: The HEMS's, read by a cable; None without.
        session: Number of the plug-in session; None while nothing was plugged in.
    """

    period: Period
    moved: Moved | None
    utility: SiteReading | None
    meter: SiteReading | None
    hems: SiteReading | None
    session: int | None

    @property
    def reading(self) -> SiteReading | None:
        """The utility's before the house's own.

        A value that the utility put in the place of one that was not measured tells what a house
        usually uses, not what this one used: it would accuse whoever discharged. Nor does one that
        the house's own meter was silent about.
        """
        if self.utility is not None and _measured(self.utility):
            return self.utility
        return self.meter if self.meter is not None and _measured(self.meter) else None

    @property
    def consumption_wh(self) -> int | None:
        """What the HEMS measured of all of the period; a value that stands in for it is none."""
        if self.hems is None or self.hems.quality is not ReadingQuality.COMPLETE:
            return None
        return self.hems.consumption_wh


def _whole(reading: SiteReading) -> bool:
    return reading.quality is not ReadingQuality.PARTIAL and reading.import_wh is not None


def _measured(reading: SiteReading) -> bool:
    return _whole(reading) and reading.quality is not ReadingQuality.ESTIMATED


def gather(
    *,
    periods: Iterable[Period],
    readings: Sequence[SiteReading],
    moved: Mapping[int, Moved | None],
    sessions: Mapping[int, int],
) -> list[PeriodFacts]:
    """Put facts together, period by period.

    Args:
        periods: In order.
        readings: Newest revision of each period and source.
        moved: Sum over all cables by period start; None when one is not usable; a period that is
            missing had no cable.
        sessions: Number of the plug-in session by period start.
    """
    found = {(r.period.start_s, r.source): r for r in readings}
    return [
        PeriodFacts(
            period=period,
            moved=moved.get(period.start_s, Moved(0)),
            utility=found.get((period.start_s, ReadingSource.UTILITY)),
            meter=found.get((period.start_s, ReadingSource.SMART_METER)),
            hems=found.get((period.start_s, ReadingSource.HEMS)),
            session=sessions.get(period.start_s),
        )
        for period in periods
    ]


def instruments(facts: Sequence[PeriodFacts], *, length_s: int) -> MeteredSite | None:
    """What the readings tell of the site's instruments; None before the first reading."""
    readings = [each.reading for each in facts if each.reading is not None]
    if not readings:
        return None
    hems = [each.hems for each in facts if each.hems and each.consumption_wh is not None]
    return MeteredSite(
        step_wh=max(1, readings[-1].step_wh),
        has_export=readings[-1].export_wh is not None,
        hems=HemsCoverage.FULL if hems else HemsCoverage.NONE,
        hems_step_wh=hems[-1].step_wh if hems else 1,
        length_s=length_s,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What was concluded.

    Args:
        matcher: The state after.
        matches: Of each period with a transfer, in order.
        last: The last period taken in.
    """

    matcher: Matcher
    matches: tuple[tuple[Period, Match], ...]
    last: Period | None


def judge(
    *,
    matcher: Matcher | None,
    site: MeteredSite,
    facts: Sequence[PeriodFacts],
    learn_before_s: int,
    policy: MatchPolicy,
    settled: Sequence[Settled] = (),
) -> Judgement:
    """Take periods in, in order, and conclude.

    The same facts lead to the same conclusion, whether they came one by one or are judged anew:
    what was settled counts before the first period that begins after it.

    Args:
        matcher: The state before; None for a site nobody has seen, or one to be judged anew.
        site: Its instruments.
        facts: Periods that are complete, later than all before.
        learn_before_s: Periods that start before this are history: learn, judge nothing.
        policy: How sure one has to be.
        settled: What was settled at any time, in order.
    """
    state = matcher or open_matcher(site=site, policy=policy)
    matches: list[tuple[Period, Match]] = []
    after_s = -inf if matcher is None or not facts else facts[0].period.start_s - site.length_s
    for each in facts:
        between = [s for s in settled if after_s < s.at_s <= each.period.start_s]
        state, after_s = _with_settled(state, between), each.period.start_s
        reading = each.reading
        observation = SitePeriod(
            period=each.period,
            transferred_wh=None if each.moved is None else each.moved.wh,
            import_wh=reading.import_wh if reading else None,
            export_wh=reading.export_wh if reading else None,
            consumption_wh=each.consumption_wh,
            session=each.session,
            uncertain_wh=0 if each.moved is None else each.moved.uncertain_wh,
        )
        state, match = observe(
            matcher=state,
            observation=observation,
            policy=policy,
            learning=each.period.start_s < learn_before_s,
        )
        if each.session is not None:
            matches.append((each.period, match))
    last = facts[-1].period if facts else None
    return Judgement(matcher=state, matches=tuple(matches), last=last)


def _with_settled(matcher: Matcher, settled: Iterable[Settled]) -> Matcher:
    """A matcher with what was settled; the patent's rule keeps no evidence to settle."""
    for each in settled:
        if isinstance(matcher, SiteMatcher):
            matcher = with_proof(matcher=matcher, accepted=each.accepted, nats=each.nats)
    return matcher


def readings_differ(readings: Sequence[SiteReading]) -> tuple[int, int]:
    """How often the house's own values are not the utility's of the same period.

    A forged meter identity cannot know the utility's values (knowledge proof). What steps and
    clocks make of a period is allowed for.

    Args:
        readings: Newest revision of each period and source.

    Returns:
        Periods that differ, and periods compared.
    """
    found = {(r.period.start_s, r.source): r for r in readings}
    compared = differing = 0
    for (start_s, source), utility in found.items():
        meter = found.get((start_s, ReadingSource.SMART_METER))
        if source is not ReadingSource.UTILITY or meter is None:
            continue
        if _measured(utility) and _measured(meter):
            compared += 1
            differing += _gap_wh(utility, meter) > _allowed_wh(utility, meter)
    return differing, compared


def _gap_wh(utility: SiteReading, meter: SiteReading) -> int:
    gap_wh = abs((utility.import_wh or 0) - (meter.import_wh or 0))
    if utility.export_wh is None or meter.export_wh is None:
        return gap_wh
    return max(gap_wh, abs(utility.export_wh - meter.export_wh))


def _allowed_wh(utility: SiteReading, meter: SiteReading) -> float:
    most_wh = max(utility.import_wh or 0, meter.import_wh or 0, utility.export_wh or 0)
    return utility.step_wh + meter.step_wh + CLOCKS_WH + CLOCKS_SHARE * most_wh
