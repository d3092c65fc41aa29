"""The contactor: an OpenEVSE board spoken to by RAPI.

The board's watchdog limits the current when we fall silent; it does not open (see decision 0020).
What ends a discharge when the cable's computer dies is the vehicle's own lease.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from itertools import cycle

from cable_node.drivers.serial_line import SerialLine, SerialSettings
from cable_node.ports import (
    ContactorState,
    FrameError,
    InstrumentError,
    InstrumentRefused,
    InstrumentUnavailable,
)
from gridcord.metering.reading import Permission
from gridcord.protocols import rapi
from gridcord.protocols.rapi import RapiLine

_OPEN, _CLOSE, _STATE, _CAPACITY, _HEARTBEAT = "FS", "FE", "GS", "GC", "SY"
_OK, _NK = "OK", "NK"


@dataclass(frozen=True, slots=True, kw_only=True)
class RapiSettings:
    """How to reach the board.

    Args:
        port: A stable name of the serial port.
        baudrate: 115200 for an OpenEVSE board.
        watchdog_s: The board limits the current when no heartbeat comes for so long, whole seconds
            of the board's clock.
        fallback_a: To this, A; the board offers 6 A at least.
        timeout_s: Real seconds that the board has for an answer.
        attempts: Times a command is sent before it has failed.
    """

    port: str
    baudrate: int = 115_200
    watchdog_s: int = 30
    fallback_a: int = 6
    timeout_s: float = 1.0
    attempts: int = 3


class RapiContactor:
    """Implements `cable_node.ports.Contactor`.

    Args:
        settings: How to reach it.
    """

    def __init__(self, settings: RapiSettings) -> None:
        self._settings = settings
        self._line: SerialLine | None = None
        self._sequences = cycle(range(1, 256))
        self._lock = asyncio.Lock()
        self._permission = Permission.NONE
        self._closed = False

    async def command(self, permission: Permission) -> None:
        """Close for any permission but NONE."""
        async with self._lock:
            self._permission = permission
            await self._command()

    async def state(self) -> ContactorState:
        """Ask the board."""
        async with self._lock:
            answer = await self._accepted(_STATE)
            capacity = await self._accepted(_CAPACITY)
        try:
            board = rapi.decode_state(answer.parameters)
            limit_a = rapi.decimal(capacity.parameters[2])
        except (rapi.RapiError, IndexError) as failure:
            raise FrameError(f"no state: {failure}") from failure
        return ContactorState(
            closed=board.relay_closed,
            vehicle_present=board.connected,
            fault=board.state.name if board.state.is_fault else None,
            current_limit_a=limit_a,
        )

    async def heartbeat(self) -> bool:
        """Feed the watchdog; bring the board back when it had given up on us."""
        async with self._lock:
            answer = await self._ask(_HEARTBEAT)
            kept = answer.name == _OK
            if not kept:
                await self._accepted(_HEARTBEAT, str(rapi.WATCHDOG_COOKIE))
            if answer.parameters[:1] == ("0",):  # the board restarted and has no watchdog
                await self._supervise()
                kept = False
            if not kept:
                await self._command()
            return kept

    async def close(self) -> None:
        """Open the contactor if the line still works, and release the line."""
        async with self._lock:
            if self._line is not None and not self._closed:
                with contextlib.suppress(InstrumentError):
                    await self._accepted(_OPEN)
            self._closed = True
            await self._drop()

    async def _command(self) -> None:
        await self._accepted(_OPEN if self._permission is Permission.NONE else _CLOSE)

    async def _supervise(self) -> None:
        settings = self._settings
        await self._accepted(_HEARTBEAT, str(settings.watchdog_s), str(settings.fallback_a))

    async def _accepted(self, *words: str) -> RapiLine:
        answer = await self._ask(*words)
        if answer.name != _OK:
            raise InstrumentRefused(f"the board refuses {' '.join(words)}")
        return answer

    async def _ask(self, *words: str) -> RapiLine:
        """Send a command until an answer with its sequence number comes."""
        for _ in range(self._settings.attempts):
            line = await self._open()
            command = RapiLine(words, next(self._sequences))
            try:
                line.write(command.encode())
                async with asyncio.timeout(self._settings.timeout_s):
                    return await self._answer(line, command)
            except TimeoutError:
                continue
            except InstrumentUnavailable:
                await self._drop()
                raise
        message = f"the board did not answer {words[0]} in {self._settings.attempts} attempts"
        raise InstrumentUnavailable(message)

    async def _answer(self, line: SerialLine, command: RapiLine) -> RapiLine:
        while True:
            for answer in take_answers(line.pending):
                if answer.sequence == command.sequence and answer.name in (_OK, _NK):
                    return answer
            await line.more(self._settings.timeout_s)

    async def _open(self) -> SerialLine:
        if self._closed:
            raise InstrumentUnavailable("the driver was closed")
        if self._line is None:
            settings = SerialSettings(port=self._settings.port, baudrate=self._settings.baudrate)
            self._line = await SerialLine.open(settings)
            await self._greet()
        return self._line

    async def _greet(self) -> None:
        """A board that was not ours a moment ago may be closed: say at once what holds."""
        try:
            await self._supervise()
            await self._command()
        except InstrumentError:
            await self._drop()
            raise

    async def _drop(self) -> None:
        line, self._line = self._line, None
        if line is not None:
            await line.close()


def take_answers(pending: bytearray) -> list[RapiLine]:
    """Take the whole lines out of `pending`; damaged ones are dropped, as RAPI expects."""
    found = []
    while (end := pending.find(rapi.END)) >= 0:
        line = bytes(pending[: end + 1])
        del pending[: end + 1]
        start = line.rfind(b"$")
        with contextlib.suppress(rapi.RapiError):
            found.append(rapi.decode(line[max(0, start) :]))
    if len(pending) > rapi.MAX_LINE:
        del pending[: -rapi.MAX_LINE]
    return found
