"""Frames: `SOH header STX body ETX`, the body as long as the header's SIZE says (JEPX 901, 3).

The body is compressed and so holds every byte value: ETX ends nothing, SIZE does. Sent bodies are
gzip (RFC 1952); zlib (RFC 1950) is understood too, because other members' servers send it.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any, NoReturn

SOH, STX, ETX = b"\x01", b"\x02", b"\x03"
MAX_HEADER_BYTES = 128
MAX_BODY_BYTES = 4 * 1024 * 1024  # compressed: hundreds of times a day of bids
MAX_JSON_BYTES = 32 * 1024 * 1024  # unpacked: what a hostile 4 MB could blow up to is cut here

_GZIP_OR_ZLIB = zlib.MAX_WBITS | 32
_ITEM = re.compile(r"([A-Z]{1,16})=([A-Za-z0-9]{1,16})")
_PATTERNS = {
    "MEMBER": re.compile(r"[A-Za-z0-9]{4}"),
    "API": re.compile(r"[A-Z]{3}[0-9]{4}"),
    "STATUS": re.compile(r"[0-9]{2}"),
    "SIZE": re.compile(r"[0-9]{1,8}"),
}

Json = Mapping[str, Any]


class ProtocolError(ValueError):
    """The peer sent what the interface does not allow."""


class FrameError(ProtocolError):
    """Bytes that are no frame. The stream has lost its place: close it."""


class BodyError(ProtocolError):
    """A frame whose body is no compressed JSON object. The stream goes on behind it."""


class Status(StrEnum):
    """What became of a frame (JEPX 901, 3.1.2); errors of the call itself are in the body."""

    PROCESSED = "00"
    BAD_FRAME = "10"
    NOT_ENTITLED = "11"
    SERVER_ERROR = "19"


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """A header and a body, still compressed."""

    header: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A call.

    Args:
        member: Member id, four letters or digits.
        api: Code of the call, such as "DAH1001".
        body: The JSON object.
    """

    member: str
    api: str
    body: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """An answer.

    Args:
        status: What became of the frame; None when the server invented a new one.
        body: The JSON object.
    """

    status: Status | None
    body: Json


class FrameDecoder:
    """Cuts a stream into frames, however the network cut it.

    Args:
        max_body_bytes: Larger bodies are refused before they are received.
    """

    def __init__(self, *, max_body_bytes: int = MAX_BODY_BYTES) -> None:
        self._buffer = bytearray()
        self._max_body_bytes = max_body_bytes

    @property
    def buffered_bytes(self) -> int:
        """Bytes of a frame that is not complete."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[Frame]:
        """Take bytes, return the frames they complete.

        Raises:
            FrameError: These bytes are no frames; nothing after them can be understood.
        """
        self._buffer += data
        frames = []
        while (frame := self._next()) is not None:
            frames.append(frame)
        return frames

    def _next(self) -> Frame | None:
        if not self._buffer:
            return None
        if self._buffer[:1] != SOH:
            _refuse(f"a frame starts with SOH, not {self._buffer[0]:#04x}")
        end = self._buffer.find(STX, 1, MAX_HEADER_BYTES + 2)
        if end < 0:
            if len(self._buffer) > MAX_HEADER_BYTES + 1:
                _refuse(f"no STX within {MAX_HEADER_BYTES} bytes")
            return None
        header = _parse_header(bytes(self._buffer[1:end]))
        return self._body(header, end + 1)

    def _body(self, header: Mapping[str, str], start: int) -> Frame | None:
        size = int(header["SIZE"])
        if size > self._max_body_bytes:
            _refuse(f"a body of {size} bytes is longer than {self._max_body_bytes}")
        if len(self._buffer) <= start + size:
            return None
        if self._buffer[start + size : start + size + 1] != ETX:
            _refuse("no ETX where SIZE says the body ends")
        body = bytes(self._buffer[start : start + size])
        del self._buffer[: start + size + 1]
        return Frame(header=header, body=body)


def encode_request(request: Request) -> bytes:
    """Write a call as one frame.

    Raises:
        FrameError: The member or the call has no such code.
    """
    return _encode({"MEMBER": request.member, "API": request.api}, request.body)


def encode_response(response: Response) -> bytes:
    """Write an answer as one frame."""
    status = response.status or Status.SERVER_ERROR
    return _encode({"STATUS": status.value}, response.body)


def parse_request(frame: Frame) -> Request:
    """Read a call.

    Raises:
        ProtocolError: It is none.
    """
    member, api = (_item(frame, name) for name in ("MEMBER", "API"))
    return Request(member=member, api=api, body=parse_body(frame.body))


def parse_response(frame: Frame) -> Response:
    """Read an answer.

    Raises:
        ProtocolError: It is none.
    """
    code = _item(frame, "STATUS")
    status = Status(code) if code in set(Status) else None
    return Response(status=status, body=parse_body(frame.body))


def parse_body(body: bytes) -> Json:
    """Unpack a body, numbers exact: whole ones `int`, the others `Decimal`.

    Nothing at all counts as an empty object.

    Raises:
        BodyError: No gzip or zlib of a JSON object, or larger than `MAX_JSON_BYTES`.
    """
    if not body:
        return {}
    text = _unpack(body)
    try:
        value = json.loads(text, parse_float=Decimal, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        message = f"the body is no JSON: {error}"
        raise BodyError(message) from None
    if not isinstance(value, dict):
        message = f"the body is no JSON object but {type(value).__name__}"
        raise BodyError(message)
    return value


def _unpack(body: bytes) -> bytes:
    unpacker = zlib.decompressobj(_GZIP_OR_ZLIB)
    try:
        text = unpacker.decompress(body, MAX_JSON_BYTES)
    except zlib.error as error:
        message = f"the body is neither gzip nor zlib: {error}"
        raise BodyError(message) from None
    if not unpacker.eof or unpacker.unused_data:
        message = "the compressed body is cut off, too long or followed by something"
        raise BodyError(message)
    return text


def _no_number(name: str) -> NoReturn:
    message = f"{name} is no number"
    raise ValueError(message)


def _encode(items: Mapping[str, str], body: Json) -> bytes:
    packed = gzip.compress(json.dumps(body, ensure_ascii=False).encode(), mtime=0)
    header = ",".join(f"{k}={v}" for k, v in {**items, "SIZE": str(len(packed))}.items()).encode()
    _parse_header(header)
    return SOH + header + STX + packed + ETX


def _parse_header(header: bytes) -> dict[str, str]:
    items: dict[str, str] = {}
    for part in header.decode("ascii", "replace").split(","):
        match = _ITEM.fullmatch(part)
        if not match or match[1] in items:
            _refuse(f"no header: {header[:MAX_HEADER_BYTES]!r}")
        items[match[1]] = match[2]
    if "SIZE" not in items or any(
        not pattern.fullmatch(items[name]) for name, pattern in _PATTERNS.items() if name in items
    ):
        _refuse(f"no header: {header[:MAX_HEADER_BYTES]!r}")
    return items


def _item(frame: Frame, name: str) -> str:
    if name not in frame.header:
        _refuse(f"the header names no {name}")
    return frame.header[name]


def _refuse(message: str) -> NoReturn:
    raise FrameError(message)
