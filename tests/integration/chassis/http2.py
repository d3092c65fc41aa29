"""A peer that speaks HTTP/2 frames over TLS and may break every rule (RFC 9113)."""

from __future__ import annotations

import socket
import ssl
import struct
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from gridcord.chassis.credentials import TlsFiles

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = (
    0, 1, 3, 4, 6, 7, 8, 9,
)  # fmt: skip
END_STREAM, ACK, END_HEADERS = 0x1, 0x1, 0x4

MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_HEADER_LIST_SIZE = 3, 4, 6

CANCEL, ENHANCE_YOUR_CALM = 0x8, 0xB


@dataclass(frozen=True)
class Frame:
    """One frame as it came."""

    kind: int
    flags: int
    stream: int
    payload: bytes

    @property
    def settings(self) -> dict[int, int]:
        """Identifiers and values of a SETTINGS frame."""
        return dict(struct.iter_unpack(">HI", self.payload))

    @property
    def error(self) -> int:
        """Error code of a RST_STREAM or GOAWAY frame."""
        offset = 4 if self.kind == GOAWAY else 0
        return int(struct.unpack_from(">I", self.payload, offset)[0])


def frame(kind: int, payload: bytes = b"", *, flags: int = 0, stream: int = 0) -> bytes:
    """The bytes of a frame."""
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def header_block(path: str, extra: dict[str, str] | None = None) -> bytes:
    """A gRPC request's headers, as HPACK literals that are never indexed (RFC 7541, 6.2.3)."""
    headers = {
        ":method": "POST",
        ":scheme": "https",
        ":path": path,
        ":authority": "localhost",
        "te": "trailers",
        "content-type": "application/grpc",
        **(extra or {}),
    }
    return b"".join(b"\x10" + _text(key) + _text(value) for key, value in headers.items())


def message(content: bytes) -> bytes:
    """A gRPC message: no compression, length, content."""
    return struct.pack(">BI", 0, len(content)) + content


def _text(text: str) -> bytes:
    return _integer(len(text)) + text.encode()


def _integer(value: int) -> bytes:
    """An HPACK integer with a prefix of 7 bits (RFC 7541, 5.1)."""
    if value < 127:
        return bytes([value])
    value -= 127
    out = bytearray([127])
    while value >= 128:
        out.append(value % 128 + 128)
        value //= 128
    return bytes([*out, value])


class RawPeer:
    """A blocking connection; use it in a thread, or while the server's loop must stand still.

    Args:
        address: "host:port".
        files: Client's identity; None for a bare TCP connection.
        answer_pings: Whether to acknowledge the server's pings.
        answer_settings: Whether to acknowledge the server's settings.
    """

    def __init__(
        self,
        address: str,
        files: TlsFiles | None,
        *,
        answer_pings: bool = True,
        answer_settings: bool = True,
    ) -> None:
        host, _, port = address.rpartition(":")
        self._socket: socket.socket = socket.create_connection((host, int(port)), timeout=30)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if files is not None:
            self._socket = _context(files).wrap_socket(self._socket)
        self._buffer = b""
        self._answer_pings = answer_pings
        self._answer_settings = answer_settings
        self.closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._socket.close()

    def certificate(self) -> bytes:
        """The server's certificate, DER."""
        assert isinstance(self._socket, ssl.SSLSocket)
        found = self._socket.getpeercert(binary_form=True)
        assert found is not None
        return found

    def greet(self) -> None:
        """Begin HTTP/2 as a client must."""
        self.send(PREFACE + frame(SETTINGS))

    def send(self, content: bytes) -> None:
        """Send bytes; that a peer hung up shows when its last frames are read."""
        self._socket.settimeout(30)
        with suppress(OSError):
            self._socket.sendall(content)

    def open_stream(self, stream: int, path: str, extra: dict[str, str] | None = None) -> None:
        """Send a request's headers."""
        block = header_block(path, extra)
        self.send(frame(HEADERS, block, flags=END_HEADERS, stream=stream))

    def send_data(self, stream: int, content: bytes) -> None:
        """Send a DATA frame of at most 16 KiB."""
        self.send(frame(DATA, content, stream=stream))

    def frames(self, within_s: float) -> Iterator[Frame]:
        """Frames as they come, until the peer hangs up or `within_s` real seconds are over."""
        end_s = time.monotonic() + within_s
        while not self.closed and (left_s := end_s - time.monotonic()) > 0:
            yield from self._whole_frames()
            self._receive(left_s)
        yield from self._whole_frames()

    def first(self, kind: int, within_s: float = 30, *, flags: int | None = None) -> Frame | None:
        """The next frame of a kind, None when the peer hangs up or is silent."""
        for found in self.frames(within_s):
            if found.kind == kind and flags in (None, found.flags):
                return found
        return None

    def hung_up_after(self, within_s: float) -> float | None:
        """Real seconds until the peer hangs up; None when it does not within `within_s`."""
        begin_s = time.monotonic()
        for _ in self.frames(within_s):
            pass
        return time.monotonic() - begin_s if self.closed else None

    def _receive(self, within_s: float) -> None:
        self._socket.settimeout(within_s)
        try:
            content = self._socket.recv(1 << 16)
        except TimeoutError:
            return
        except OSError:
            content = b""
        self.closed = self.closed or not content
        self._buffer += content

    def _whole_frames(self) -> Iterator[Frame]:
        while len(self._buffer) >= 9:
            length = int.from_bytes(self._buffer[:3], "big")
            if len(self._buffer) < 9 + length:
                return
            kind, flags, stream = struct.unpack_from(">BBI", self._buffer, 3)
            found = Frame(kind, flags, stream & 0x7FFFFFFF, self._buffer[9 : 9 + length])
            self._buffer = self._buffer[9 + length :]
            self._acknowledge(found)
            yield found

    def _acknowledge(self, found: Frame) -> None:
        if found.flags & ACK:
            return
        if found.kind == SETTINGS and self._answer_settings:
            self.send(frame(SETTINGS, flags=ACK))
        elif found.kind == PING and self._answer_pings:
            self.send(frame(PING, found.payload, flags=ACK))


def _context(files: TlsFiles) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(files.roots)
    context.load_cert_chain(files.certificate, files.key)
    context.set_alpn_protocols(["h2"])
    return context
