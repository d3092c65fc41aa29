"""A simulated OpenEVSE board: control pilot, contactor and heartbeat watchdog behind RAPI.

Source: OpenEVSE's public description of RAPI 5.2.1. A board that misses the heartbeat does not
open: it offers no more than its fallback current until the miss is acknowledged.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from gridcord.chassis.clock import Clock
from gridcord.protocols import rapi
from gridcord.protocols.rapi import BoardState, EvseState, RapiLine
from gridcord.simulation.instruments.serial_instrument import SerialInstrument
from gridcord.simulation.instruments.source import PlugSource

MIN_A, MAX_A = 6, 80

_NEVER_MISSED, _MISSED_ACKNOWLEDGED, _MISSED = 0, 1, 2
_OK, _NK = "OK", "NK"


class RapiBoard(SerialInstrument):
    """Answers on a serial port; `closed` and `offered_a` are what the house sees.

    Faults beside those of the line: `fault` puts it into a fault state; `restart` makes it forget
    everything, as after a power cut.

    Args:
        plug: The vehicle's side.
        clock: Runs the watchdog.
        link: A stable name of its port.
        poll_s: Seconds of the clock between looks at the plug.
    """

    def __init__(
        self,
        plug: PlugSource,
        clock: Clock,
        *,
        link: Path | None = None,
        poll_s: float = 0.2,
    ) -> None:
        super().__init__(link)
        self.plug_source = plug
        self.clock = clock
        self.poll_s = poll_s
        self.fault: EvseState | None = None
        self.asleep = False
        self.capacity_a = 32
        self.interval_s = 0
        self.fallback_a = 0
        self.trigger = _NEVER_MISSED
        self._pulse_s = 0.0
        self._told = self.state()
        self._pending = bytearray()
        self._handlers: dict[str, Callable[[tuple[str, ...]], tuple[str, ...]]] = {
            "FE": self._wake,
            "FS": self._sleep,
            "FD": self._sleep,
            "GS": self._state,
            "GC": self._capacity,
            "GV": lambda _: (_OK, "8.2.3", "5.2.1"),
            "SC": self._set_capacity,
            "SY": self._heartbeat,
            "GY": lambda _: (_OK, *self._watchdog()),
        }

    @property
    def closed(self) -> bool:
        """Current can flow."""
        return self.state() is EvseState.CHARGING

    @property
    def offered_a(self) -> int:
        """Current that the pilot offers, A; 0 when the contactor is open."""
        return self._limit_a() if self.closed else 0

    def restart(self) -> None:
        """Forget everything and announce the boot: a board wakes enabled."""
        self.asleep = False
        self.interval_s = self.fallback_a = 0
        self.trigger = _NEVER_MISSED
        self.line.write(RapiLine(("AB", "00", "8.2.3")).encode())

    def state(self) -> EvseState:
        """The state it would tell."""
        if self.fault is not None:
            return self.fault
        if self.asleep:
            return EvseState.SLEEPING
        return self._pilot()

    async def run(self) -> None:
        """Tell state changes unasked, and let the watchdog run out."""
        while True:
            await self.clock.sleep(self.poll_s)
            self._expire()
            self._announce()

    def received(self, data: bytes) -> None:
        """Answer each whole line; lines with a wrong checksum are not answered."""
        self._pending += data
        while (end := self._pending.find(rapi.END)) >= 0:
            line = bytes(self._pending[: end + 1])
            del self._pending[: end + 1]
            try:
                command = rapi.decode(line)
            except rapi.RapiError:
                continue
            self.line.write(RapiLine(self._execute(command), command.sequence).encode())
            self._announce()

    def _execute(self, command: RapiLine) -> tuple[str, ...]:
        handler = self._handlers.get(command.name)
        if handler is None:
            return (_NK,)
        try:
            return handler(command.parameters)
        except rapi.RapiError:
            return (_NK,)

    def _wake(self, _: tuple[str, ...]) -> tuple[str, ...]:
        self.asleep = False
        return (_OK,)

    def _sleep(self, _: tuple[str, ...]) -> tuple[str, ...]:
        self.asleep = True
        return (_OK,)

    def _state(self, _: tuple[str, ...]) -> tuple[str, ...]:
        state = BoardState(
            state=self.state(), relay_closed=self.closed, connected=self.plug_source.connected()
        )
        return (_OK, *state.encode(self._pilot()))

    def _capacity(self, _: tuple[str, ...]) -> tuple[str, ...]:
        return (_OK, str(MIN_A), str(MAX_A), str(self._limit_a()), str(MAX_A))

    def _set_capacity(self, parameters: tuple[str, ...]) -> tuple[str, ...]:
        if not parameters:
            return (_NK,)
        wanted_a = rapi.decimal(parameters[0])
        self.capacity_a = min(MAX_A, max(MIN_A, wanted_a))
        return (_OK if self.capacity_a == wanted_a else _NK, str(self.capacity_a))

    def _heartbeat(self, parameters: tuple[str, ...]) -> tuple[str, ...]:
        self._expire()
        if len(parameters) == 2:
            self.interval_s, self.fallback_a = map(rapi.decimal, parameters)
            self.trigger = _NEVER_MISSED
        elif len(parameters) == 1:
            if rapi.decimal(parameters[0]) != rapi.WATCHDOG_COOKIE:
                return (_NK, *self._watchdog())
            self.trigger = _MISSED_ACKNOWLEDGED if self.trigger else _NEVER_MISSED
        self._pulse_s = self.clock.now()
        return (_NK if self.trigger == _MISSED else _OK, *self._watchdog())

    def _watchdog(self) -> tuple[str, str, str]:
        return str(self.interval_s), str(self.fallback_a), str(self.trigger)

    def _limit_a(self) -> int:
        self._expire()
        if self.trigger != _MISSED:
            return self.capacity_a
        return min(self.capacity_a, max(MIN_A, self.fallback_a))

    def _expire(self) -> None:
        if self.interval_s and self.clock.now() - self._pulse_s > self.interval_s:
            self.trigger = _MISSED

    def _pilot(self) -> EvseState:
        if not self.plug_source.connected():
            return EvseState.NOT_CONNECTED
        return EvseState.CHARGING if self.plug_source.ready() else EvseState.CONNECTED

    def _announce(self) -> None:
        state = self.state()
        if state is self._told:
            return
        self._told = state
        parameters = BoardState(
            state=state, relay_closed=self.closed, connected=self.plug_source.connected()
        ).encode(self._pilot())
        fields = (parameters[0], parameters[2], str(self.capacity_a), parameters[3])
        self.line.write(RapiLine(("AT", *fields)).encode())
