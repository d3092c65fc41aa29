"""One route-B session: a Wi-SUN module, the PANA session through it, momonga in its threads.

Every failure comes out as an `InstrumentError`. A session does not repair itself: when it fails
with `InstrumentUnavailable` it is closed and another one is opened.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from momonga import (
    AsyncMomonga,
    EchonetPropertyCode,
    MomongaError,
    MomongaResponseNotExpected,
    MomongaResponseNotPossible,
    MomongaRuntimeError,
    MomongaSkCommandExecutionFailure,
    MomongaValueError,
)

from cable_node.drivers.route_b_values import CountScale
from cable_node.ports import FrameError, InstrumentRefused, InstrumentUnavailable

T = TypeVar("T")

_ROUTE_B_ID = re.compile(r"[0-9A-Fa-f]{32}")
_PASSWORD = re.compile(r"[0-9A-Za-z]{12}")
_SETTABLE, _READABLE, _DIGITS = 0x9E, 0x9F, 0xD7


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteBCredentials:
    """What the utility gave the site's owner; it belongs to the site, not to the cable.

    Args:
        route_b_id: 32 hexadecimal digits.
        password: 12 letters and digits; never shown.

    Raises:
        ValueError: Not of this form.
    """

    route_b_id: str
    password: str = field(repr=False)

    def __post_init__(self) -> None:
        if not _ROUTE_B_ID.fullmatch(self.route_b_id):
            raise ValueError("a route-B id has 32 hexadecimal digits")
        if not _PASSWORD.fullmatch(self.password):
            raise ValueError("a route-B password has 12 letters and digits")

    @classmethod
    def from_mapping(cls, values: Mapping[str, str]) -> RouteBCredentials:
        """Take `route_b_id` and `password` out of what the manager handed over.

        Raises:
            ValueError: One is missing, or not of this form.
        """
        missing = {"route_b_id", "password"} - set(values)
        if missing:
            raise ValueError(f"credentials without {', '.join(sorted(missing))}")
        return cls(route_b_id=values["route_b_id"].upper(), password=values["password"])


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteBSettings:
    """How to reach the meter. Seconds are real ones but where said otherwise.

    Args:
        port: A stable name of the module's serial port.
        baudrate: 115200 for all known modules.
        answer_s: The meter has so long for an answer.
        attempts: Times a request is sent before the session has failed: a session ended by the
            meter shows in no other way.
        airtime_wait_s: How long a request waits when the radio law forbids sending.
        settle_s: Pause between requests while opening.
        scans: Scans before there is no meter; they take 18, 35 and 69 s.
        joins: Attempts to join; up to 40 s each.
        listen_s: A look at the clock so often while waiting for announcements.
        poll_after_s: Ask for a half hour that was not announced so long after it, seconds of the
            given clock; meters announce within 300.
        request_interval_s: Shortest time between powers asked for, seconds of the given clock.
    """

    port: str
    baudrate: int = 115_200
    answer_s: float = 12.0
    attempts: int = 3
    airtime_wait_s: float = 60.0
    settle_s: float = 5.0
    scans: int = 3
    joins: int = 3
    listen_s: float = 1.0
    poll_after_s: float = 360.0
    request_interval_s: float = 30.0


class RouteBSession:
    """Asks one meter.

    Args:
        settings: How to reach it.
        credentials: Of the site.
    """

    def __init__(self, settings: RouteBSettings, credentials: RouteBCredentials) -> None:
        self._settings = settings
        self._momonga = AsyncMomonga(
            credentials.route_b_id,
            credentials.password,
            settings.port,
            settings.baudrate,
            scan_retries=settings.scans,
            join_retries=settings.joins,
        )
        self._momonga.xmit_retries = settings.attempts
        self._momonga.recv_timeout = settings.answer_s
        self._momonga.xmit_timeout = settings.airtime_wait_s
        self._momonga.internal_xmit_interval = settings.settle_s
        self._closing = False
        self.readable: frozenset[int] = frozenset()
        self.settable: frozenset[int] = frozenset()
        self.scale = CountScale(unit_kwh=1)

    async def open(self) -> None:
        """Find the meter, join it, read what it can; takes 1 to 4 minutes on real radio.

        Raises:
            InstrumentError: It could not; the session is closed.
        """
        try:
            await self._join()
            maps = await self.get({_READABLE, _SETTABLE})
            self.readable, self.settable = frozenset(maps[_READABLE]), frozenset(maps[_SETTABLE])
            digits = await self.get({_DIGITS} & self.readable)
        except BaseException:
            await self.close()
            raise
        self.scale = CountScale(
            unit_kwh=self._momonga.energy_unit,
            coefficient=self._momonga.energy_coefficient,
            digits=digits.get(_DIGITS),
        )

    async def _join(self) -> None:
        try:
            await self.call(lambda momonga: momonga.open())
        except TypeError as failure:
            if not self._closing:
                raise
            # pyserial, when its port is closed under a thread that reads
            raise InstrumentUnavailable("closed while being opened") from failure

    async def close(self) -> None:
        """End the session and release the port; also while it is being opened."""
        self._closing = True
        closing = asyncio.ensure_future(self._momonga.__aexit__(None, None, None))
        try:
            await asyncio.shield(closing)
        except asyncio.CancelledError:
            await closing
            raise
        except (MomongaError, OSError):
            return  # it is closed as far as it can be

    async def get(self, codes: set[int] | frozenset[int]) -> dict[int, Any]:
        """Read several properties in one request; at most five, some meters answer no more.

        Raises:
            InstrumentError: As `call`.
        """
        if not codes:
            return {}
        wanted = {EchonetPropertyCode(code) for code in codes}
        values = await self.call(lambda momonga: momonga.request_to_get(wanted))
        return {int(code): value for code, value in values.items()}

    async def notification(self) -> dict[int, Any]:
        """Properties of the next announcement; empty when none comes for `listen_s`.

        Raises:
            InstrumentError: As `call`.
        """
        listen_s = self._settings.listen_s
        found = await self.call(lambda momonga: momonga.get_notification(timeout=listen_s))
        return {} if found is None else {int(c): v for c, v in found["properties"].items()}

    async def call(self, ask: Callable[[AsyncMomonga], Awaitable[T]]) -> T:
        """Ask momonga, and say what went wrong in the words of the ports.

        Raises:
            InstrumentRefused: The meter does not have it, or the module refuses.
            FrameError: The answer could not be read; the session is fine.
            InstrumentUnavailable: The session is over.
        """
        try:
            return await ask(self._momonga)
        except MomongaResponseNotPossible as failure:
            raise InstrumentRefused(f"the meter does not have this: {failure}") from failure
        except (MomongaSkCommandExecutionFailure, MomongaValueError) as failure:
            raise InstrumentRefused(f"the module refuses: {failure}") from failure
        except MomongaResponseNotExpected as failure:
            raise FrameError(str(failure)) from failure
        except (MomongaRuntimeError, MomongaError, OSError) as failure:
            raise InstrumentUnavailable(f"no route-B session: {failure}") from failure
