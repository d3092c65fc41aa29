"""The smart meter's P1 port: telegrams that the meter sends by itself, read with dsmr-parser."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from dsmr_parser import telegram_specifications as specifications
from dsmr_parser.clients.telegram_buffer import TelegramBuffer
from dsmr_parser.exceptions import ParseError
from dsmr_parser.parsers import TelegramParser

from cable_node.drivers.feed import Feed
from cable_node.drivers.serial_line import SerialLine, SerialSettings
from cable_node.drivers.site_identity import site_id
from cable_node.ports import (
    FrameError,
    InstrumentRefused,
    InstrumentUnavailable,
    PowerSample,
    SiteIdentity,
)
from gridcord.metering.reading import Registers

_MAX_TELEGRAM = 16_384  # characters; the longest known ones have about 3,000
# What dsmr-parser lets through when a line with a right checksum makes no sense.
_UNREADABLE = (ParseError, ValueError, TypeError, LookupError, ArithmeticError, AttributeError)

_IMPORTS = tuple(f"ELECTRICITY_USED_TARIFF_{n}" for n in range(1, 5))
_EXPORTS = tuple(f"ELECTRICITY_DELIVERED_TARIFF_{n}" for n in range(1, 5))
_IMPORT_TOTAL, _EXPORT_TOTAL = "ELECTRICITY_IMPORTED_TOTAL", "ELECTRICITY_EXPORTED_TOTAL"
_POWER_IN, _POWER_OUT = "CURRENT_ELECTRICITY_USAGE", "CURRENT_ELECTRICITY_DELIVERY"
_IDENTIFIERS = (
    "EQUIPMENT_IDENTIFIER",  # 0-0:96.1.1
    "BELGIUM_EQUIPMENT_IDENTIFIER",  # the same under another name
    "EQUIPMENT_SERIAL_NUMBER",  # 0-0:96.1.0, where Hungarian meters have it
)


@dataclass(frozen=True, slots=True, kw_only=True)
class P1Variant:
    """One country's or one release's telegrams.

    Args:
        parser: Reads them.
        baudrate: Of the port.
        framing: Of the port.
        interval_s: Seconds between telegrams.
    """

    parser: TelegramParser
    baudrate: int = 115_200
    framing: str = "8N1"
    interval_s: float = 1.0


VARIANTS: dict[str, P1Variant] = {
    "4": P1Variant(parser=TelegramParser(specifications.V4), framing="7E1", interval_s=10.0),
    "5": P1Variant(parser=TelegramParser(specifications.V5)),
    "5B": P1Variant(parser=TelegramParser(specifications.BELGIUM_FLUVIUS)),
    "5S": P1Variant(parser=TelegramParser(specifications.SWEDEN), interval_s=10.0),
    "5EONHU": P1Variant(parser=TelegramParser(specifications.EON_HUNGARY), interval_s=10.0),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class P1Settings:
    """How to listen to the meter.

    Args:
        port: A stable name of the serial port.
        version: A key of `VARIANTS`. Versions before 4 have no checksum and are not taken.
        silence_s: Real seconds without a good telegram after which the meter is gone.
    """

    port: str
    version: str = "5"
    silence_s: float = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteTelegram:
    """What a telegram says.

    Args:
        identifier: OBIS 96.1.1 or 96.1.0; empty when the telegram does not say.
        registers: Registers and power; export None where the telegram has no such register.
    """

    identifier: str
    registers: Registers


class P1Meter:
    """Implements `cable_node.ports.SiteMeter`.

    Damaged telegrams are counted in `damaged` and dropped: long cables make many.

    Args:
        settings: How to listen.

    Raises:
        InstrumentRefused: No such version is known.
    """

    def __init__(self, settings: P1Settings) -> None:
        variant = VARIANTS.get(settings.version)
        if variant is None:
            raise InstrumentRefused(f"no P1 telegrams of version {settings.version!r} are known")
        self._settings = settings
        self._variant = variant
        self._feed: Feed[SiteTelegram] = Feed(self._read)
        self.damaged = 0

    @property
    def power_interval_s(self) -> float:
        """Seconds between telegrams."""
        return self._variant.interval_s

    async def identify(self) -> SiteIdentity:
        """Take the identity from the next telegram."""
        telegram = await self._feed.next()
        if not telegram.identifier:
            raise InstrumentRefused("the meter says no equipment identifier")
        return SiteIdentity(
            site_id=site_id("obis", telegram.identifier),
            step_wh=telegram.registers.step_wh,
            measures_export=telegram.registers.export_wh is not None,
        )

    async def readings(self) -> AsyncGenerator[Registers, None]:
        """Registers of each telegram."""
        async for telegram in self._feed.listen():
            yield telegram.registers

    async def power(self) -> PowerSample:
        """Power of the next telegram."""
        registers = (await self._feed.next()).registers
        if registers.power_w is None:
            raise InstrumentRefused("the meter says no power")
        return PowerSample(at_s=registers.at_s, power_w=registers.power_w)

    async def history(self, since_s: float) -> Sequence[Registers]:
        """A P1 port remembers nothing."""
        return ()

    async def close(self) -> None:
        """Release the line."""
        await self._feed.close()

    async def _read(self, publish: Callable[[SiteTelegram], None]) -> None:
        line = await SerialLine.open(
            SerialSettings(
                port=self._settings.port,
                baudrate=self._variant.baudrate,
                framing=self._variant.framing,
            )
        )
        try:
            await self._telegrams(line, publish)
        except TimeoutError as failure:
            message = f"no good telegram for {self._settings.silence_s} s"
            raise InstrumentUnavailable(message) from failure
        finally:
            await line.close()

    async def _telegrams(self, line: SerialLine, publish: Callable[[SiteTelegram], None]) -> None:
        splitter = TelegramSplitter()
        loop = asyncio.get_running_loop()
        heard_s = loop.time()
        while True:
            await line.more(max(0.0, heard_s + self._settings.silence_s - loop.time()))
            data = bytes(line.pending)
            line.pending.clear()
            for text in splitter.feed(data):
                try:
                    publish(read_telegram(text, self._variant))
                    heard_s = loop.time()
                except FrameError:
                    self.damaged += 1


class TelegramSplitter:
    """Cuts telegrams out of a stream that may begin anywhere, in bounded memory."""

    def __init__(self) -> None:
        self._buffer = TelegramBuffer()
        self._held = 0

    def feed(self, data: bytes) -> list[str]:
        """Telegrams that are whole now."""
        self._buffer.append(data.decode("latin-1"))
        self._held += len(data)
        found: list[str] = list(self._buffer.get_all())
        if found:
            self._held = 0
        elif self._held > _MAX_TELEGRAM:
            self._buffer, self._held = TelegramBuffer(), 0
        return found


def read_telegram(text: str, variant: P1Variant) -> SiteTelegram:
    """Read a whole telegram.

    Raises:
        FrameError: Wrong or missing checksum, no time, no import register, or unreadable.
    """
    try:
        telegram = variant.parser.parse(text)
        return _site_telegram({name: item.value for name, item in telegram if _single(item)})
    except _UNREADABLE as failure:
        raise FrameError(f"unreadable telegram: {str(failure)[:120]}") from failure


def _single(item: object) -> bool:
    return hasattr(item, "value")


def _site_telegram(values: Mapping[str, Any]) -> SiteTelegram:
    at = values.get("P1_MESSAGE_TIMESTAMP")
    imported = _sum_wh(values, _IMPORT_TOTAL, _IMPORTS)
    if not isinstance(at, datetime) or imported is None:
        raise FrameError("a telegram without time or import register")
    power_in, power_out = values.get(_POWER_IN), values.get(_POWER_OUT)
    power_w = None
    if power_in is not None:
        power_w = _watts(power_in) - _watts(power_out or Decimal(0))
    return SiteTelegram(
        identifier=_identifier(values),
        registers=Registers(
            at_s=at.timestamp(),
            import_wh=imported,
            export_wh=_sum_wh(values, _EXPORT_TOTAL, _EXPORTS),
            power_w=power_w,
        ),
    )


def _sum_wh(values: Mapping[str, Any], total: str, tariffs: Sequence[str]) -> int | None:
    """The total register, else the sum of the tariffs'; Wh, None without any."""
    if values.get(total) is not None:
        return _wh(values[total])
    found = [_wh(values[name]) for name in tariffs if values.get(name) is not None]
    return sum(found) if found else None


def _identifier(values: Mapping[str, Any]) -> str:
    for name in _IDENTIFIERS:
        if values.get(name):
            return str(values[name])
    return ""


def _wh(kwh: Decimal) -> int:
    if not 0 <= kwh < 10**9:
        raise FrameError(f"no register shows {kwh} kWh")
    return math.floor(kwh * 1000)


def _watts(kw: Decimal) -> int:
    if not 0 <= kw < 10**6:
        raise FrameError(f"no meter shows {kw} kW")
    return round(kw * 1000)
