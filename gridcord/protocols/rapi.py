"""RAPI, the serial protocol of OpenEVSE boards: lines with checksum and sequence number.

Source: OpenEVSE's public description of RAPI (protocol 5.2.1). A command is
`$cc p p :ss^xk CR`, an answer `$OK p p :ss^xk CR` or `$NK ...`; `xk` is the XOR of all bytes
before `^`, `ss` (01 to FF) comes back in the answer. `$AT` and `$AB` come unasked.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import reduce
from operator import xor

END = b"\r"
MAX_LINE = 64  # bytes; the board's own buffer holds 32
WATCHDOG_COOKIE = 165  # acknowledges a missed heartbeat

_START = "$"
_CHARGING_ON = 0x0040  # vflags: the relay is closed
_CONNECTED = 0x0100  # vflags: a vehicle is at the plug


class RapiError(ValueError):
    """Bytes are not a RAPI line, or not the one that was expected."""


class EvseState(IntEnum):
    """State of the board, as `$GS` and `$AT` tell it."""

    UNKNOWN = 0x00
    NOT_CONNECTED = 0x01
    CONNECTED = 0x02
    CHARGING = 0x03
    VENT_REQUIRED = 0x04
    DIODE_CHECK_FAILED = 0x05
    GFCI_FAULT = 0x06
    NO_GROUND = 0x07
    STUCK_RELAY = 0x08
    GFI_TEST_FAILED = 0x09
    OVER_TEMPERATURE = 0x0A
    OVER_CURRENT = 0x0B
    RELAY_CLOSURE_FAULT = 0x0E
    SLEEPING = 0xFE
    DISABLED = 0xFF

    @property
    def is_fault(self) -> bool:
        """The board refuses to close."""
        return EvseState.VENT_REQUIRED <= self <= EvseState.RELAY_CLOSURE_FAULT


@dataclass(frozen=True, slots=True)
class RapiLine:
    """One line: a command, an answer, or a notification.

    Args:
        words: The command, `OK`, `NK` or the notification, then its parameters; printable, no
            blanks within a word.
        sequence: 1 to 255, or None.
    """

    words: tuple[str, ...]
    sequence: int | None = None

    @property
    def name(self) -> str:
        """The first word."""
        return self.words[0]

    @property
    def parameters(self) -> tuple[str, ...]:
        """The other words."""
        return self.words[1:]

    def encode(self) -> bytes:
        """The line with checksum and carriage return."""
        text = _START + " ".join(self.words)
        if self.sequence is not None:
            text += f" :{self.sequence:02X}"
        return f"{text}^{_checksum(text):02X}".encode("ascii") + END


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardState:
    """What `$GS` answers.

    Args:
        state: State of the board.
        relay_closed: Current can flow.
        connected: A vehicle is at the plug.
        elapsed_s: Charging time of this session, seconds.
    """

    state: EvseState
    relay_closed: bool
    connected: bool
    elapsed_s: int = 0

    def encode(self, pilot: EvseState) -> tuple[str, ...]:
        """Parameters of the answer: state, elapsed, pilot state, flags."""
        flags = _CHARGING_ON * self.relay_closed | _CONNECTED * self.connected
        return (f"{self.state:02x}", str(self.elapsed_s), f"{pilot:02x}", f"{flags:04x}")


def decode(line: bytes) -> RapiLine:
    """Read one line, with or without its carriage return.

    Raises:
        RapiError: No start, checksum missing or wrong, no words, not printable.
    """
    text, checksum = _split(line)
    if _checksum(text) != checksum:
        message = f"checksum of {text[:40]!r} is not {checksum:02X}"
        raise RapiError(message)
    words = text[len(_START) :].split()
    sequence = None
    if words and words[-1].startswith(":"):
        sequence = _hex(words.pop()[1:])
    if not words or sequence == 0:
        message = f"no words in {text[:40]!r}"
        raise RapiError(message)
    return RapiLine(tuple(words), sequence)


def decode_state(parameters: tuple[str, ...]) -> BoardState:
    """Read the parameters of the answer to `$GS`.

    Raises:
        RapiError: Not four fields, or a state that does not exist.
    """
    if len(parameters) < 4:
        message = f"a state has four fields, not {parameters!r}"
        raise RapiError(message)
    flags = _hex(parameters[3])
    return BoardState(
        state=_state(parameters[0]),
        elapsed_s=decimal(parameters[1]),
        relay_closed=bool(flags & _CHARGING_ON),
        connected=bool(flags & _CONNECTED),
    )


def decimal(text: str) -> int:
    """Read a decimal parameter, >= 0.

    Raises:
        RapiError: It is none.
    """
    if not (text.isascii() and text.isdecimal() and len(text) <= 10):
        message = f"not a number: {text[:20]!r}"
        raise RapiError(message)
    return int(text)


def _state(text: str) -> EvseState:
    try:
        return EvseState(_hex(text))
    except ValueError as failure:
        message = f"no such state: {text[:20]!r}"
        raise RapiError(message) from failure


def _hex(text: str) -> int:
    if not (1 <= len(text) <= 4 and all(c in "0123456789abcdefABCDEF" for c in text)):
        message = f"not hexadecimal: {text[:20]!r}"
        raise RapiError(message)
    return int(text, 16)


def _split(line: bytes) -> tuple[str, int]:
    text = line.removesuffix(END).decode("latin-1")
    body, caret, checksum = text.rpartition("^")
    if not (body.startswith(_START) and caret and len(text) <= MAX_LINE):
        message = f"no RAPI line: {text[:40]!r}"
        raise RapiError(message)
    if len(checksum) != 2 or not (body.isascii() and body.isprintable()):
        message = f"damaged RAPI line: {text[:40]!r}"
        raise RapiError(message)
    return body, _hex(checksum)


def _checksum(text: str) -> int:
    return reduce(xor, text.encode("ascii"), 0)
