"""A Modbus TCP server: frames in, registers out.

Source: MODBUS Messaging on TCP/IP Implementation Guide 1.0b (header), MODBUS Application Protocol
1.1b3 (functions 03, 06 and 16, exception codes).
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import Sequence
from typing import Protocol

_HEADER = struct.Struct(">HHHB")  # transaction, protocol, length, unit
_PAIR = struct.Struct(">HH")
_READ, _WRITE_ONE, _WRITE = 0x03, 0x06, 0x10
_EXCEPTION = 0x80
_MOST_READ, _MOST_WRITTEN = 125, 123
_MOST_BYTES = 254  # of unit and PDU

ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE, NO_SUCH_UNIT = 1, 2, 3, 11


class ModbusRefused(Exception):
    """A request is answered with an exception.

    Args:
        code: Its code.
    """

    def __init__(self, code: int) -> None:
        super().__init__(f"exception {code}")
        self.code = code


class RegisterMap(Protocol):
    """Holding registers."""

    def read(self, address: int, count: int) -> Sequence[int]:
        """Registers.

        Raises:
            ModbusRefused: There are none.
        """
        ...

    def write(self, address: int, registers: Sequence[int]) -> None:
        """Set registers, all or none.

        Raises:
            ModbusRefused: They cannot be set, or not to that.
        """
        ...


class ModbusTcpServer:
    """Serves a map on a loopback port that the system chooses.

    Args:
        registers: What is served.
        unit: Modbus unit that answers.
    """

    def __init__(self, registers: RegisterMap, *, unit: int = 1) -> None:
        self._registers = registers
        self._unit = unit
        self._server: asyncio.Server | None = None
        self._serving: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    @property
    def port(self) -> int:
        """Where it listens; it was started."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    async def start(self, *, port: int = 0) -> None:
        """Listen.

        Args:
            port: 0 for one that the system chooses.
        """
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)

    async def stop(self) -> None:
        """Close every socket."""
        if self._server is not None:
            self._server.close()
            self.drop_connections()
            await asyncio.gather(*self._serving, return_exceptions=True)
            await self._server.wait_closed()

    def drop_connections(self) -> None:
        """Cut every connection, as a cable that is pulled."""
        for writer in self._serving.values():
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving[task] = writer
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                while await self._answer_one(reader, writer):
                    await writer.drain()
        finally:
            del self._serving[task]
            writer.close()

    async def _answer_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; False when what came is no Modbus, which ends the connection."""
        transaction, protocol, length, unit = _HEADER.unpack(await reader.readexactly(_HEADER.size))
        if protocol != 0 or not 2 <= length <= _MOST_BYTES:
            return False
        request = await reader.readexactly(length - 1)
        answer = self.answer(request) if unit == self._unit else _refusal(request, NO_SUCH_UNIT)
        writer.write(_HEADER.pack(transaction, 0, len(answer) + 1, unit) + answer)
        return True

    def answer(self, request: bytes) -> bytes:
        """The answer to a request, both without header (PDU)."""
        try:
            match request[0]:
                case 0x03:
                    return self._read(request)
                case 0x06 | 0x10:
                    return self._write(request)
                case _:
                    raise ModbusRefused(ILLEGAL_FUNCTION)
        except ModbusRefused as refused:
            return _refusal(request, refused.code)

    def _read(self, request: bytes) -> bytes:
        if len(request) != 5:
            raise ModbusRefused(ILLEGAL_VALUE)
        address, count = _PAIR.unpack_from(request, 1)
        if not 1 <= count <= _MOST_READ:
            raise ModbusRefused(ILLEGAL_VALUE)
        registers = self._registers.read(address, count)
        return struct.pack(f">BB{count}H", _READ, 2 * count, *registers)

    def _write(self, request: bytes) -> bytes:
        if len(request) < 5:
            raise ModbusRefused(ILLEGAL_VALUE)
        address, count = _PAIR.unpack_from(request, 1)
        if request[0] == _WRITE_ONE:
            if len(request) != 5:
                raise ModbusRefused(ILLEGAL_VALUE)
            self._registers.write(address, [count])
            return request
        size_is_right = len(request) == 6 + 2 * count and request[5] == 2 * count
        if not 1 <= count <= _MOST_WRITTEN or not size_is_right:
            raise ModbusRefused(ILLEGAL_VALUE)
        self._registers.write(address, struct.unpack_from(f">{count}H", request, 6))
        return struct.pack(">BHH", _WRITE, address, count)


def _refusal(request: bytes, code: int) -> bytes:
    return bytes([request[0] | _EXCEPTION, code])
