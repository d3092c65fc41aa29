"""One stream to the manager: what is to be written waits here, and nobody waits for it.

A manager that does not read, or a link that swallows everything, blocks `write` for as long as
HTTP/2's flow control likes. That must never hold up the task that ends a lease: whoever sends only
puts a frame in here. What waits is bounded by the window of entries (the manager's, and never more
than `MOST_ENTRIES`), one hello and the latest observation.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import structlog

from gridcord.api.manager.v1 import cable_session_service_pb2 as pb
from gridcord.chassis.failures import failure_of
from gridcord.wire.values import WireError

MOST_ENTRIES = 256
LONGEST_PAUSE_S = 3_600.0
CLOSE_WITHIN_S = 10.0  # real seconds: then a stream that does not end is cut

log = structlog.get_logger()

Frame = Callable[[], Awaitable[pb.ConnectRequest]]

# What grpc.aio raises when a stream that has ended is written to or read from.
_ENDED = (grpc.aio.AioRpcError, grpc.aio.UsageError, asyncio.InvalidStateError)


class ManagerStream:
    """A stream and the tasks that write and read it.

    Args:
        channel: Closed with the stream.
        call: The stream.
        received: Called with each frame.
        ended: Called once, when the stream is over, with what went wrong when a frame could not be
            made, and how long the manager asks to stay away, seconds.
    """

    def __init__(
        self,
        *,
        channel: grpc.aio.Channel,
        call: Any,
        received: Callable[[pb.ConnectResponse], None],
        ended: Callable[[Exception | None, float], None],
    ) -> None:
        self._channel = channel
        self._call = call
        self._received = received
        self._ended = ended
        self._frames: deque[Frame] = deque()
        self._observed: pb.ConnectRequest | None = None
        self._closing = False
        self._broken: Exception | None = None
        self._stay_away_s = 0.0
        self._work = asyncio.Event()
        self._tasks = [asyncio.ensure_future(self._write()), asyncio.ensure_future(self._read())]
        self._cut: asyncio.TimerHandle | None = None

    def send(self, frame: Frame) -> None:
        """Write a frame after those before it; it is made when its turn comes.

        Raises:
            RuntimeError: More wait than a window allows: the caller is broken.
        """
        if len(self._frames) > MOST_ENTRIES + 1:
            message = "more frames wait than the window allows"
            raise RuntimeError(message)
        self._frames.append(frame)
        self._work.set()

    def observe(self, observed: pb.ConnectRequest) -> None:
        """Write this when nothing else waits; a newer one takes the place of an unsent one."""
        self._observed = observed
        self._work.set()

    def close(self) -> None:
        """Write what waits and end the stream; cut it when that takes too long."""
        self._closing = True
        self._work.set()
        self._cut = asyncio.get_running_loop().call_later(CLOSE_WITHIN_S, self.cut)

    def cut(self) -> None:
        """End the stream now."""
        self._call.cancel()

    async def _write(self) -> None:
        try:
            while not (self._closing and not self._frames):
                await self._work.wait()
                await self._write_waiting()
            await self._call.done_writing()
        except _ENDED:
            log.debug("stream.ended_already")  # why is the reader's to tell
        except Exception as error:  # noqa: BLE001  (a frame's maker; told to whoever runs us)
            self._broken = error
            self.cut()

    async def _write_waiting(self) -> None:
        while self._frames:
            await self._call.write(await self._frames.popleft()())
        observed, self._observed = self._observed, None
        if observed is not None and not self._closing:
            await self._call.write(observed)
        if not self._frames and self._observed is None:
            self._work.clear()

    async def _read(self) -> None:
        """Hand frames on until the stream ends; then say so, once."""
        try:
            while (response := await self._call.read()) is not grpc.aio.EOF:
                self._received(response)
            log.info("session.closed", code=(await self._call.code()).name)
        except grpc.aio.AioRpcError as error:
            failure = failure_of(error)
            self._stay_away_s = _seconds(failure.metadata.get("retry_after_s", ""))
            log.info("session.lost", code=failure.code.name, reason=failure.reason)
        except asyncio.CancelledError:
            log.info("session.cancelled")
        except (WireError, grpc.aio.UsageError, asyncio.InvalidStateError) as error:
            log.warning("session.broken", error=str(error))
        finally:
            self._tasks[0].cancel()
            if self._cut is not None:
                self._cut.cancel()
            self._call.cancel()
            self._ended(self._broken, self._stay_away_s)
            await self._channel.close()


def _seconds(text: str) -> float:
    """A pause as the manager asks for it, at most an hour; none when it makes no sense."""
    return min(float(text), LONGEST_PAUSE_S) if text.isascii() and text.isdecimal() else 0.0
