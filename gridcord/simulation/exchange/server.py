"""The exchange's sockets: TLS, frames, silence, the stream, and faults on demand."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Sequence
from dataclasses import dataclass

from gridcord.chassis.clock import Clock
from gridcord.protocols.jepx import (
    Frame,
    FrameDecoder,
    FrameError,
    ProtocolError,
    Request,
    Response,
    Status,
    calls,
    encode_response,
    parse_request,
)
from gridcord.protocols.jepx.board import Notice
from gridcord.simulation.exchange.faults import Fault, FaultPlan
from gridcord.simulation.exchange.rules import Exchange

_READ_BYTES = 65536
_NOTICES_AT_ONCE = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Real seconds, because sockets live in real time.

    Args:
        idle_s: A connection without a call for so long is closed (JEPX 901 2.3).
        slow_s: What `Fault.SLOW` waits before it processes.
        heartbeat_s: A stream without news sends an empty notice so often.
        tick_s: How often auctions that are due are looked for.
    """

    idle_s: float = 180.0
    slow_s: float = 1.0
    heartbeat_s: float = 20.0
    tick_s: float = 1.0


class ExchangeServer:
    """Serves an exchange.

    Args:
        exchange: The rules and their state.
        clock: The exchange's time.
        faults: What goes wrong.
        timing: Real seconds.
        max_sockets: Connections at once: five for calls and one for the stream (JEPX 901 1).
    """

    def __init__(
        self,
        *,
        exchange: Exchange,
        clock: Clock,
        faults: FaultPlan | None = None,
        timing: Timing | None = None,
        max_sockets: int = 6,
    ) -> None:
        self.faults = faults or FaultPlan()
        self.calls_seen: list[str] = []
        self._exchange = exchange
        self._clock = clock
        self._timing = timing or Timing()
        self._max_sockets = max_sockets
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def start(self, *, host: str, port: int, tls: ssl.SSLContext) -> int:
        """Listen; returns the port, chosen by the system when `port` is 0."""
        self._server = await asyncio.start_server(self._connected, host, port, ssl=tls)
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def connections(self) -> int:
        """How many sockets are open: all that came through closed ones was processed."""
        return len(self._connections)

    async def stop(self) -> None:
        """Close every socket."""
        if self._server is not None:
            self._server.close()
        tasks = list(self._connections)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def tick_for_ever(self) -> None:
        """Hold auctions when they are due; without it they are held at the next call."""
        while True:
            self._exchange.tick(self._clock.now())
            await asyncio.sleep(self._timing.tick_s)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        if len(self._connections) >= self._max_sockets:
            writer.close()
            return
        self._connections.add(task)
        try:
            await self._serve(reader, writer)
        except (OSError, TimeoutError, asyncio.CancelledError):
            pass  # the peer went, was silent too long, or the server stops
        finally:
            self._connections.discard(task)
            with contextlib.suppress(OSError):
                writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        decoder = FrameDecoder()
        while True:
            data = await asyncio.wait_for(reader.read(_READ_BYTES), self._timing.idle_s)
            if not data:
                return
            try:
                frames = decoder.feed(data)
            except FrameError:
                writer.write(encode_response(Response(status=Status.BAD_FRAME, body={})))
                await writer.drain()
                return
            for frame in frames:
                if not await self._frame(frame, writer):
                    return

    async def _frame(self, frame: Frame, writer: asyncio.StreamWriter) -> bool:
        """Answer a frame; False when the connection is to end."""
        try:
            request = parse_request(frame)
        except ProtocolError:
            writer.write(encode_response(Response(status=Status.BAD_FRAME, body={})))
            await writer.drain()
            return True
        self.calls_seen.append(request.api)
        if request.api == calls.INTRADAY_STREAM:
            return await self._stream(request, writer)
        return await self._call(request, writer)

    async def _call(self, request: Request, writer: asyncio.StreamWriter) -> bool:
        fault = self.faults.next(request.api)
        if fault is Fault.DISCONNECT:
            return False
        if fault is Fault.SLOW:
            await asyncio.sleep(self._timing.slow_s)
        response = self._exchange.answer(request, self._clock.now())
        if fault is Fault.DUPLICATE_CALL:
            self._exchange.answer(request, self._clock.now())
        if fault is Fault.LOSE_ANSWER:
            return False
        if fault is Fault.HANG:
            return True
        if fault is Fault.SERVER_ERROR:
            response = Response(status=Status.SERVER_ERROR, body={})
        answer = encode_response(response)
        writer.write(answer * 2 if fault is Fault.DUPLICATE_ANSWER else answer)
        await writer.drain()
        return True

    async def _stream(self, request: Request, writer: asyncio.StreamWriter) -> bool:
        """Send everything, then every change, until the member goes (ITN1001)."""
        first = self._exchange.answer(
            Request(member=request.member, api=calls.KEEP_ALIVE, body={}), self._clock.now()
        )
        if first.status is not Status.PROCESSED:
            writer.write(encode_response(first))
            await writer.drain()
            return True
        queue: asyncio.Queue[Sequence[Notice]] = asyncio.Queue()
        stop = self._exchange.listen(queue.put_nowait)
        try:
            await self._send(writer, self._exchange.snapshot(self._clock.now()))
            while self.faults.next(calls.INTRADAY_STREAM) is None:
                await self._send(writer, await self._news(queue))
        finally:
            stop()
        return False

    async def _news(self, queue: asyncio.Queue[Sequence[Notice]]) -> Sequence[Notice]:
        try:
            return await asyncio.wait_for(queue.get(), self._timing.heartbeat_s)
        except TimeoutError:
            return ()

    async def _send(self, writer: asyncio.StreamWriter, notices: Sequence[Notice]) -> None:
        for start in range(0, max(1, len(notices)), _NOTICES_AT_ONCE):
            rows = notices[start : start + _NOTICES_AT_ONCE]
            body = calls.answer_json(calls.INTRADAY_STREAM, rows=rows)
            writer.write(encode_response(Response(status=Status.PROCESSED, body=body)))
            await writer.drain()
