"""SKSTACK lines: how a host talks to a Wi-SUN module on a serial port.

Two dialects are in use: BP35C2 (dual stack) has a side in events and frames, BP35A1 (single hop)
has not. Source: ROHM, BP35A1 command reference 1.3.0 and BP35C2 command reference.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum

LINE_END = b"\r\n"
MAX_LINE = 2600  # a frame of 1,232 bytes in hexadecimal, with its addresses
PANA_PORT = 716
SECURE, PLAIN = 1, 0

_SEND = b"SKSENDTO "
_BASE_FIELDS = 9  # of ERXUDP without link quality and side


class SkstackError(ValueError):
    """Bytes are no line of this protocol."""


class Dialect(StrEnum):
    """Which module speaks."""

    BP35A1 = "BP35A1"
    BP35C2 = "BP35C2"

    @property
    def has_side(self) -> bool:
        """Events and frames name one of two radios."""
        return self is Dialect.BP35C2


class Event(IntEnum):
    """Number of an EVENT line."""

    NEIGHBOR_ADVERTISEMENT = 0x02
    BEACON = 0x20
    SENT = 0x21  # with 0 = sent, 1 = failed, 2 = looked for the neighbour first
    SCAN_DONE = 0x22
    JOIN_FAILED = 0x24
    JOINED = 0x25
    PEER_ENDED = 0x26  # the meter ended the session
    ENDED = 0x27
    END_TIMED_OUT = 0x28
    LIFETIME_OVER = 0x29  # the module authenticates again by itself
    AIRTIME_LIMIT = 0x32  # ARIB STD-T108: nothing is sent until AIRTIME_FREE
    AIRTIME_FREE = 0x33


class Failure(StrEnum):
    """Why a command failed."""

    UNSUPPORTED = "ER04"
    ARGUMENTS = "ER05"
    SYNTAX = "ER06"
    NOT_EXECUTED = "ER10"


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What the host asks of the module.

    Args:
        words: Name and arguments.
        payload: Bytes to send, of SKSENDTO only.
    """

    words: tuple[str, ...]
    payload: bytes = b""

    @property
    def name(self) -> str:
        """The first word."""
        return self.words[0]

    @property
    def arguments(self) -> tuple[str, ...]:
        """The other words."""
        return self.words[1:]


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """An ERXUDP line: a frame that came by radio.

    Args:
        source: IPv6 address, eight groups.
        destination: IPv6 address.
        source_port: UDP port.
        destination_port: UDP port.
        mac: Of the sender, 16 hexadecimal digits.
        secure: Encrypted on the air.
        data: The payload.
        side: 0 = route B; None where the dialect has none.
        lqi: Link quality 0 to 255; None where register SA2 does not ask for it.
    """

    source: str
    destination: str
    source_port: int
    destination_port: int
    mac: str
    secure: bool
    data: bytes
    side: int | None = None
    lqi: int | None = None

    def encode(self, *, ascii_data: bool = True) -> bytes:
        """The line, its payload in hexadecimal or as it is (WOPT)."""
        fields = [self.source, self.destination, f"{self.source_port:04X}"]
        fields += [f"{self.destination_port:04X}", self.mac]
        fields += [] if self.lqi is None else [f"{self.lqi:02X}"]
        fields += [str(SECURE if self.secure else PLAIN)]
        fields += [] if self.side is None else [str(self.side)]
        head = f"ERXUDP {' '.join(fields)} {len(self.data):04X} ".encode("ascii")
        body = self.data.hex().upper().encode("ascii") if ascii_data else self.data
        return head + body + LINE_END


def decode_received(line: str, dialect: Dialect) -> Received:
    """Read an ERXUDP line with its payload in hexadecimal.

    Raises:
        SkstackError: Not such a line, or payload and length differ.
    """
    words = line.split()
    fields = _BASE_FIELDS + dialect.has_side
    if not words or words[0] != "ERXUDP" or len(words) - fields not in (0, 1):
        message = f"no ERXUDP of {dialect}: {line[:80]!r}"
        raise SkstackError(message)
    lqi = _hex(words.pop(6), 2) if len(words) > fields else None
    side = _hex(words.pop(7), 1) if dialect.has_side else None
    return Received(
        source=words[1],
        destination=words[2],
        source_port=_hex(words[3], 4),
        destination_port=_hex(words[4], 4),
        mac=words[5],
        lqi=lqi,
        secure=_hex(words[6], 1) == SECURE,
        side=side,
        data=_payload(words[8], _hex(words[7], 4)),
    )


def encode_event(
    number: Event, address: str, dialect: Dialect, parameter: int | None = None
) -> str:
    """An EVENT line without its end."""
    side = " 0" if dialect.has_side else ""
    tail = "" if parameter is None else f" {parameter:02X}"
    return f"EVENT {number:02X} {address}{side}{tail}"


def decode_event(line: str, dialect: Dialect) -> tuple[Event, int | None]:
    """Read an EVENT line: its number and parameter.

    Raises:
        SkstackError: Not such a line, or an unknown number.
    """
    words = line.split()
    least = 3 + dialect.has_side
    if not words or words[0] != "EVENT" or len(words) - least not in (0, 1):
        message = f"no EVENT of {dialect}: {line[:80]!r}"
        raise SkstackError(message)
    try:
        number = Event(_hex(words[1], 2))
    except ValueError as failure:
        message = f"unknown event {words[1][:8]!r}"
        raise SkstackError(message) from failure
    return number, _hex(words[least], 2) if len(words) > least else None


def take_command(pending: bytearray, dialect: Dialect) -> Command | None:
    """Take one command out of what the host has written; None when it is not whole yet.

    SKSENDTO is not ended by a line end but by the number of bytes that it announces.

    Raises:
        SkstackError: A line that cannot be one; it has been taken out.
    """
    while pending and pending[0] in LINE_END:
        del pending[:1]
    if pending.startswith(_SEND):
        return _take_send(pending, dialect)
    end = pending.find(b"\r")
    if end < 0:
        _refuse_endless(pending)
        return None
    line = bytes(pending[:end])
    del pending[: end + 1]
    words = tuple(line.decode("latin-1").split())
    if not words or not line.isascii():
        message = f"no command: {line[:40]!r}"
        raise SkstackError(message)
    return Command(words=words)


def _take_send(pending: bytearray, dialect: Dialect) -> Command | None:
    # SKSENDTO handle address port security [side] length payload
    heads = 6 + dialect.has_side
    parts = bytes(pending[:MAX_LINE]).split(b" ", heads)
    if len(parts) <= heads:
        _refuse_endless(pending)
        return None
    words = tuple(part.decode("latin-1") for part in parts[:heads])
    start = sum(map(len, parts[:heads])) + heads
    try:
        length = _hex(words[-1], 4)
    except SkstackError:
        pending.clear()
        raise
    if len(pending) < start + length:
        return None
    payload = bytes(pending[start : start + length])
    del pending[: start + length]
    return Command(words=words, payload=payload)


def _refuse_endless(pending: bytearray) -> None:
    if len(pending) > MAX_LINE:
        pending.clear()
        message = f"more than {MAX_LINE} bytes without an end"
        raise SkstackError(message)


def _payload(text: str, length: int) -> bytes:
    try:
        data = bytes.fromhex(text)
    except ValueError:
        message = f"payload is not hexadecimal: {text[:40]!r}"
        raise SkstackError(message) from None
    if len(data) != length:
        message = f"{len(data)} bytes of payload, announced {length}"
        raise SkstackError(message)
    return data


def _hex(text: str, digits: int) -> int:
    if not (1 <= len(text) <= digits and all(c in "0123456789ABCDEFabcdef" for c in text)):
        message = f"not {digits} hexadecimal digits: {text[:20]!r}"
        raise SkstackError(message)
    return int(text, 16)
