"""NMEA 0183 sentences of a GPS receiver: writing them, and cutting them out of a byte stream.

Reading a sentence's fields is `pynmeagps`'s work. Source: NMEA 0183 4.11, sentences RMC, GGA, GSA.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import reduce
from operator import xor

from gridcord.units import Position

MAX_SENTENCE = 120  # bytes; 82 by the standard, receivers write longer ones


class NmeaError(ValueError):
    """Bytes are no sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fix:
    """What a receiver says at one instant.

    Args:
        at_s: Seconds since 1970 UTC by the receiver.
        position: Where; None when it does not say.
        valid: It has a fix. A receiver that has lost it may go on telling the last position.
        hdop: Horizontal dilution of precision.
        satellites: Used in the fix.
    """

    at_s: float
    position: Position | None
    valid: bool = True
    hdop: float = 0.9
    satellites: int = 9

    @property
    def is_fix(self) -> bool:
        """It claims to know where it is."""
        return self.valid and self.position is not None


def sentence(body: str) -> bytes:
    """A whole sentence: `$`, body, checksum, CR LF."""
    return f"${body}*{checksum(body):02X}\r\n".encode("ascii")


def body_of(raw: bytes) -> str:
    """What is between `$` and `*` of a whole sentence.

    Raises:
        NmeaError: No such marks, or another checksum.
    """
    text = raw.decode("latin-1").strip("\r\n")
    body, star, digits = text[1:].rpartition("*")
    if not (text.startswith("$") and star and digits.upper() == f"{checksum(body):02X}"):
        message = f"no sentence: {text[:40]!r}"
        raise NmeaError(message)
    return body


def checksum(body: str) -> int:
    """XOR of all characters between `$` and `*`."""
    return reduce(xor, body.encode("latin-1"), 0)


def encode(fix: Fix) -> bytes:
    """GGA, GSA and RMC of one instant, in the order receivers send them."""
    return b"".join(map(sentence, (_gga(fix), _gsa(fix), _rmc(fix))))


def take_sentences(pending: bytearray) -> list[bytes]:
    """Take the whole lines out of `pending`, in order; what is left begins a line.

    Lines that are no sentence are dropped, and a line that does not end is cut off at
    `MAX_SENTENCE`: noise on the wire must not fill memory.
    """
    found = []
    while (end := pending.find(b"\n")) >= 0:
        line = bytes(pending[: end + 1])
        del pending[: end + 1]
        start = line.rfind(b"$")
        if start >= 0 and len(line) - start <= MAX_SENTENCE:
            found.append(line[start:])
    if len(pending) > MAX_SENTENCE:
        del pending[:-MAX_SENTENCE]
    return found


def _rmc(fix: Fix) -> str:
    at = datetime.fromtimestamp(fix.at_s, UTC)
    status, mode = ("A", "A") if fix.is_fix else ("V", "N")
    return f"GPRMC,{_time(at)},{status},{_place(fix.position)},0.02,,{at:%d%m%y},,,{mode}"


def _gga(fix: Fix) -> str:
    at = datetime.fromtimestamp(fix.at_s, UTC)
    quality, satellites = (1, fix.satellites) if fix.is_fix else (0, 0)
    hdop = "" if fix.position is None else f"{fix.hdop:.2f}"
    height = "," if fix.position is None else "35.0,M"
    return (
        f"GPGGA,{_time(at)},{_place(fix.position)},{quality},{satellites:02d},{hdop},{height},,M,,"
    )


def _gsa(fix: Fix) -> str:
    if not fix.is_fix:
        return "GPGSA,A,1,,,,,,,,,,,,,,,"
    used = ",".join(f"{n:02d}" if n <= fix.satellites else "" for n in range(1, 13))
    return f"GPGSA,A,3,{used},1.60,{fix.hdop:.2f},1.30"


def _time(at: datetime) -> str:
    return f"{at:%H%M%S}.{at.microsecond // 10_000:02d}"


def _place(position: Position | None) -> str:
    if position is None:
        return ",,,"
    latitude = _degrees(position.latitude_deg, 2) + (",N" if position.latitude_deg >= 0 else ",S")
    longitude = _degrees(position.longitude_deg, 3) + (
        ",E" if position.longitude_deg >= 0 else ",W"
    )
    return f"{latitude},{longitude}"


def _degrees(value: float, digits: int) -> str:
    """`ddmm.mmmmm`: whole degrees and minutes, 1e-5 minutes being 2 cm."""
    total = round(abs(value) * 60 * 100_000)
    degrees, minutes = divmod(total, 60 * 100_000)
    return f"{degrees:0{digits}d}{minutes // 100_000:02d}.{minutes % 100_000:05d}"
