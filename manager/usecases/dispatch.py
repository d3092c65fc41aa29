"""Steer the connected resources so that each period's demand is met.

Feedback, tick by tick: what telemetry says was done is compared with what is asked, the energy left
over the time left is the area's power, and that is shared anew among those who can. Whoever
refused, vanished or lost permission is replaced at the next tick. Setpoints are leases.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from gridcord.units import Period
from manager.domain.demand import Demand, area_power_w, limited_w
from manager.domain.power_share import share
from manager.domain.resource import ResourceState
from manager.ports import Demands, StoreFull, StoreUnavailable

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


@dataclass(slots=True)
class _Running:
    """One area in the running period."""

    period: Period
    done_wh: float = 0.0
    allocated_wh: float = 0.0
    last_s: float = 0.0
    powers_w: dict[str, int] = field(default_factory=dict)


class Dispatcher:
    """Steers resources.

    Args:
        demands: What is asked.
        sessions: The live sessions of this process.
        now: The manager's clock, seconds since 1970 UTC.
        sleep: Waits on that clock.
        tick_s: Between two rounds, seconds.
        lease_s: How long a setpoint holds, seconds.
        period_s: Length of a period, seconds.
    """

    def __init__(
        self,
        *,
        demands: Demands,
        sessions: Callable[[], Iterable[SteeredSession]],
        now: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
        tick_s: float,
        lease_s: float,
        period_s: int,
    ) -> None:
        self._demands = demands
        self._sessions = sessions
        self._now = now
        self._sleep = sleep
        self._tick_s = tick_s
        self._lease_s = lease_s
        self._period_s = period_s
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
            await self._sleep(self._tick_s)

    async def step(self) -> None:
        """One round over all areas."""
        now_s = self._now()
        period = Period.containing(now_s, self._period_s)
        by_area: dict[str, list[tuple[SteeredSession, ResourceState]]] = {}
        for session in self._sessions():
            if (state := session.state()) is not None:
                by_area.setdefault(state.area_id, []).append((session, state))
        demands = {demand.area_id: demand for demand in await self._demands.of_period(period)}
        for area_id in sorted({*by_area, *demands}):
            running = await self._account(area_id, period, by_area.get(area_id, []), now_s)
            demand = demands.get(area_id) or Demand(area_id=area_id, period=period, target_wh=0)
            self._steer(running, demand, by_area.get(area_id, []), now_s)

    async def _account(
        self,
        area_id: str,
        period: Period,
        resources: list[tuple[SteeredSession, ResourceState]],
        now_s: float,
    ) -> _Running:
        """Count what telemetry says was done since the last round; close a period that ended."""
        running = self._areas.get(area_id)
        if running is not None and running.period != period:
            await self._demands.close(
                area_id,
                running.period,
                allocated_wh=round(running.allocated_wh),
                telemetry_wh=round(running.done_wh),
            )
            running = None
        if running is None:
            running = self._areas[area_id] = _Running(period, last_s=now_s)
        hours = (now_s - running.last_s) / 3600
        running.done_wh += sum(state.power_w for _, state in resources) * hours
        running.allocated_wh += sum(running.powers_w.values()) * hours
        running.last_s = now_s
        return running

    def _steer(
        self,
        running: _Running,
        demand: Demand,
        resources: list[tuple[SteeredSession, ResourceState]],
        now_s: float,
    ) -> None:
        left_s = running.period.end_s - now_s
        wanted_w = limited_w(
            area_power_w(target_wh=demand.target_wh, done_wh=running.done_wh, left_s=left_s),
            demand=demand,
        )
        bounds = {
            state.resource_id: state.bounds_w(now_s=now_s, horizon_s=self._lease_s)
            for _, state in resources
        }
        shared = share(target_w=wanted_w, bounds_w=bounds)
        running.powers_w = dict(shared.powers_w)
        for session, state in resources:
            power_w = shared.powers_w[state.resource_id]
            reason = _reason(power_w, bounds[state.resource_id], demand)
            session.steer(power_w, lease_s=self._lease_s, reason=reason)
        if abs(shared.unserved_w) > 1 and demand.target_wh:
            log.info(
                "demand.unserved",
                area_id=demand.area_id,
                period=str(demand.period),
                wanted_w=wanted_w,
                unserved_w=shared.unserved_w,
                resources=len(resources),
            )


def _reason(power_w: int, bounds: tuple[int, int], demand: Demand) -> str:
    if power_w == 0:
        return IDLE
    forced = bounds[0] > 0 and power_w == bounds[0]
    return DEPARTURE if forced or not demand.target_wh else CONTRACT
