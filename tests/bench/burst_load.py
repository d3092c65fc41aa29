"""Offers entries to a cable session service as fast as it takes them: plain sockets, no gRPC.

Each connection is one cable with a certificate of its own and one stream: it says hello, waits for
the welcome, and when all have it, sends its entries and waits until the last one is confirmed. The
load costs little beside the server, and is the same for whichever server is asked.
"""

from __future__ import annotations

import json
import pickle
import selectors
import socket
import ssl
import struct
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from gridcord.api.manager.v1 import cable_session_service_pb2 as pb

PATH = "/gridcord.api.manager.v1.CableSessionService/Connect"
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _SETTINGS, _PING, _GOAWAY, _WINDOW = 0, 1, 4, 6, 7, 8
_ACK, _END_HEADERS, _END_STREAM = 1, 4, 1
_STREAM = 1
_OUR_WINDOW = 2**30
_FIRST_WINDOW = 65_535


@dataclass(frozen=True, slots=True)
class CableLoad:
    """What one cable offers: serialized messages."""

    certificate: str
    key: str
    roots: str
    hello: bytes
    entries: list[bytes]


class Connection:
    """One cable's connection.

    Args:
        load: What it offers.
        address: Host and port.
        server_name: The server's name in its certificate.
    """

    def __init__(self, load: CableLoad, address: tuple[str, int], server_name: str) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(load.roots)
        context.load_cert_chain(load.certificate, load.key)
        context.set_alpn_protocols(["h2"])
        plain = socket.create_connection(address)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = context.wrap_socket(plain, server_hostname=server_name)
        self.socket.setblocking(False)
        self.welcomed = False
        self.acked = 0
        self._in, self._out, self._message = b"", bytearray(), b""
        self._waiting = list(reversed(load.entries))
        self._stream_window = self._window = _FIRST_WINDOW
        self._out += _PREFACE
        self._out += _frame(_SETTINGS, 0, 0, struct.pack(">HI", 4, _OUR_WINDOW))
        self._out += _frame(_WINDOW, 0, 0, struct.pack(">I", _OUR_WINDOW))
        self._out += _frame(_HEADERS, _END_HEADERS, _STREAM, _request_headers())
        self._send(load.hello)

    def offer(self) -> None:
        """Send as many entries as flow control allows."""
        while self._waiting:
            size = len(self._waiting[-1]) + 5
            if size > min(self._window, self._stream_window):
                break
            self._send(self._waiting.pop())

    def flush(self) -> None:
        """Hand what is to be sent to the system."""
        while self._out:
            try:
                del self._out[: self.socket.send(self._out)]
            except (BlockingIOError, ssl.SSLWantWriteError):
                return

    def receive(self) -> None:
        """Take what has come."""
        try:
            while data := self.socket.recv(1 << 16):
                self._in += data
        except (BlockingIOError, ssl.SSLWantReadError):
            pass
        while len(self._in) >= 9:
            size = int.from_bytes(self._in[:3], "big")
            if len(self._in) < 9 + size:
                return
            kind, flags = self._in[3], self._in[4]
            stream = int.from_bytes(self._in[5:9], "big")
            payload, self._in = self._in[9 : 9 + size], self._in[9 + size :]
            self._take(kind, flags, stream, payload)

    def _take(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == _DATA:
            self._message += payload
            self._read_messages()
        elif kind == _SETTINGS and not flags & _ACK:
            self._out += _frame(_SETTINGS, _ACK, 0)
        elif kind == _PING and not flags & _ACK:
            self._out += _frame(_PING, _ACK, 0, payload)
        elif kind == _WINDOW:
            more = int.from_bytes(payload, "big")
            if stream:
                self._stream_window += more
            else:
                self._window += more
        elif kind == _GOAWAY or (kind == _HEADERS and flags & _END_STREAM):
            message = f"the server ended it: {payload!r}"
            raise ConnectionError(message)

    def _read_messages(self) -> None:
        while len(self._message) >= 5:
            size = int.from_bytes(self._message[1:5], "big")
            if len(self._message) < 5 + size:
                return
            response = pb.ConnectResponse.FromString(self._message[5 : 5 + size])
            self._message = self._message[5 + size :]
            self.welcomed = self.welcomed or response.HasField("welcome")
            self.acked = max(self.acked, response.ack.committed_sequence_number)

    def _send(self, message: bytes) -> None:
        data = b"\0" + struct.pack(">I", len(message)) + message
        self._out += _frame(_DATA, 0, _STREAM, data)
        self._window -= len(data)
        self._stream_window -= len(data)


def _frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    head = struct.pack(">I", len(payload))[1:] + bytes([kind, flags])
    return head + struct.pack(">I", stream) + payload


def _request_headers() -> bytes:
    """HPACK without compression (RFC 7541, 6.2.2): POST, https, path, authority, gRPC's own."""
    fields = [(b":path", PATH.encode()), (b":authority", b"manager"), (b"te", b"trailers")]
    fields.append((b"content-type", b"application/grpc"))
    text = b"".join(b"\0" + _text(name) + _text(value) for name, value in fields)
    return bytes([0x83, 0x87]) + text


def _text(value: bytes) -> bytes:
    size = bytes([len(value)]) if len(value) < 127 else bytes([127, len(value) - 127])
    return size + value


def cpu_s(pid: int) -> float:
    """Processor time of a process so far, all threads, seconds."""
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text("ascii").split()[0]) for task in tasks) / 1e9


def burst(
    loads: list[CableLoad], address: tuple[str, int], server_name: str, pid: int
) -> dict[str, float]:
    """Offer everything; from the first entry to the last confirmation.

    Returns:
        Entries, seconds, and processor time of the server in that time.
    """
    selector = selectors.DefaultSelector()
    connections = [Connection(load, address, server_name) for load in loads]
    for connection in connections:
        selector.register(connection.socket, selectors.EVENT_READ, connection)
        connection.flush()

    def turn() -> None:
        ready = selector.select(30.0)
        assert ready, "nothing comes any more"
        for key, _ in ready:
            key.data.receive()

    while not all(connection.welcomed for connection in connections):
        turn()
    wanted = [len(load.entries) for load in loads]
    entries, used_s, began_s = sum(wanted), cpu_s(pid), time.perf_counter()
    left = dict(zip(connections, wanted, strict=True))
    while left:
        for connection in list(left):
            connection.offer()
            connection.flush()
            if connection.acked >= left[connection]:
                del left[connection]
        if left:
            turn()
    seconds = time.perf_counter() - began_s
    return {"entries": entries, "seconds": seconds, "server_s": cpu_s(pid) - used_s}


def main() -> None:
    """`burst_load.py LOADS HOST PORT SERVER_NAME PID`: print the figures as JSON."""
    file, host, port, server_name, pid = sys.argv[1:]
    loads: list[CableLoad] = pickle.loads(Path(file).read_bytes())  # our own file
    print(json.dumps(burst(loads, (host, int(port)), server_name, int(pid))), flush=True)


if __name__ == "__main__":
    main()
