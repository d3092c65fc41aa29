"""Makes what the cable may do true: the contactor, the reverse-power trip, the local policy."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import Any

import structlog

from cable_node.ports import Contactor, InstrumentError
from cable_node.reverse_power import ReversePowerTrip
from cable_node.state import Grant, NodeState
from gridcord.chassis.clock import Clock
from gridcord.metering.reading import Permission
from gridcord.metering.records import AssetLoading, CableEvent, CableEventKind

EQUIPMENT_LIMIT = "EQUIPMENT_LIMIT"
REVERSE_POWER = "REVERSE_POWER"
NO_LEASE = "NO_LEASE"

_DISCHARGING = {Permission.BIDIRECTIONAL}
_ORDER = list(Permission)

log = structlog.get_logger()

Note = Callable[[CableEvent], Awaitable[object]]


def local_policy(*, charge_without_lease: bool) -> Grant:
    """What holds without the manager's word: never discharge, charge if the owner says so."""
    permission = Permission.CHARGE_ONLY if charge_without_lease else Permission.NONE
    return Grant(permission=permission, reason=NO_LEASE)


def with_loading(grant: Grant, *, loading_percent: float | None, limit_percent: float) -> Grant:
    """Withhold what makes an overloaded piece of equipment worse (patent: equipment information).

    Args:
        grant: What the manager or the local policy says.
        loading_percent: Of the equipment above the site, as told on the spot; None if not known.
        limit_percent: From here on, in either direction.
    """
    if loading_percent is None or abs(loading_percent) < limit_percent:
        return grant
    most = Permission.NONE if loading_percent > 0 else Permission.CHARGE_ONLY
    if _ORDER.index(grant.permission) <= _ORDER.index(most):
        return grant
    return Grant(
        permission=most, reason=EQUIPMENT_LIMIT, until_s=grant.until_s, version=grant.version
    )


class Enforcement:
    """Commands the contactor and watches for power that must not flow.

    Args:
        contactor: The board; None for a cable without one, which can only tell.
        state: Of the node; `grant` and `contactor_closed` are kept here.
        trip: When reverse power opens the contactor.
        clock: Of the node.
        note: Journals an event.
        local: What holds without the manager's word.
        loading_limit_percent: Of the equipment above the site.
    """

    def __init__(
        self,
        *,
        contactor: Contactor | None,
        state: NodeState,
        trip: ReversePowerTrip,
        clock: Clock,
        note: Note,
        local: Grant,
        loading_limit_percent: float,
    ) -> None:
        self._contactor = contactor
        self._state = state
        self._trip = trip
        self._clock = clock
        self._note = note
        self._local = local
        self._word = local
        self._limit_percent = loading_limit_percent
        self._overloaded = False
        self._changed = asyncio.Event()
        self._worded = asyncio.Event()
        self._ends_s = math.inf  # of the word in force, monotonic: a step of the clock is no reason

    async def obey(self, grant: Grant) -> None:
        """Put the manager's word into force, for as long as its lease says."""
        self._word = grant
        self._ends_s = math.inf
        if grant.until_s is not None:
            self._ends_s = self._clock.monotonic() + grant.until_s - self._clock.now()
        self._worded.set()
        await self._apply()

    async def fall_back(self) -> None:
        """No word is in force: the local policy holds."""
        await self.obey(self._local)

    async def loading_changed(self) -> None:
        """The loading of the equipment above the site was told: act on it, and tell the manager.

        It hears when the limit is crossed, and of each relief while it withholds something for it.
        """
        loading = self._state.asset_loading
        before, self._overloaded = self._overloaded, self._is_overload(loading)
        await self._apply()
        awaited = self._word.reason == EQUIPMENT_LIMIT and not self._overloaded
        if loading is not None and (self._overloaded != before or awaited):
            await self._note(
                CableEvent(
                    kind=CableEventKind.EQUIPMENT_LIMIT_REACHED,
                    at_s=self._clock.now(),
                    site_id=self._state.site_id,
                    detail=f"{loading.asset_id} at {loading.loading_percent:g} %",
                    asset_loading=loading,
                )
            )

    def _is_overload(self, loading: AssetLoading | None) -> bool:
        return loading is not None and abs(loading.loading_percent) >= self._limit_percent

    async def measured(self, power_w: int | None) -> None:
        """Look at a reading of the cable's meter; open on power that must not flow."""
        self._state.power_w = power_w
        if self._state.grant.permission in _DISCHARGING:
            return
        before = self._trip.tripped
        self._trip = self._trip.observe(at_s=self._clock.monotonic(), power_w=power_w)
        if self._trip.tripped and not before:
            log.warning("reverse_power.tripped", power_w=power_w)
            await self._note(
                CableEvent(
                    kind=CableEventKind.REVERSE_POWER_TRIPPED,
                    at_s=self._clock.now(),
                    site_id=self._state.site_id,
                    detail=f"{power_w} W under {self._state.grant.permission}",
                )
            )
            await self._apply()

    async def run(self) -> None:
        """Command the contactor at each change, and again after it was lost, for ever."""
        while self._contactor is not None:
            await self._changed.wait()
            self._changed.clear()
            try:
                await self._contactor.command(self._state.grant.permission)
            except InstrumentError as error:
                log.warning("contactor.not_commanded", error=str(error))
                self._changed.set()
                await asyncio.sleep(1.0)
        await asyncio.Event().wait()

    async def hold_leases(self) -> None:
        """Let the local policy hold when a lease ends, for ever.

        The session does the same; but a discharge must not go on because whoever holds the session
        is stuck.
        """
        while True:
            remaining_s = self._ends_s - self._clock.monotonic()
            if remaining_s <= 0:
                log.warning("lease.ended_here", version=self._word.version)
                await self.fall_back()
            self._worded.clear()
            await self._word_or_end()

    async def _word_or_end(self) -> None:
        waits: list[asyncio.Future[Any]] = [asyncio.ensure_future(self._worded.wait())]
        if self._ends_s < math.inf:
            remaining_s = self._ends_s - self._clock.monotonic()
            waits.append(asyncio.ensure_future(self._clock.sleep(remaining_s)))
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()

    async def _apply(self) -> None:
        loading = self._state.asset_loading
        grant = with_loading(
            self._word,
            loading_percent=loading.loading_percent if loading else None,
            limit_percent=self._limit_percent,
        )
        if grant.permission in _DISCHARGING:
            self._trip = self._trip.reset()  # a permission to discharge takes a latched trip back
        elif self._trip.tripped:
            grant = Grant(permission=Permission.NONE, reason=REVERSE_POWER, version=grant.version)
        if grant.permission is not self._state.grant.permission:
            log.info("permission.changed", permission=grant.permission.value, reason=grant.reason)
        self._state.grant = grant
        self._changed.set()
