"""A small HTTP port for machines that watch: `/metrics` and `/healthz`, nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest

_REQUEST_WITHIN_S = 5.0
_MAX_HEAD_BYTES = 8 * 1024
_MAX_CONNECTIONS = 32
_TEXT = "text/plain; charset=utf-8"


class HttpEndpoint:
    """Serves figures and health over plain HTTP, one request a connection.

    It knows no caller and tells no secret; bind it to a loopback or management address.

    Args:
        address: "host:port", port 0 for any.
        healthy: Whether work is welcome; `/healthz` answers 200 or 503 with it.
        registry: Whose figures `/metrics` shows.
    """

    def __init__(
        self, address: str, *, healthy: Callable[[], bool], registry: CollectorRegistry = REGISTRY
    ) -> None:
        self._host, _, self._port = address.rpartition(":")
        self._healthy = healthy
        self._registry = registry
        self._server: asyncio.Server | None = None
        self._open = 0

    @property
    def address(self) -> str:
        """Where it listens, with the real port; empty before `start`."""
        if self._server is None:
            return ""
        return f"{self._host}:{self._server.sockets[0].getsockname()[1]}"

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: The address is taken or not of this machine.
        """
        self._server = await asyncio.start_server(
            self._serve, self._host.strip("[]"), int(self._port), limit=_MAX_HEAD_BYTES
        )

    async def stop(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open += 1
        try:
            if self._open <= _MAX_CONNECTIONS:
                async with asyncio.timeout(_REQUEST_WITHIN_S):
                    head = await reader.readuntil(b"\r\n\r\n")
                    writer.write(self._answer(head.split(b"\r\n", 1)[0]))
                    await writer.drain()
        except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
            pass  # a watcher that does not speak HTTP in time is not answered
        finally:
            self._open -= 1
            writer.close()

    def _answer(self, line: bytes) -> bytes:
        match line.split(b" "):
            case [b"GET", b"/metrics", _]:
                return _response(
                    HTTPStatus.OK, generate_latest(self._registry), CONTENT_TYPE_LATEST
                )
            case [b"GET", b"/healthz", _] if self._healthy():
                return _response(HTTPStatus.OK, b"ok\n")
            case [b"GET", b"/healthz", _]:
                return _response(HTTPStatus.SERVICE_UNAVAILABLE, b"draining\n")
            case [b"GET", _, _]:
                return _response(HTTPStatus.NOT_FOUND, b"/metrics or /healthz\n")
            case _:
                return _response(HTTPStatus.METHOD_NOT_ALLOWED, b"GET only\n")


def _response(status: HTTPStatus, body: bytes, content_type: str = _TEXT) -> bytes:
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\n"
        f"Content-Type: {content_type}\r\n"
        f"Content-Length: {len(body)}\r\n"
        "Connection: close\r\n\r\n"
    )
    return head.encode() + body
