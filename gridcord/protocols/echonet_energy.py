"""How ECHONET Lite codes energy, power and time in the properties of meters.

Source: APPENDIX Detailed Requirements for ECHONET Device Objects, classes 0x0288 (low-voltage
smart electric energy meter) and 0x0287 (power distribution board metering).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from gridcord.protocols.echonet import EchonetError

SMART_METER = b"\x02\x88\x01"
DISTRIBUTION_BOARD = b"\x02\x87\x01"
CONTROLLER = b"\x05\xff\x01"
NODE_PROFILE = b"\x0e\xf0\x01"

NO_ENERGY = 0xFFFF_FFFE  # a cumulative value that is missing
NO_POWER = 0x7FFF_FFFE
MAX_COUNT = 99_999_999  # after it the registers begin again at 0

# E1 of 0288, C2 of 0287: Wh of one count.
UNITS_WH: dict[int, Fraction] = {
    0x00: Fraction(1000),
    0x01: Fraction(100),
    0x02: Fraction(10),
    0x03: Fraction(1),
    0x04: Fraction(1, 10),
    0x0A: Fraction(10_000),
    0x0B: Fraction(100_000),
    0x0C: Fraction(1_000_000),
    0x0D: Fraction(10_000_000),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalTime:
    """Date and time on the meter's own wall clock; it says no zone."""

    year: int
    month: int
    day: int
    hour: int
    minute: int
    second: int = 0

    def encode(self) -> bytes:
        """Seven bytes, as in EA and EB."""
        return struct.pack(
            ">HBBBBB", self.year, self.month, self.day, self.hour, self.minute, self.second
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedTime:
    """A register at a half hour (EA, EB).

    Args:
        time: The half hour.
        count: Counts of the register; None when the meter has none.
    """

    time: LocalTime
    count: int | None

    def encode(self) -> bytes:
        """Eleven bytes."""
        return self.time.encode() + encode_count(self.count)


def encode_count(count: int | None) -> bytes:
    """A cumulative value: four bytes, beginning again at 0 after 99,999,999."""
    return struct.pack(">I", NO_ENERGY if count is None else count % (MAX_COUNT + 1))


def decode_count(data: bytes) -> int | None:
    """Read a cumulative value; None when the meter has none.

    Raises:
        EchonetError: Not four bytes, or beyond the range.
    """
    value = _exactly(data, 4, "a cumulative value")
    if value == NO_ENERGY:
        return None
    if value > MAX_COUNT:
        message = f"a register does not count to {value}"
        raise EchonetError(message)
    return value


def decode_unit_wh(data: bytes) -> Fraction:
    """Read E1 or C2: watt-hours of one count.

    Raises:
        EchonetError: Not one byte, or a code that is not defined.
    """
    code = _exactly(data, 1, "a unit")
    if code not in UNITS_WH:
        message = f"unit {code:02X} is not defined"
        raise EchonetError(message)
    return UNITS_WH[code]


def encode_power(power_w: int | None) -> bytes:
    """Instantaneous power (E7, C6): W, + = from the grid; four bytes."""
    return struct.pack(">i", NO_POWER if power_w is None else power_w)


def decode_power(data: bytes) -> int | None:
    """Read an instantaneous power; None when the meter has none.

    Raises:
        EchonetError: Not four bytes.
    """
    _exactly(data, 4, "a power")
    value = int.from_bytes(data, "big", signed=True)
    return None if value == NO_POWER else value


def decode_fixed_time(data: bytes) -> FixedTime:
    """Read EA or EB.

    Raises:
        EchonetError: Not eleven bytes, no such date, or beyond the range.
    """
    _exactly(data, 11, "a value at a fixed time")
    year, month, day, hour, minute, second = struct.unpack(">HBBBBB", data[:7])
    if not (1 <= month <= 12 and 1 <= day <= 31 and hour < 24 and minute < 60 and second < 60):
        message = f"no such time: {data[:7].hex()}"
        raise EchonetError(message)
    time = LocalTime(year=year, month=month, day=day, hour=hour, minute=minute, second=second)
    return FixedTime(time=time, count=decode_count(data[7:]))


def encode_channels(first: int, counts: Sequence[int | None]) -> bytes:
    """B3 of 0287: first channel, number of channels, the register of each."""
    return bytes((first, len(counts))) + b"".join(map(encode_count, counts))


def decode_channels(data: bytes) -> dict[int, int | None]:
    """Read B3 of 0287: counts by channel, None where the channel has none.

    Raises:
        EchonetError: Not the length that its number of channels asks for.
    """
    if len(data) < 2 or len(data) != 2 + 4 * data[1]:
        message = f"no channel list: {data[:16].hex()}"
        raise EchonetError(message)
    parts = (data[at : at + 4] for at in range(2, len(data), 4))
    return {data[0] + index: decode_count(part) for index, part in enumerate(parts)}


def _exactly(data: bytes, length: int, what: str) -> int:
    if len(data) != length:
        message = f"{what} has {length} bytes, not {len(data)}"
        raise EchonetError(message)
    return int.from_bytes(data, "big")
