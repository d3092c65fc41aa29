"""Steer the connected resources so that each period's demand is met.

Feedback, tick by tick: what telemetry says was done is compared with what is asked, the energy left
over the time left is the area's power, and that is shared anew among those who can. Whoever
refused, vanished or lost permission is replaced at the next tick. Setpoints are leases.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import structlog

from gridcord.metering.records import AssetLoading
from gridcord.units import Period
from manager.domain.dispatch.bounds import Reason
from manager.domain.dispatch.conduct import Conduct
from manager.domain.dispatch.demand import Demand, Progress
from manager.domain.dispatch.equipment import equipment
from manager.domain.dispatch.expectations import LOST, expectations
from manager.domain.dispatch.fleet_state import fleet_state
from manager.domain.dispatch.steering import Asked, Steered, SteeringRules, steer
from manager.domain.records.resource import ResourceState
from manager.ports import Demands, Expectations, SiteRules, StoreFull, StoreUnavailable

CONTRACT = "CONTRACT"
DEPARTURE = "DEPARTURE"
IDLE = "IDLE"

log = structlog.get_logger()


class SteeredSession(Protocol):
    """A live session of a resource."""

    @property
    def device_id(self) -> str:
        """The resource."""
        ...

    def state(self) -> ResourceState | None:
        """What it is and can do now; None before its first telemetry."""
        ...

    def steer(self, power_w: int, *, lease_s: float, reason: str) -> None:
        """Send a setpoint; never blocks."""
        ...


Connected = Sequence[tuple[SteeredSession, ResourceState]]


@dataclass(frozen=True, slots=True, kw_only=True)
class DispatchPolicy:
    """How the fleet is steered.

    Args:
        steering: Of each area.
        efficiency_permille: Of energy through a cable, what reaches the battery, and back.
        loading_limit_percent: Of the rating of equipment, what may flow through it.
        note_s: Between two notes of what was done, seconds: what a restart forgets at most.
        period_s: Length of a period, seconds.
    """

    steering: SteeringRules
    efficiency_permille: int
    loading_limit_percent: float
    note_s: float
    period_s: int


@dataclass(slots=True)
class _Running:
    """One area in the running period."""

    period: Period
    done_wh: float
    allocated_wh: float
    uncabled_wh: float
    last_s: float
    noted_s: float
    begun: bool = False  # in this process; what is counted on has still to be kept
    ids: list[str] = field(default_factory=list)
    conduct: Conduct = field(default_factory=lambda: Conduct.unknown(0))
    lost: frozenset[str] = frozenset()


class Dispatcher:
    """Steers resources.

    Args:
        demands: What is asked.
        rules: Loading of the equipment above sites.
        sessions: The live sessions of this process.
        now: The manager's clock, seconds since 1970 UTC.
        sleep: Waits on that clock.
        tick_s: Between two rounds, seconds; one more is made when a period begins.
        policy: How the fleet is steered.
        kept: What is counted on when a period begins; None to keep nothing.
    """

    def __init__(
        self,
        *,
        demands: Demands,
        rules: SiteRules,
        sessions: Callable[[], Iterable[SteeredSession]],
        now: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
        tick_s: float,
        policy: DispatchPolicy,
        kept: Expectations | None = None,
    ) -> None:
        self._demands = demands
        self._rules = rules
        self._sessions = sessions
        self._now = now
        self._sleep = sleep
        self._tick_s = tick_s
        self._policy = policy
        self._kept = kept
        self._areas: dict[str, _Running] = {}

    @property
    def delivered_wh(self) -> dict[str, float]:
        """What telemetry says of the running period so far, by area; + into vehicles."""
        return {area_id: running.done_wh for area_id, running in self._areas.items()}

    async def run(self) -> None:
        """Steer for ever."""
        while True:
            try:
                await self.step()
            except (StoreFull, StoreUnavailable) as error:
                log.error("demand.not_read", error=str(error)[:200])
            await self._sleep(self._until_next())

    def _until_next(self) -> float:
        """Until the next round: a tick, or the end of the period where that comes before it."""
        now_s = self._now()
        period = Period.containing(now_s, self._policy.period_s)
        return min(self._tick_s, period.end_s - now_s)

    async def step(self) -> None:
        """One round over all areas."""
        now_s = self._now()
        period = Period.containing(now_s, self._policy.period_s)
        by_area: dict[str, list[tuple[SteeredSession, ResourceState]]] = {}
        for session in sorted(self._sessions(), key=lambda each: each.device_id):
            if (state := session.state()) is not None:
                by_area.setdefault(state.area_id, []).append((session, state))
        demands = {demand.area_id: demand for demand in await self._demands.of_period(period)}
        for area_id in sorted({*by_area, *demands}):
            connected = by_area.get(area_id, [])
            running = await self._account(area_id, period, connected, now_s)
            loadings = await self._loadings(connected)
            demand = demands.get(area_id)
            steered = self._steer(running, demand, connected, loadings, now_s)
            if demand is not None and self._begins(running, now_s):
                await self._count_on(area_id, running, connected, steered)

    async def _account(
        self, area_id: str, period: Period, connected: Connected, now_s: float
    ) -> _Running:
        """Count what telemetry says was done since the last round; close a period that ended."""
        running = self._areas.get(area_id)
        if running is None:
            running = self._areas[area_id] = await self._found(area_id, period, now_s)
        if running.period != period:
            _count(running, connected, until_s=running.period.end_s)
            await self._note(area_id, running)
            running.period, running.begun = period, self._kept is not None
            running.done_wh = running.allocated_wh = running.uncabled_wh = 0.0
            running.last_s = max(running.last_s, period.start_s)
        _count(running, connected, until_s=now_s)
        if now_s - running.noted_s >= self._policy.note_s:
            await self._note(area_id, running)
            running.noted_s = now_s
        return running

    async def _found(self, area_id: str, period: Period, now_s: float) -> _Running:
        """What a manager before this one noted of the running period."""
        noted = await self._demands.progress(area_id, period)
        return _Running(
            period,
            done_wh=noted.telemetry_wh,
            allocated_wh=noted.allocated_wh,
            uncabled_wh=noted.uncabled_wh,
            last_s=now_s,
            noted_s=now_s,
        )

    async def _note(self, area_id: str, running: _Running) -> None:
        await self._demands.note(
            area_id,
            running.period,
            Progress(
                allocated_wh=round(running.allocated_wh),
                telemetry_wh=round(running.done_wh),
                uncabled_wh=round(running.uncabled_wh),
            ),
        )

    def _begins(self, running: _Running, now_s: float) -> bool:
        """Whether what is asked now is what the period begins with, random offsets over."""
        into_s = now_s - running.period.start_s
        return running.begun and into_s >= self._policy.steering.random_offset_s

    async def _count_on(
        self, area_id: str, running: _Running, connected: Connected, steered: Steered
    ) -> None:
        """Keep what is counted on: once, before anybody can leave it."""
        assert self._kept is not None
        states = [state for _, state in connected]
        await self._kept.keep(expectations(states, steered, area_id=area_id, period=running.period))
        running.begun = False

    async def _loadings(self, connected: Connected) -> Mapping[str, Sequence[AssetLoading]]:
        sites = sorted({state.site_id for _, state in connected} - {""})
        return (await self._rules.situation(sites)).loadings if sites else {}

    def _steer(
        self,
        running: _Running,
        demand: Demand | None,
        connected: Connected,
        loadings: Mapping[str, Sequence[AssetLoading]],
        now_s: float,
    ) -> Steered:
        states = [state for _, state in connected]
        policy = self._policy
        fleet = fleet_state(
            states,
            numbers=range(len(states)),
            charge_permille=policy.efficiency_permille,
            discharge_permille=policy.efficiency_permille,
        )
        steered = steer(
            fleet=fleet,
            refused=np.array([state.refused for state in states], np.bool_),
            conduct=_carried(running, states),
            equipment=equipment(
                sites=[state.site_id for state in states],
                power_w=fleet.power_w,
                loadings=loadings,
                limit_percent=policy.loading_limit_percent,
            ),
            asked=Asked(
                demand=demand,
                done_wh=running.done_wh,
                start_s=running.period.start_s,
                end_s=running.period.end_s,
                now_s=now_s,
                elapsed_s=self._tick_s,
            ),
            rules=policy.steering,
        )
        running.ids, running.conduct = [state.resource_id for state in states], steered.conduct
        self._send(connected, steered, demand)
        _tell(running, states, steered, demand)
        return steered

    def _send(self, connected: Connected, steered: Steered, demand: Demand | None) -> None:
        lease_s = self._policy.steering.horizon_s
        setpoints = zip(steered.setpoint_w.tolist(), steered.forced.tolist(), strict=True)
        for (session, _), (power_w, forced) in zip(connected, setpoints, strict=True):
            asked = demand is not None and demand.target_wh != 0
            reason = IDLE if not power_w else CONTRACT if asked and not forced else DEPARTURE
            session.steer(power_w, lease_s=lease_s, reason=reason)


def _count(running: _Running, connected: Connected, *, until_s: float) -> None:
    """Add what flows now for the time since it was last counted."""
    hours = max(0.0, until_s - running.last_s) / 3600
    running.done_wh += sum(state.power_w for _, state in connected) * hours
    running.uncabled_wh += sum(s.power_w for _, s in connected if not s.cabled) * hours
    running.allocated_wh += int(running.conduct.setpoint_w.sum()) * hours
    running.last_s = max(running.last_s, until_s)


def _carried(running: _Running, states: Sequence[ResourceState]) -> Conduct:
    if [state.resource_id for state in states] == running.ids:
        return running.conduct
    places = {resource_id: place for place, resource_id in enumerate(running.ids)}
    rows = np.array([places.get(state.resource_id, -1) for state in states], np.int64)
    return running.conduct.carried(rows)


def _tell(
    running: _Running, states: Sequence[ResourceState], steered: Steered, demand: Demand | None
) -> None:
    """Log who is no longer counted on, and what nobody can do."""
    if demand is None:
        running.lost = frozenset()
        return
    reasons = {
        state.resource_id: Reason(reason)
        for state, reason in zip(states, steered.reason.tolist(), strict=True)
        if reason in LOST
    }
    for resource_id in sorted(set(reasons) - running.lost):
        reason = reasons[resource_id].name
        log.info("resource.replaced", resource_id=resource_id, reason=reason)
    running.lost = frozenset(reasons)
    if abs(steered.unserved_w) > 1 and demand.target_wh:
        log.info(
            "demand.unserved",
            area_id=demand.area_id,
            period=str(demand.period),
            wanted_w=steered.wanted_w,
            unserved_w=steered.unserved_w,
            resources=len(states),
        )
