"""A Modbus RTU reader that never takes a late answer for the answer to another request.

Modbus RTU has no transaction number. Three things stand in for it: after any failure nothing is
sent until the line was quiet for a whole time-out; what arrived unasked is thrown away before each
request; and an answer must have the unit, function and byte count of its request (callers that ask
for the same again and again vary the count).
"""

from __future__ import annotations

import asyncio
import contextlib

from cable_node.drivers.serial_line import SerialLine, SerialSettings
from cable_node.ports import FrameError, InstrumentRefused, InstrumentUnavailable
from gridcord.protocols import modbus_rtu as rtu
from gridcord.protocols.modbus_rtu import ReadRequest

_CHARACTER_BITS = 11
_GAP_CHARACTERS = 3.5  # Modbus over Serial Line 1.02, section 2.5.1.1
_LEAST_GAP_S = 0.00175
_PATIENCE = 10  # time-outs that a line may babble before it is given up


class ModbusClient:
    """Reads registers of devices on one line.

    Args:
        settings: The line.
        timeout_s: Real seconds that a device has for its answer; also how long the line must have
            been quiet after a failure.
    """

    def __init__(self, settings: SerialSettings, *, timeout_s: float) -> None:
        self._settings = settings
        self._timeout_s = timeout_s
        self._gap_s = max(_LEAST_GAP_S, _GAP_CHARACTERS * _CHARACTER_BITS / settings.baudrate)
        self._line: SerialLine | None = None
        self._suspect = False
        self._closed = False
        self._lock = asyncio.Lock()

    async def read(self, request: ReadRequest) -> bytes:
        """Read registers; the line is opened when it is not.

        Returns:
            Two bytes a register.

        Raises:
            InstrumentRefused: The device answers that it has no such registers.
            FrameError: The answer is damaged, or belongs to something else.
            InstrumentUnavailable: No answer, or no line.
        """
        async with self._lock:
            line = await self._open()
            try:
                return await self._exchange(line, request)
            except (FrameError, InstrumentUnavailable, asyncio.CancelledError):
                self._suspect = True
                raise

    async def close(self) -> None:
        """Release the line for good."""
        self._closed = True
        await self._drop()

    async def _open(self) -> SerialLine:
        if self._closed:
            raise InstrumentUnavailable("the driver was closed")
        if self._line is None:
            self._line = await SerialLine.open(self._settings)
            self._suspect = True  # somebody may have asked something before us
        return self._line

    async def _drop(self) -> None:
        line, self._line = self._line, None
        if line is not None:
            await line.close()

    async def _exchange(self, line: SerialLine, request: ReadRequest) -> bytes:
        try:
            gap_s = self._timeout_s if self._suspect else self._gap_s
            await line.quiet(gap_s, limit_s=_PATIENCE * self._timeout_s)
            self._suspect = False
            line.write(request.encode())
        except InstrumentUnavailable:
            await self._drop()
            raise
        try:
            async with asyncio.timeout(self._timeout_s):
                frame = await self._frame(line)
            return rtu.decode_response(request, frame)
        except TimeoutError as failure:
            message = f"unit {request.unit} did not answer in {self._timeout_s} s"
            raise InstrumentUnavailable(message) from failure
        except rtu.ModbusFrameError as failure:
            raise FrameError(str(failure)) from failure
        except rtu.ModbusException as failure:
            message = f"unit {request.unit} has no {request.count} registers at {request.address}"
            raise InstrumentRefused(f"{message}: {failure}") from failure
        except InstrumentUnavailable:
            await self._drop()
            raise

    async def _frame(self, line: SerialLine) -> bytes:
        while len(line.pending) < rtu.HEADER_LENGTH:
            await line.more(self._timeout_s)
        length = rtu.response_length(bytes(line.pending))
        while len(line.pending) < length:
            await line.more(self._timeout_s)
        await self._end(line)
        return bytes(line.pending)

    async def _end(self, line: SerialLine) -> None:
        """A frame ends with silence; what comes after it belongs to it, and spoils it."""
        with contextlib.suppress(TimeoutError):
            await line.more(self._gap_s)
