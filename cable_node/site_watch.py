"""Reads the site's meter, its energy manager and the position, each for ever and for itself."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from contextlib import aclosing

import structlog

from cable_node.drivers.route_b_session import RouteBCredentials
from cable_node.instruments import CredentialsMissing, open_site_meter
from cable_node.ports import HomeEnergy, InstrumentError, Positioning, SiteMeter
from cable_node.settings import SiteSettings
from cable_node.state import NodeState
from gridcord.chassis.clock import Clock
from gridcord.chassis.retry import Backoff
from gridcord.metering.reading import Registers
from gridcord.metering.records import CableEvent, CableEventKind
from gridcord.metering.registers import Accumulator, PeriodEnergy, RegisterLimits, feed

READING = "READING"
LOST = "LOST"
WAITING = "WAITING_FOR_CREDENTIALS"

log = structlog.get_logger()

Note = Callable[[CableEvent], Awaitable[object]]
Counted = Callable[[PeriodEnergy], None]


class SiteMeterWatch:
    """Reads the site's smart meter: identity, and registers into periods.

    Args:
        settings: Which meter.
        state: Of the node; the site's identity is kept here.
        clock: Of the node.
        period_s: Length of a period, seconds.
        counted: Called with each finished period.
        note: Journals an event.
    """

    def __init__(
        self,
        *,
        settings: SiteSettings,
        state: NodeState,
        clock: Clock,
        period_s: int,
        counted: Counted,
        note: Note,
    ) -> None:
        self._settings = settings
        self._state = state
        self._clock = clock
        self._counted = counted
        self._note = note
        self._access: RouteBCredentials | None = None
        self._given = asyncio.Event()
        self._accumulator = Accumulator(
            length_s=period_s,
            limits=RegisterLimits(max_power_w=100_000, max_gap_s=settings.max_gap_s),
        )
        self.meter: SiteMeter | None = None

    def give_access(self, access: RouteBCredentials) -> None:
        """The manager handed over the site's credentials."""
        self._access = access
        self._given.set()

    async def run(self) -> None:
        """Read for ever."""
        backoff = Backoff(first_s=2.0, longest_s=120.0)
        while True:
            try:
                self.meter = open_site_meter(self._settings, self._clock, self._access)
                if self.meter is None:
                    await asyncio.Event().wait()
                    return
                await self._read(self.meter, backoff)
            except CredentialsMissing:
                self._told(WAITING)
                await self._given.wait()
            except InstrumentError as error:
                await self._lost(str(error))
                await asyncio.sleep(backoff.next_s())
            finally:
                if self.meter is not None:
                    await self.meter.close()

    async def _read(self, meter: SiteMeter, backoff: Backoff) -> None:
        identity = await meter.identify()
        if self._state.instruments.get("site_meter") == LOST:
            await self._event(CableEventKind.INSTRUMENT_FOUND, str(identity.site_id))
        self._state.site_meter_id = identity.site_id
        self._state.measures_export = identity.measures_export
        self._state.site_step_wh = identity.step_wh
        self._state.can_prove = meter.power_interval_s < math.inf
        self._told(READING)
        log.info("site_meter.identified", site_id=identity.site_id, step_wh=identity.step_wh)
        last = self._accumulator.last
        if last is not None:
            for registers in await meter.history(last.at_s):
                self._count(registers, identity.site_id)
        async with aclosing(meter.readings()) as readings:
            async for registers in readings:
                backoff.reset()
                self._count(registers, identity.site_id)

    def _count(self, registers: Registers, site_id: str) -> None:
        last = self._accumulator.last
        if last is not None and registers.at_s < last.at_s:
            return
        self._accumulator, finished = feed(
            accumulator=self._accumulator, sample=registers, meter_id=site_id
        )
        for part in finished:
            self._counted(part)

    async def _lost(self, why: str) -> None:
        log.warning("site_meter.lost", error=why)
        if self._state.instruments.get("site_meter") == READING:
            await self._event(CableEventKind.INSTRUMENT_LOST, why)
        self._told(LOST)

    async def _event(self, kind: CableEventKind, detail: str) -> None:
        await self._note(
            CableEvent(
                kind=kind,
                at_s=self._clock.now(),
                site_id=self._state.site_id,
                detail=f"site meter: {detail}"[:200],
            )
        )

    def _told(self, state: str) -> None:
        self._state.instruments["site_meter"] = state


async def watch_hems(
    hems: HomeEnergy,
    *,
    state: NodeState,
    clock: Clock,
    poll_s: float,
    period_s: int,
    counted: Counted,
) -> None:
    """Read what the house's appliances use, for ever.

    Args:
        hems: The home energy manager.
        state: Of the node; its identity is kept here.
        clock: Of the node.
        poll_s: Between two readings, seconds.
        period_s: Length of a period, seconds.
        counted: Called with each finished period.
    """
    accumulator = Accumulator(
        length_s=period_s,
        limits=RegisterLimits(max_power_w=100_000, max_gap_s=max(10.0, 3 * poll_s)),
    )
    while True:
        try:
            identity = await hems.identify()
            state.hems_id = identity.site_id
            state.hems_step_wh = identity.step_wh
            state.instruments["hems"] = READING
            while True:
                accumulator, finished = feed(accumulator=accumulator, sample=await hems.read())
                for part in finished:
                    counted(part)
                await clock.sleep(poll_s)
        except InstrumentError as error:
            state.instruments["hems"] = LOST
            log.warning("hems.lost", error=str(error))
            await asyncio.sleep(2.0)


async def watch_position(positioning: Positioning, *, state: NodeState) -> None:
    """Keep the last position, for ever."""
    while True:
        try:
            async with aclosing(positioning.fixes()) as fixes:
                async for position in fixes:
                    state.position = position
                    state.instruments["position"] = READING
        except InstrumentError as error:
            state.instruments["position"] = LOST
            log.warning("position.lost", error=str(error))
            await asyncio.sleep(2.0)
