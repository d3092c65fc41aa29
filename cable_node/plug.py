"""Watches the plug: a vehicle comes, a vehicle leaves; keeps the board's watchdog calm."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from cable_node.ports import Contactor, InstrumentError
from cable_node.state import NodeState
from gridcord.chassis.clock import Clock

log = structlog.get_logger()


class PlugWatch:
    """Asks the board for its state, and tells changes.

    Args:
        contactor: The board; None for a cable without one: a vehicle is always taken for present.
        state: Of the node.
        clock: Of the node.
        state_s: Between two questions, seconds.
        plugged: Called when a vehicle came.
        unplugged: Called when it left.
        switched: Called with whether the contactor is closed, at each change.
    """

    def __init__(
        self,
        *,
        contactor: Contactor | None,
        state: NodeState,
        clock: Clock,
        state_s: float,
        plugged: Callable[[], Awaitable[None]],
        unplugged: Callable[[], Awaitable[None]],
        switched: Callable[[bool], Awaitable[None]],
    ) -> None:
        self._contactor = contactor
        self._state = state
        self._clock = clock
        self._state_s = state_s
        self._plugged = plugged
        self._unplugged = unplugged
        self._switched = switched

    async def run(self) -> None:
        """Watch for ever."""
        if self._contactor is None:
            self._state.contactor_closed = True
            await self._presence(present=True)
            await asyncio.Event().wait()
        while True:
            await self._look()
            await self._clock.sleep(self._state_s)

    async def beat(self, every_s: float) -> None:
        """Keep the board's watchdog calm, for ever; it lives in real time."""
        while self._contactor is not None:
            try:
                if not await self._contactor.heartbeat():
                    log.warning("contactor.watchdog_fired")
            except InstrumentError as error:
                log.warning("contactor.lost", error=str(error))
            await asyncio.sleep(every_s)
        await asyncio.Event().wait()

    async def _look(self) -> None:
        assert self._contactor is not None
        try:
            found = await self._contactor.state()
        except InstrumentError as error:
            self._state.instruments["contactor"] = "LOST"
            log.warning("contactor.unread", error=str(error))
            await asyncio.sleep(1.0)
            return
        self._state.instruments["contactor"] = found.fault or "READING"
        if found.closed != self._state.contactor_closed:
            self._state.contactor_closed = found.closed
            await self._switched(found.closed)
        await self._presence(present=found.vehicle_present)

    async def _presence(self, *, present: bool) -> None:
        if present == self._state.vehicle_present:
            return
        self._state.vehicle_present = present
        await (self._plugged() if present else self._unplugged())
