"""Japan's smart meter on route B: ECHONET Lite over Wi-SUN, read with momonga.

The meter stamps its half-hour registers (EA import, EB export) itself and announces them within
5 minutes; what is not announced is asked for at T + 6 min, and holes are filled from its history
(EC: both directions, 6 hours at a time; E2 and E4: one direction, one day at a time).
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import math
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Any, TypeVar

from momonga import AsyncMomonga

from cable_node.drivers.feed import Feed
from cable_node.drivers.route_b_session import (
    RouteBCredentials,
    RouteBSession,
    RouteBSettings,
)
from cable_node.drivers.route_b_values import (
    FIXED_EXPORT,
    FIXED_IMPORT,
    HALF_HOUR_S,
    HalfHourPairs,
    both_half_hours,
    day_values,
    half_hour,
    local_time,
    midnight_s,
    registers_after,
    watts,
)
from cable_node.drivers.site_identity import site_id
from cable_node.ports import (
    FrameError,
    InstrumentError,
    InstrumentRefused,
    InstrumentUnavailable,
    PowerSample,
    SiteIdentity,
)
from gridcord.chassis.clock import Clock
from gridcord.metering.reading import Registers
from gridcord.units import SiteId

T = TypeVar("T")
_History = dict[int, tuple[int | None, int | None]]  # half hour -> import, export, Wh

_MANUFACTURER, _SERIAL_NUMBER, _DOMAIN_ID, _DATE = 0x8A, 0x8D, 0xC0, 0x98
_DAY_IMPORT, _DAY_EXPORT, _DAY_SETTING = 0xE2, 0xE4, 0xE5
_BACK, _BACK_SETTING = 0xEC, 0xED
_BACK_POINTS = 12  # half hours that one EC holds
_BACK_REACH_S = 86_400  # holes up to here are filled by EC, longer ones by days
_DAY_S = 86_400
_MAX_DAYS = 99


class RouteB:
    """Implements `cable_node.ports.SiteMeter`.

    Values that cannot be read are counted in `damaged` and dropped.

    Args:
        settings: How to reach the meter.
        credentials: Of the site.
        clock: Says when a half hour is overdue.
    """

    def __init__(
        self, settings: RouteBSettings, credentials: RouteBCredentials, clock: Clock
    ) -> None:
        self._settings = settings
        self._credentials = credentials
        self._clock = clock
        self._session: RouteBSession | None = None
        self._being_opened: RouteBSession | None = None
        self._opening = asyncio.Lock()
        self._feed: Feed[Registers] = Feed(self._read)
        self._asked_s = -math.inf
        self._closed = False
        self.damaged = 0

    @property
    def power_interval_s(self) -> float:
        """The radio law leaves no more."""
        return self._settings.request_interval_s

    async def identify(self) -> SiteIdentity:
        """Read the meter's identification number, else its maker and serial number."""
        session = await self._joined()
        wanted = {_DOMAIN_ID, _MANUFACTURER, _SERIAL_NUMBER} & session.readable
        values = await self._ask(lambda s: s.get(wanted))
        found = _site_ids(values)
        if not found:
            raise InstrumentRefused("the meter says no identity")
        return SiteIdentity(
            site_id=found[0],
            aliases=tuple(found[1:]),
            step_wh=session.scale.step_wh,
            measures_export=FIXED_EXPORT in session.readable,
        )

    async def readings(self) -> AsyncGenerator[Registers, None]:
        """The last half hour at once, then each one, once, as soon as the meter tells it."""
        async with contextlib.aclosing(self._feed.listen()) as half_hours:
            async for registers in half_hours:
                yield registers

    async def power(self) -> PowerSample:
        """Ask for the instantaneous power (E7), waiting until that is permitted again."""
        now_s = self._clock.now()
        self._asked_s = max(now_s, self._asked_s + self.power_interval_s)
        await self._clock.sleep(self._asked_s - now_s)
        power_w = watts(await self._momonga(lambda momonga: momonga.get_instantaneous_power()))
        if power_w is None:
            raise InstrumentUnavailable("the meter has no power now")
        return PowerSample(at_s=self._clock.now(), power_w=power_w)

    async def history(self, since_s: float) -> Sequence[Registers]:
        """Half hours that the meter remembers, up to 99 days back."""
        session = await self._joined()
        back = _BACK in session.readable and _BACK_SETTING in session.settable
        days = _DAY_IMPORT in session.readable and _DAY_SETTING in session.settable
        if back and (not days or self._clock.now() - since_s <= _BACK_REACH_S):
            return self._in_order(await self._history_back(since_s), session, since_s)
        if days:
            return self._in_order(await self._history_days(since_s), session, since_s)
        raise InstrumentRefused("the meter has no history")

    async def close(self) -> None:
        """End the session and release the module."""
        self._closed = True
        await self._feed.close()
        sessions = (self._session, self._being_opened)
        self._session = None
        for session in sessions:
            if session is not None:
                await session.close()

    async def _read(self, publish: Callable[[Registers], None]) -> None:
        session = await self._joined()
        pairs = HalfHourPairs(session.scale, measures_export=FIXED_EXPORT in session.readable)
        due_s = -math.inf
        while True:
            if self._clock.now() >= due_s:
                values = await self._last_half_hour(session)
                due_s = self._clock.now() + self._settings.request_interval_s
            else:
                values = await self._ask(lambda s: s.notification())
            if registers := self._newer(pairs, values, session):
                publish(registers)
                due_s = registers.at_s + HALF_HOUR_S + self._settings.poll_after_s

    async def _last_half_hour(self, session: RouteBSession) -> dict[int, Any]:
        wanted = {FIXED_IMPORT, FIXED_EXPORT} & session.readable
        try:
            return await self._ask(lambda s: s.get(wanted))
        except FrameError:
            self.damaged += 1
            return {}

    def _newer(
        self, pairs: HalfHourPairs, values: dict[int, Any], session: RouteBSession
    ) -> Registers | None:
        found = None
        for code in (FIXED_IMPORT, FIXED_EXPORT):
            if code not in values:
                continue
            try:
                found = pairs.add(code, half_hour(values[code], session.scale)) or found
            except FrameError:
                self.damaged += 1
        return found

    async def _history_back(self, since_s: float) -> _History:
        session = await self._joined()
        found: _History = {}
        from_s = self._clock.now() // HALF_HOUR_S * HALF_HOUR_S
        while from_s >= since_s:
            for entry in await self._page(from_s):
                imported, exported = both_half_hours(entry, session.scale)
                found[imported.at_s] = (imported.wh, exported.wh)
            from_s -= _BACK_POINTS * HALF_HOUR_S
        return found

    async def _page(self, from_s: float) -> Sequence[Any]:
        """Twelve half hours back from an instant; momonga's own default is not Japanese time."""
        at = local_time(from_s)
        return await self._momonga(
            lambda momonga: momonga.get_historical_cumulative_energy_2(at, _BACK_POINTS)
        )

    async def _history_days(self, since_s: float) -> _History:
        today = await self._today()
        found: _History = {}
        for days_back in range(_MAX_DAYS + 1):
            start_s = midnight_s(today) - days_back * _DAY_S
            imports = await self._day(days_back, reverse=False)
            exports = await self._day(days_back, reverse=True)
            for index, pair in enumerate(zip(imports, exports, strict=True)):
                found[start_s + index * HALF_HOUR_S] = pair
            if start_s <= since_s:
                break
        if await self._today() != today:
            raise InstrumentUnavailable("midnight passed while the history was read")
        return found

    async def _day(self, days_back: int, *, reverse: bool) -> list[int | None]:
        session = await self._joined()
        if reverse and _DAY_EXPORT not in session.readable:
            return [None] * (_DAY_S // HALF_HOUR_S)
        entries = await self._momonga(
            lambda momonga: momonga.get_historical_cumulative_energy_1(days_back, reverse)
        )
        return day_values(entries, session.scale)

    async def _today(self) -> dt.date:
        """The meter's day, which its history counts back from."""
        session = await self._joined()
        if _DATE not in session.readable:
            return local_time(self._clock.now()).date()
        return await self._momonga(lambda momonga: momonga.get_current_date_setting())

    def _in_order(self, found: _History, session: RouteBSession, since_s: float) -> list[Registers]:
        measures_export = FIXED_EXPORT in session.readable
        ordered: list[Registers] = []
        for at_s in sorted(found):
            imported, exported = found[at_s]
            if at_s < since_s or imported is None or (exported is None and measures_export):
                continue
            ordered.append(
                registers_after(
                    ordered[-1] if ordered else None,
                    at_s=at_s,
                    import_wh=imported,
                    export_wh=exported if measures_export else None,
                    scale=session.scale,
                )
            )
        return ordered

    async def _momonga(self, ask: Callable[[AsyncMomonga], Awaitable[T]]) -> T:
        return await self._ask(lambda session: session.call(ask))

    async def _ask(self, ask: Callable[[RouteBSession], Awaitable[T]]) -> T:
        """Ask through the session; one that is over is thrown away."""
        session = await self._joined()
        try:
            return await ask(session)
        except InstrumentUnavailable:
            await self._drop(session)
            raise

    async def _joined(self) -> RouteBSession:
        async with self._opening:
            if self._closed:
                raise InstrumentUnavailable("the driver was closed")
            if self._session is None:
                self._session = await self._opened()
            return self._session

    async def _opened(self) -> RouteBSession:
        session = self._being_opened = RouteBSession(self._settings, self._credentials)
        try:
            await session.open()
        finally:
            self._being_opened = None
        if self._closed:
            await session.close()
            raise InstrumentUnavailable("the driver was closed")
        return session

    async def _drop(self, session: RouteBSession) -> None:
        if self._session is session:
            self._session = None
            with contextlib.suppress(InstrumentError):
                await session.close()


def _site_ids(values: dict[int, Any]) -> list[SiteId]:
    """What the meter calls itself, the best first."""
    found = []
    if (domain := values.get(_DOMAIN_ID)) is not None:
        number = domain["manufacturer code"] + domain["authentication id"]
        found.append(site_id("jp.routeb", number.hex()))
    maker, serial_number = values.get(_MANUFACTURER), values.get(_SERIAL_NUMBER)
    if maker is not None and serial_number is not None:
        found.append(site_id("jp.0288", f"{maker.hex()}-{serial_number}"))
    return found
