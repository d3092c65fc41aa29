"""A serial line for drivers that speak for themselves: bytes in, bytes out, every failure named.

Time-outs here are real seconds: they belong to the wire, not to the simulated day.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import serialx

from cable_node.ports import InstrumentUnavailable

_MAX_PENDING = 65_536  # bytes kept for a reader that does not read; the newest are worth most


@dataclass(frozen=True, slots=True, kw_only=True)
class SerialSettings:
    """Where an instrument is plugged in and how it talks.

    Args:
        port: A stable name such as `/dev/serial/by-id/...`; never `ttyUSB0`, which moves.
        baudrate: Bits a second.
        framing: "8N1" or "7E1": data bits, parity, stop bits.

    Raises:
        ValueError: Another framing.
    """

    port: str
    baudrate: int
    framing: str = "8N1"

    def __post_init__(self) -> None:
        if self.framing not in ("8N1", "7E1"):
            message = f"framing is 8N1 or 7E1, not {self.framing!r}"
            raise ValueError(message)


class SerialLine(asyncio.Protocol):
    """An open line. `pending` holds what has arrived; the reader takes from its front."""

    def __init__(self, port: str) -> None:
        self.pending = bytearray()
        self._port = port
        self._arrived = asyncio.Event()
        self._transport: serialx.BaseSerialTransport | None = None
        self._lost: InstrumentUnavailable | None = None

    @classmethod
    async def open(cls, settings: SerialSettings) -> SerialLine:
        """Open exclusively.

        Raises:
            InstrumentUnavailable: No such port, no permission, or another program has it.
        """
        line = cls(settings.port)
        even = settings.framing == "7E1"
        try:
            line._transport, _ = await serialx.create_serial_connection(
                asyncio.get_running_loop(),
                lambda: line,
                settings.port,
                settings.baudrate,
                parity=serialx.Parity.EVEN if even else serialx.Parity.NONE,
                byte_size=7 if even else 8,
            )
        except (OSError, serialx.SerialException) as failure:
            message = f"cannot open {settings.port}: {failure}"
            raise InstrumentUnavailable(message) from failure
        return line

    def write(self, data: bytes) -> None:
        """Send bytes.

        Raises:
            InstrumentUnavailable: The line is lost or closed.
        """
        if self._lost is not None or self._transport is None:
            raise self._failure()
        try:
            self._transport.write(data)
        except (OSError, serialx.SerialException) as failure:
            raise self._failure() from failure

    async def more(self, timeout_s: float) -> None:
        """Wait until bytes arrive that were not there before.

        Raises:
            TimeoutError: None did, for `timeout_s` real seconds.
            InstrumentUnavailable: The line is lost or closed.
        """
        if self._lost is not None:
            raise self._lost
        self._arrived.clear()
        async with asyncio.timeout(timeout_s):
            await self._arrived.wait()
        if self._lost is not None:
            raise self._lost

    async def quiet(self, gap_s: float, *, limit_s: float) -> None:
        """Throw away what has arrived and arrives, until nothing has for `gap_s` real seconds.

        Raises:
            InstrumentUnavailable: It was never quiet for `limit_s` seconds, is lost, or closed.
        """
        give_up_s = asyncio.get_running_loop().time() + limit_s
        while asyncio.get_running_loop().time() < give_up_s:
            self.pending.clear()
            try:
                await self.more(gap_s)
            except TimeoutError:
                return
        raise InstrumentUnavailable(f"{self._port} is never quiet")

    async def close(self) -> None:
        """Close; whoever waits is told."""
        transport, self._transport = self._transport, None
        self._lose(f"{self._port} was closed")
        if transport is not None:
            transport.close()
            await transport.wait_closed()

    def data_received(self, data: bytes) -> None:
        """Called by the transport."""
        self.pending += data
        if len(self.pending) > _MAX_PENDING:
            del self.pending[:-_MAX_PENDING]
        self._arrived.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the transport."""
        self._lose(f"{self._port} is gone: {exc}" if exc else f"{self._port} is gone")

    def _lose(self, why: str) -> None:
        if self._lost is None:
            self._lost = InstrumentUnavailable(why)
        self._arrived.set()

    def _failure(self) -> InstrumentUnavailable:
        return self._lost or InstrumentUnavailable(f"{self._port} is not open")
