"""Sockets of a member: a pool of TLS connections, one call at a time on each.

An answer carries nothing that says which call it answers. So after anything unexpected, a
time-out, a byte too many, a broken frame, the connection is closed and never used again.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from gridcord.chassis.clock import Clock
from gridcord.protocols.jepx import (
    Frame,
    FrameDecoder,
    ProtocolError,
    Request,
    Response,
    Status,
    calls,
    encode_request,
    parse_response,
)
from market_adapter.ports import VenueUnavailable

_READ_BYTES = 65536
MAX_CALL_SOCKETS = 5  # JEPX 901 1; one more is for the stream
SERVER_IDLE_S = 180.0  # JEPX 901 2.3


class NotSent(VenueUnavailable):
    """The call certainly did not reach the exchange."""


class AnswerLost(VenueUnavailable):
    """The call may or may not have been processed."""


class NotEntitled(VenueUnavailable):
    """The exchange does not know the member, or not for this call (STATUS=11)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where the exchange is and who calls.

    Args:
        host: Name or address.
        port: TCP port.
        tls: Context that trusts the exchange's root certificate.
        member: Member id, four letters or digits.
        timeout_s: Longest wait for a connection or an answer, real seconds.
        keep_alive_s: A connection idle for so long is kept alive by SYS1001.
    """

    host: str
    port: int
    tls: ssl.SSLContext
    member: str
    timeout_s: float = 30.0
    keep_alive_s: float = 120.0


class Connection:
    """One TLS connection.

    Args:
        reader: Its bytes in.
        writer: Its bytes out.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._decoder = FrameDecoder()
        self.used_s = 0.0

    @classmethod
    async def open(cls, endpoint: Endpoint) -> Connection:
        """Connect.

        Raises:
            NotSent: The exchange cannot be reached.
        """
        try:
            async with asyncio.timeout(endpoint.timeout_s):
                return cls(
                    *await asyncio.open_connection(endpoint.host, endpoint.port, ssl=endpoint.tls)
                )
        except (OSError, TimeoutError) as error:
            message = f"no connection to {endpoint.host}:{endpoint.port}: {error!r}"
            raise NotSent(message) from error

    @property
    def is_usable(self) -> bool:
        """The peer has neither closed it nor sent what nobody asked for."""
        return not self._reader.at_eof() and not self._writer.is_closing()

    async def call(self, request: Request, *, timeout_s: float) -> Response:
        """Send a call and wait for its answer.

        Raises:
            AnswerLost: No answer, or one that cannot be trusted.
        """
        try:
            async with asyncio.timeout(timeout_s):
                self._writer.write(encode_request(request))
                await self._writer.drain()
                frames = await self.frames()
            if len(frames) != 1 or self._decoder.buffered_bytes:
                message = f"{len(frames)} answers to one call"
                raise AnswerLost(message)
            return parse_response(frames[0])
        except (OSError, TimeoutError, ProtocolError) as error:
            message = f"no answer to {request.api}: {error!r}"
            raise AnswerLost(message) from error

    async def send(self, request: Request) -> None:
        """Send a call without waiting for its answer."""
        self._writer.write(encode_request(request))
        await self._writer.drain()

    async def frames(self) -> list[Frame]:
        """Wait until at least one frame is complete.

        Raises:
            OSError: The connection ended.
            ProtocolError: What came is no frame.
        """
        while True:
            data = await self._reader.read(_READ_BYTES)
            if not data:
                message = "the exchange closed the connection"
                raise ConnectionResetError(message)
            if frames := self._decoder.feed(data):
                return frames

    def close(self) -> None:
        """Close it without waiting for the peer."""
        with contextlib.suppress(OSError, RuntimeError):
            self._writer.close()


class Pool:
    """Up to five connections and the calls that share them.

    Args:
        endpoint: Where the exchange is.
        clock: Times of use; the durations are real.
        size: Connections at most.
    """

    def __init__(self, *, endpoint: Endpoint, clock: Clock, size: int = MAX_CALL_SOCKETS) -> None:
        self._endpoint = endpoint
        self._clock = clock
        self._idle: list[Connection] = []
        self._slots = asyncio.Semaphore(min(size, MAX_CALL_SOCKETS))
        self._keeper: asyncio.Task[None] | None = None

    async def call(self, api: str, call: calls.Call) -> calls.Answer:
        """Make a call once.

        Returns:
            The answer, which may be a refusal ("400").

        Raises:
            NotSent: It certainly was not processed.
            AnswerLost: It may have been.
            NotEntitled: The exchange does not serve this member.
        """
        request = Request(member=self._endpoint.member, api=api, body=call.json())
        async with self._connection() as connection:
            response = await connection.call(request, timeout_s=self._endpoint.timeout_s)
            try:
                return _answer(api, response)
            except ProtocolError as error:
                message = f"the answer to {api} breaks the rules: {error}"
                raise AnswerLost(message) from error

    async def ask(self, api: str, call: calls.Call) -> calls.Answer:
        """Make a call that may be made twice, once more if the answer was lost.

        Raises:
            VenueUnavailable: Neither attempt was answered.
            NotEntitled: The exchange does not serve this member.
        """
        try:
            return await self.call(api, call)
        except AnswerLost:
            return await self.call(api, call)

    async def close(self) -> None:
        """Close every connection."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        for connection in self._idle:
            connection.close()
        self._idle.clear()

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Connection]:
        async with self._slots:
            connection = self._take_idle() or await Connection.open(self._endpoint)
            try:
                yield connection
            except BaseException:
                connection.close()
                raise
            self._give_back(connection)

    def _take_idle(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_usable:
                return connection
            connection.close()
        return None

    def _give_back(self, connection: Connection) -> None:
        connection.used_s = self._clock.monotonic()
        self._idle.append(connection)
        if self._keeper is None:
            self._keeper = asyncio.create_task(self._keep_alive())

    async def _keep_alive(self) -> None:
        """Use every connection before the exchange closes it for silence."""
        while True:
            await asyncio.sleep(self._endpoint.keep_alive_s / 4)
            oldest_s = self._clock.monotonic() - self._endpoint.keep_alive_s
            for _ in [c for c in self._idle if c.used_s <= oldest_s]:
                # Oldest first, so that one is not kept alive while another falls asleep.
                self._idle.sort(key=lambda c: -c.used_s)
                with contextlib.suppress(VenueUnavailable):
                    await self.call(calls.KEEP_ALIVE, calls.Nothing())


def _answer(api: str, response: Response) -> calls.Answer:
    match response.status:
        case Status.PROCESSED:
            answer = calls.parse_answer(api, response.body)
        case Status.NOT_ENTITLED:
            message = f"the exchange does not take {api} from this member"
            raise NotEntitled(message)
        case Status.BAD_FRAME:
            message = f"the exchange did not understand the frame of {api}"
            raise NotSent(message)
        case _:
            message = f"the exchange failed at {api}: {response.status}"
            raise AnswerLost(message)
    if answer.status not in {"200", "400"}:
        message = f"the exchange failed at {api}: status {answer.status}"
        raise AnswerLost(message)
    return answer
