"""The position: NMEA sentences of a serial GPS receiver, believed only when several agree.

Real receivers claim fixes at 0, 0, keep telling the last position while they have lost it, and
tell dates 1024 weeks ago. So a fix needs status A, a fix quality, a bounded HDOP and neighbours
that agree with it, and the receiver's time is used for pairing sentences only.
"""

from __future__ import annotations

import contextlib
import statistics
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, replace
from typing import Any

from pynmeagps import NMEAReader
from pynmeagps.exceptions import (
    NMEAMessageError,
    NMEAParseError,
    NMEAStreamError,
    NMEATypeError,
)

from cable_node.drivers.feed import Feed
from cable_node.drivers.serial_line import SerialLine, SerialSettings
from cable_node.ports import FrameError, InstrumentUnavailable
from gridcord.chassis.clock import Clock
from gridcord.protocols import nmea
from gridcord.units import Position

# Radius that holds 95 % of the fixes of a receiver with HDOP 1: twice a ranging error of 5 m.
_ACCURACY_M_PER_HDOP = 10.0
_UNREADABLE = (
    NMEAMessageError,
    NMEAParseError,
    NMEAStreamError,
    NMEATypeError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class GpsSettings:
    """How to listen, and what to believe.

    Args:
        port: A stable name of the serial port.
        baudrate: 4800 or 9600 for most receivers.
        max_hdop: Worse dilution is not believed.
        agreeing: So many consecutive fixes must agree before a position is told.
        agree_m: Fixes further apart than this, metres, do not agree.
        window: Most fixes that a position is the median of.
        silence_s: Real seconds without a sentence after which the receiver is gone.
    """

    port: str
    baudrate: int = 9600
    max_hdop: float = 5.0
    agreeing: int = 3
    agree_m: float = 50.0
    window: int = 60
    silence_s: float = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """What one RMC or GGA says.

    Args:
        kind: "RMC" or "GGA".
        time: Time of day by the receiver, as it writes it: pairs sentences.
        valid: Status A, or a fix quality of at least 1.
        place: Latitude and longitude, degrees; None when empty.
        hdop: Of a GGA; None when empty.
    """

    kind: str
    time: str
    valid: bool
    place: tuple[float, float] | None
    hdop: float | None = None


class FixFilter:
    """Makes positions of sentences; pure but for what it remembers.

    Args:
        settings: What to believe.
    """

    def __init__(self, settings: GpsSettings) -> None:
        self._settings = settings
        self._last: Sentence | None = None
        self._fixes: list[tuple[float, float]] = []

    def take(self, sentence: Sentence, *, at_s: float) -> Position | None:
        """Take note of a sentence.

        Args:
            sentence: In the order in which they came.
            at_s: When it came, seconds since 1970 UTC by our clock.

        Returns:
            A position when this sentence completed a fix that enough others agree with.
        """
        before, self._last = self._last, sentence
        if before is None or before.time != sentence.time or before.kind == sentence.kind:
            return None
        fix = self._fix(*sorted((before, sentence), key=lambda s: s.kind))
        if fix is None:
            self._fixes.clear()
            return None
        place, hdop = fix
        return self._agreed(place, hdop, at_s)

    def _fix(self, gga: Sentence, rmc: Sentence) -> tuple[tuple[float, float], float] | None:
        if not (gga.valid and rmc.valid) or gga.place is None or rmc.place is None:
            return None
        if gga.hdop is None or not 0 < gga.hdop <= self._settings.max_hdop:
            return None
        if gga.place == (0.0, 0.0):
            return None
        return gga.place, gga.hdop

    def _agreed(self, place: tuple[float, float], hdop: float, at_s: float) -> Position | None:
        position = Position(*place)
        median = self._median() if self._fixes else position
        if position.distance_m(median) > self._settings.agree_m:
            self._fixes.clear()
        self._fixes = [*self._fixes, place][-self._settings.window :]
        if len(self._fixes) < self._settings.agreeing:
            return None
        return replace(self._median(), accuracy_m=_ACCURACY_M_PER_HDOP * hdop, fix_time_s=at_s)

    def _median(self) -> Position:
        latitudes, longitudes = zip(*self._fixes, strict=True)
        # measured from the first, so that neighbours on both sides of 180 degrees are neighbours
        east = statistics.median(_wrapped(each - longitudes[0]) for each in longitudes)
        return Position(statistics.median(latitudes), _wrapped(longitudes[0] + east))


class NmeaGps:
    """Implements `cable_node.ports.Positioning`.

    Damaged sentences are counted in `damaged` and dropped.

    Args:
        settings: How to listen, and what to believe.
        clock: Stamps the fixes.
    """

    def __init__(self, settings: GpsSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._feed: Feed[Position] = Feed(self._read)
        self.damaged = 0

    async def fixes(self) -> AsyncGenerator[Position, None]:
        """Positions that several fixes agree on."""
        async with contextlib.aclosing(self._feed.listen()) as positions:
            async for position in positions:
                yield position

    async def close(self) -> None:
        """Release the line."""
        await self._feed.close()

    async def _read(self, publish: Callable[[Position], None]) -> None:
        settings = self._settings
        line = await SerialLine.open(SerialSettings(port=settings.port, baudrate=settings.baudrate))
        fixes = FixFilter(settings)
        try:
            while True:
                await line.more(settings.silence_s)
                for sentence in self._sentences(line.pending):
                    position = fixes.take(sentence, at_s=self._clock.now())
                    if position is not None:
                        publish(position)
        except TimeoutError as failure:
            message = f"the receiver said nothing for {settings.silence_s} s"
            raise InstrumentUnavailable(message) from failure
        finally:
            await line.close()

    def _sentences(self, pending: bytearray) -> list[Sentence]:
        found = []
        for raw in nmea.take_sentences(pending):
            try:
                sentence = read_sentence(raw)
            except FrameError:
                self.damaged += 1
                continue
            if sentence is not None:
                found.append(sentence)
        return found


def _wrapped(degrees: float) -> float:
    return (degrees + 180) % 360 - 180


def read_sentence(raw: bytes) -> Sentence | None:
    """Read one sentence; None when it is neither RMC nor GGA.

    Raises:
        FrameError: Wrong checksum, or unreadable.
    """
    try:
        nmea.body_of(raw)
        message = NMEAReader.parse(raw)
        if message is None or message.msgID not in ("RMC", "GGA"):
            return None
        return _sentence(message)
    except _UNREADABLE as failure:
        raise FrameError(f"unreadable sentence: {str(failure)[:80]}") from failure


def _sentence(message: Any) -> Sentence:
    place = None
    if message.lat != "" and message.lon != "":
        position = Position(float(message.lat), float(message.lon))
        place = position.latitude_deg, position.longitude_deg
    if message.msgID == "RMC":
        valid = message.status == "A"
        return Sentence(kind="RMC", time=str(message.time), valid=valid, place=place)
    hdop = None if message.HDOP == "" else float(message.HDOP)
    valid = message.quality not in ("", 0)
    return Sentence(kind="GGA", time=str(message.time), valid=valid, place=place, hdop=hdop)
