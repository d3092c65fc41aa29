"""A utility's Green Button server on the loopback: tokens, batches, pages, and faults on demand.

Speaks what `utility_adapter` pulls: OAuth 2.0 client credentials, `Batch/Subscription/<id>` with
`max-results` and `start-index`, `next` links, ETag and 304, 202 while it "prepares" an answer.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import h11
from lxml import etree

ROOT = "/DataCustodian/espi/1_1/resource"
TOKEN_PATH = "/oauth/token"  # noqa: S105
_ATOM = "http://www.w3.org/2005/Atom"
_MAX_BODY_BYTES = 1 << 16


@dataclass(slots=True)
class _Feed:
    """A published feed: its entries and its tag."""

    entries: list[bytes]
    etag: str


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class _Asked:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True)
class Faults:
    """What the server does wrong; a count is used up by the answers it spoils.

    Args:
        prepare: How many pages are answered 202 before one is given.
        unavailable: How many requests for a page are answered 503.
        expire: How many requests for a page find their token withdrawn.
        cut_page: Number of the page, from 1, that ends in the middle; 0 for none.
        next_url: Where `next` links lead instead; empty for the truth.
    """

    prepare: int = 0
    unavailable: int = 0
    expire: int = 0
    cut_page: int = 0
    next_url: str = ""


@dataclass(slots=True)
class EspiServer:
    """A server on a free port of the loopback; an asynchronous context manager.

    Args:
        client_id: Who may ask.
        client_secret: Their secret.
        page_entries: Most entries on a page.
        faults: What it does wrong.
    """

    client_id: str = "third-party"
    client_secret: str = "simulated"  # noqa: S105
    page_entries: int = 100
    faults: Faults = field(default_factory=Faults)
    requests: list[str] = field(default_factory=list)
    port: int = 0
    _feeds: dict[str, _Feed] = field(default_factory=dict)
    _tokens: set[str] = field(default_factory=set)
    _server: asyncio.Server | None = None
    _connections: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def url(self) -> str:
        """Scheme, host and port."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def resource_url(self) -> str:
        """Root of the resources."""
        return self.url + ROOT

    @property
    def token_url(self) -> str:
        """Where tokens are given."""
        return self.url + TOKEN_PATH

    def publish(self, subscription_id: str, feed: bytes) -> None:
        """Make a feed the answer to a subscription's batch.

        Args:
            subscription_id: The subscription.
            feed: An Atom feed of ours.
        """
        parser = etree.XMLParser(resolve_entities=False, no_network=True)
        root = etree.fromstring(feed, parser)
        entries = [etree.tostring(entry) for entry in root.iter(f"{{{_ATOM}}}entry")]
        etag = f'"{hashlib.sha256(feed).hexdigest()[:32]}"'
        self._feeds[subscription_id] = _Feed(entries, etag)

    async def __aenter__(self) -> Self:
        """Listen."""
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close, connections included."""
        assert self._server is not None
        self._server.close()
        for task in tuple(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await self._server.wait_closed()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            await _serve(reader, writer, self._answer)
        except (ConnectionError, h11.RemoteProtocolError):
            pass
        finally:
            self._connections.discard(task)
            writer.close()

    def _answer(self, asked: _Asked) -> _Answer:
        self.requests.append(f"{asked.method} {asked.path}")
        if asked.path == TOKEN_PATH:
            return self._token(asked)
        batch = f"{ROOT}/Batch/Subscription/"
        if asked.method != "GET" or not asked.path.startswith(batch):
            return _Answer(404)
        return self._batch(asked, asked.path.removeprefix(batch))

    def _token(self, asked: _Asked) -> _Answer:
        expected = base64.b64encode(f"{self.client_id}:{self.client_secret}".encode()).decode()
        told = asked.headers.get("authorization", "")
        form = parse_qs(asked.body.decode("ascii", errors="replace"))
        if asked.method != "POST" or form.get("grant_type") != ["client_credentials"]:
            return _Answer(400, b'{"error":"unsupported_grant_type"}')
        if not hmac.compare_digest(told, f"Basic {expected}"):
            return _Answer(401, b'{"error":"invalid_client"}')
        token = secrets.token_urlsafe(24)
        self._tokens.add(token)
        answer = {"access_token": token, "token_type": "Bearer", "expires_in": 3600}
        return _Answer(200, json.dumps(answer).encode(), (("Content-Type", "application/json"),))

    def _batch(self, asked: _Asked, subscription_id: str) -> _Answer:
        token = asked.headers.get("authorization", "").removeprefix("Bearer ")
        if self._spoils("expire"):
            self._tokens.discard(token)
        if token not in self._tokens:
            return _Answer(401)
        if self._spoils("unavailable"):
            return _Answer(503, headers=(("Retry-After", "7"),))
        if self._spoils("prepare"):
            return _Answer(202, headers=(("Retry-After", "3"),))
        feed = self._feeds.get(subscription_id)
        if feed is None:
            return _Answer(404)
        if asked.headers.get("if-none-match") == feed.etag:
            return _Answer(304, headers=(("ETag", feed.etag),))
        body = self._page(asked, feed)
        return _Answer(200, body, (("Content-Type", "application/atom+xml"), ("ETag", feed.etag)))

    def _spoils(self, fault: str) -> bool:
        left: int = getattr(self.faults, fault)
        setattr(self.faults, fault, max(0, left - 1))
        return left > 0

    def _page(self, asked: _Asked, feed: _Feed) -> bytes:
        start = int(asked.query.get("start-index", "1"))
        count = min(int(asked.query.get("max-results", self.page_entries)), self.page_entries)
        entries = feed.entries[start - 1 : start - 1 + count]
        links = ""
        if start - 1 + count < len(feed.entries):
            query = f"?max-results={count}&amp;start-index={start + count}"
            links = f'<link rel="next" href="{self.faults.next_url or asked.path + query}"/>'
        head = f'<?xml version="1.0" encoding="UTF-8"?>\n<feed xmlns="{_ATOM}">{links}'
        page = head.encode() + b"\n".join(entries) + b"</feed>"
        cut = self.faults.cut_page == (start - 1) // count + 1
        return page[: len(page) // 2] if cut else page


async def _serve(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    answer: Callable[[_Asked], _Answer],
) -> None:
    """One connection, request after request, until the client has enough."""
    connection = h11.Connection(h11.SERVER)
    while True:
        asked = await _receive(connection, reader)
        if asked is None:
            return
        writer.write(_sent(connection, answer(asked)))
        await writer.drain()
        if connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
            return
        connection.start_next_cycle()


async def _receive(connection: h11.Connection, reader: asyncio.StreamReader) -> _Asked | None:
    request: h11.Request | None = None
    body = bytearray()
    while True:
        event: Any = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(1 << 16))
        elif isinstance(event, h11.Request):
            request = event
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > _MAX_BODY_BYTES:
                return None
        elif isinstance(event, h11.EndOfMessage) and request is not None:
            return _asked(request, bytes(body))
        else:
            return None


def _asked(request: h11.Request, body: bytes) -> _Asked:
    target = urlsplit(request.target.decode("ascii"))
    query = {name: values[0] for name, values in parse_qs(target.query).items()}
    headers = {
        name.decode("ascii").lower(): value.decode("latin-1") for name, value in request.headers
    }
    return _Asked(request.method.decode("ascii"), target.path, query, headers, body)


def _sent(connection: h11.Connection, answer: _Answer) -> bytes:
    headers = [*answer.headers, ("Content-Length", str(len(answer.body)))]
    parts = [
        connection.send(h11.Response(status_code=answer.status, headers=headers)),
        connection.send(h11.Data(data=answer.body)) if answer.body else b"",
        connection.send(h11.EndOfMessage()),
    ]
    return b"".join(part or b"" for part in parts)
