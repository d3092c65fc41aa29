"""Concludes for each period whether the site's meter saw what the cable measured (S814 to S820).

The cable's own value is there at once, the meter's minutes or hours later; neither waits for the
other. A period is concluded when everything expected of it is known, or when the meter took too
long; what comes later is concluded anew.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import structlog

from cable_node.state import NodeState, RecentMatch
from gridcord.chassis.clock import Clock
from gridcord.metering.match_history import MatchHistory, TooOld, open_history, record
from gridcord.metering.matcher import Matcher, open_matcher
from gridcord.metering.matcher_state import from_plain, to_plain
from gridcord.metering.matching import HemsCoverage, MatchPolicy, MeteredSite, SitePeriod
from gridcord.metering.reading import ReadingQuality, ReadingSource, SiteReading
from gridcord.metering.records import SiteObservation
from gridcord.metering.registers import PeriodEnergy
from gridcord.metering.verdict import stated
from gridcord.units import Period, SiteId

KEEP_PERIODS = 400  # of what was measured: eight days of half hours

log = structlog.get_logger()

Write = Callable[[SiteObservation], Awaitable[object]]
Save = Callable[[str], Awaitable[None]]


@dataclass(slots=True)
class _Measured:
    """What is known of one period."""

    parts_wh: int = 0
    parts_uncertain_wh: int = 0
    has_record: bool = False
    whole: bool = True  # the cable watched all of it
    meter: PeriodEnergy | None = None
    hems: PeriodEnergy | None = None
    session: int | None = None
    concluded: bool = False
    readings: list[SiteReading] = field(default_factory=list)


class SiteObserver:
    """Collects what is measured of each period and concludes.

    Args:
        state: Of the node.
        clock: Of the node.
        policy: How sure one has to be.
        coverage: How much of the load the HEMS sees; NONE without one.
        period_s: Length of a period, seconds.
        grace_s: How long a period's readings are waited for, seconds after its end.
        write: Journals an observation.
        save: Keeps the matcher's state over a restart.
    """

    def __init__(
        self,
        *,
        state: NodeState,
        clock: Clock,
        policy: MatchPolicy,
        coverage: HemsCoverage,
        period_s: int,
        grace_s: float,
        write: Write,
        save: Save,
    ) -> None:
        self._state = state
        self._clock = clock
        self._policy = policy
        self._coverage = coverage
        self._period_s = period_s
        self._grace_s = grace_s
        self._write = write
        self._save = save
        self._periods: dict[int, _Measured] = {}
        self._next = Period.containing(clock.now(), period_s)
        self._of(self._next.start_s).whole = False
        self._history: MatchHistory | None = None
        self._history_site: tuple[str, MeteredSite] | None = None
        self._stored = ""
        self._session = 0
        self._plugged = False

    def restore(self, stored: str) -> None:
        """Go on from what `save` kept; a text that cannot be read is left aside."""
        self._stored = stored

    def plugged(self) -> None:
        """A vehicle came: a new plug-in session."""
        self._session += 1
        self._plugged = True

    def unplugged(self) -> None:
        """The vehicle left."""
        self._plugged = False

    def transferred(self, part: PeriodEnergy) -> None:
        """The cable counted a part of a period."""
        measured = self._of(part.period.start_s)
        measured.parts_wh += part.net_wh
        measured.parts_uncertain_wh += part.uncertain_wh
        measured.has_record = True
        measured.session = self._session

    def metered(self, part: PeriodEnergy) -> None:
        """The site's meter counted a period."""
        self._of(part.period.start_s).meter = part
        self._reopen(part.period)

    def consumed(self, part: PeriodEnergy) -> None:
        """The HEMS counted a period."""
        self._of(part.period.start_s).hems = part
        self._reopen(part.period)

    async def run(self) -> None:
        """Conclude for ever, a few times a period."""
        while True:
            await self._clock.sleep(self._period_s / 60)
            await self.conclude()

    async def conclude(self) -> None:
        """Conclude all periods that are ready, in order."""
        while self._ready(self._next):
            await self._conclude(self._next)
            self._next = self._next.next()
        for start_s, measured in sorted(self._periods.items()):
            if start_s < self._next.start_s and not measured.concluded:
                await self._conclude(Period(start_s, self._period_s))
        for start_s in sorted(self._periods)[:-KEEP_PERIODS]:
            del self._periods[start_s]

    def _of(self, start_s: int) -> _Measured:
        return self._periods.setdefault(start_s, _Measured())

    def _reopen(self, period: Period) -> None:
        if period.start_s < self._next.start_s:
            self._of(period.start_s).concluded = False

    def _ready(self, period: Period) -> bool:
        now = self._clock.now()
        settle_s = max(2.0, self._period_s / 120)  # the cable's own record comes first
        if now < period.end_s + settle_s:
            return False
        measured = self._of(period.start_s)
        expected = bool(self._state.site_meter_id or self._state.hems_id)
        complete = measured.meter is not None and (
            measured.hems is not None or self._coverage is HemsCoverage.NONE
        )
        return (complete and expected) or now >= period.end_s + self._grace_s

    async def _conclude(self, period: Period) -> None:
        measured = self._of(period.start_s)
        measured.concluded = True
        if not self._state.site_id:
            return
        history = self._open()
        observation = self._observation(period, measured)
        try:
            self._history = record(history=history, observation=observation, policy=self._policy)
        except TooOld:
            log.info("reading.too_late", period=str(period))
            return
        plain = to_plain(matcher=self._history.matcher)
        await self._save(json.dumps({"site": self._state.site_id, "matcher": plain}))
        if measured.has_record:
            await self._report(period, measured)

    async def _report(self, period: Period, measured: _Measured) -> None:
        assert self._history is not None
        match = stated(self._history.match)
        await self._write(
            SiteObservation(
                period=period,
                site_id=self._state.site_id,
                readings=tuple(self._readings(period, measured)),
                transferred_wh=measured.parts_wh,
                match=match,
            )
        )
        self._state.matches.appendleft(
            RecentMatch(period=period, transferred_wh=measured.parts_wh, match=match)
        )
        log.info(
            "period.matched",
            period=str(period),
            transferred_wh=measured.parts_wh,
            verdict=match.verdict.value,
            reason=match.reason,
            sentence=match.sentence,
        )

    def _observation(self, period: Period, measured: _Measured) -> SitePeriod:
        return SitePeriod(
            period=period,
            transferred_wh=measured.parts_wh if measured.whole or measured.has_record else None,
            import_wh=_usable(measured.meter, "import_wh"),
            export_wh=_usable(measured.meter, "export_wh"),
            consumption_wh=_usable(measured.hems, "import_wh"),
            session=measured.session,
            uncertain_wh=measured.parts_uncertain_wh
            + sum(part.uncertain_wh for part in (measured.meter, measured.hems) if part),
        )

    def _readings(self, period: Period, measured: _Measured) -> list[SiteReading]:
        site_id = SiteId(self._state.site_id)
        readings = []
        if measured.meter is not None:
            readings.append(
                measured.meter.reading(site_id=site_id, source=ReadingSource.SMART_METER)
            )
        if measured.hems is not None:
            readings.append(
                SiteReading(
                    site_id=site_id,
                    period=period,
                    source=ReadingSource.HEMS,
                    consumption_wh=measured.hems.import_wh,
                    step_wh=measured.hems.step_wh,
                    quality=measured.hems.quality,
                )
            )
        return readings

    def _open(self) -> MatchHistory:
        """The history of this site; another site or other instruments start a new one."""
        site = MeteredSite(
            step_wh=self._state.site_step_wh,
            has_export=self._state.measures_export,
            hems=self._coverage if self._state.hems_id else HemsCoverage.NONE,
            hems_step_wh=self._state.hems_step_wh,
            length_s=self._period_s,
        )
        now = (self._state.site_id, site)
        if self._history is None or self._history_site != now:
            self._history = open_history(matcher=self._restored(site))
            self._history_site = now
        return self._history

    def _restored(self, site: MeteredSite) -> Matcher:
        try:
            kept = json.loads(self._stored or "{}")
            if kept.get("site") == self._state.site_id:
                matcher = from_plain(kept["matcher"])
                if matcher.site == site:
                    return matcher
        except (ValueError, KeyError, TypeError) as error:
            log.warning("matcher.not_restored", error=str(error))
        return open_matcher(site=site, policy=self._policy)


def _usable(part: PeriodEnergy | None, name: str) -> int | None:
    """A value of a part that covers its period; nothing of one that does not, or only by guess."""
    if part is None or part.quality is ReadingQuality.PARTIAL or _guessed(part):
        return None
    value: int | None = getattr(part, name)
    return value


def _guessed(part: PeriodEnergy) -> bool:
    """Both ends lie in one gap: it tells an average of hours, and nothing of this period."""
    return part.start.estimated and part.end.estimated and part.unmeasured_s >= part.period.length_s
