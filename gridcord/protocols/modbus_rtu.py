"""Modbus RTU frames that read registers, both sides, and Eastron's way of putting floats in them.

Sources: Modbus over Serial Line 1.02 (framing, CRC); Modbus Application Protocol 1.1b3 sections
6.3, 6.4 and 7 (functions 3 and 4, exceptions); Eastron "SDM230Modbus Protocol" (two registers hold
one IEEE 754 float, high word first).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

READ_HOLDING = 3
READ_INPUT = 4
MAX_REGISTERS = 125  # of one request
ILLEGAL_FUNCTION = 1
ILLEGAL_ADDRESS = 2
ILLEGAL_VALUE = 3
REQUEST_LENGTH = 8  # bytes of a whole request to read
HEADER_LENGTH = 3  # bytes of a response after which its length is known

_EXCEPTION = 0x80
_FUNCTIONS = (READ_HOLDING, READ_INPUT)


class ModbusFrameError(ValueError):
    """Bytes are not the frame that was expected."""


class ModbusException(Exception):
    """The device answered with an exception.

    Args:
        code: Modbus Application Protocol section 7; 2 = no such address, 3 = no such quantity.
    """

    def __init__(self, code: int) -> None:
        super().__init__(f"Modbus exception {code}")
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadRequest:
    """Asks for registers.

    Args:
        unit: Address of the device, 1 to 247.
        function: READ_HOLDING or READ_INPUT.
        address: First register, 0 to 65535.
        count: How many, 1 to 125.
    """

    unit: int
    function: int
    address: int
    count: int

    def __post_init__(self) -> None:
        if not (1 <= self.unit <= 247 and self.function in _FUNCTIONS):
            message = f"no function {self.function} of unit {self.unit}"
            raise ModbusFrameError(message)
        if not (0 <= self.address <= 0xFFFF and 1 <= self.count <= MAX_REGISTERS):
            message = f"no {self.count} registers at {self.address}"
            raise ModbusFrameError(message)

    def encode(self) -> bytes:
        """The frame, 8 bytes."""
        body = struct.pack(">BBHH", self.unit, self.function, self.address, self.count)
        return body + crc(body)


def crc(body: bytes) -> bytes:
    """CRC-16/MODBUS (polynomial A001 reflected, start FFFF), low byte first."""
    value = 0xFFFF
    for byte in body:
        value = (value >> 8) ^ _TABLE[(value ^ byte) & 0xFF]
    return value.to_bytes(2, "little")


def _of_byte(value: int) -> int:
    for _ in range(8):
        value = (value >> 1) ^ 0xA001 if value & 1 else value >> 1
    return value


_TABLE = tuple(map(_of_byte, range(256)))


def decode_request(frame: bytes) -> ReadRequest:
    """Read a request, as the device does.

    Raises:
        ModbusFrameError: Wrong length, CRC, function or range.
    """
    if len(frame) != REQUEST_LENGTH or crc(frame[:-2]) != frame[-2:]:
        message = f"no request: {frame[:16].hex()}"
        raise ModbusFrameError(message)
    unit, function, address, count = struct.unpack(">BBHH", frame[:-2])
    return ReadRequest(unit=unit, function=function, address=address, count=count)


def encode_response(request: ReadRequest, values: bytes) -> bytes:
    """The answer with the registers' bytes, two for each that was asked for.

    Raises:
        ModbusFrameError: Another number of bytes.
    """
    if len(values) != 2 * request.count:
        message = f"{len(values)} bytes for {request.count} registers"
        raise ModbusFrameError(message)
    body = bytes((request.unit, request.function, len(values))) + values
    return body + crc(body)


def encode_exception(request: ReadRequest, code: int) -> bytes:
    """The answer that refuses a request."""
    body = bytes((request.unit, request.function | _EXCEPTION, code))
    return body + crc(body)


def response_length(header: bytes) -> int:
    """Length in bytes of a whole response, from its first three bytes.

    Raises:
        ModbusFrameError: No response to a read begins like this.
    """
    if len(header) < HEADER_LENGTH or header[1] & ~_EXCEPTION not in _FUNCTIONS:
        message = f"no response begins with {header[:HEADER_LENGTH].hex()}"
        raise ModbusFrameError(message)
    return HEADER_LENGTH + 2 if header[1] & _EXCEPTION else HEADER_LENGTH + header[2] + 2


def decode_response(request: ReadRequest, frame: bytes) -> bytes:
    """The registers' bytes of a response that answers exactly this request.

    Modbus RTU has no transaction number; unit, function and byte count are all there is to tell
    an answer from a late one to an earlier request.

    Raises:
        ModbusException: The device refuses.
        ModbusFrameError: Damaged, or the answer to something else.
    """
    if len(frame) < HEADER_LENGTH + 2 or crc(frame[:-2]) != frame[-2:]:
        message = f"damaged response: {frame[:16].hex()}"
        raise ModbusFrameError(message)
    if frame[0] != request.unit or frame[1] & ~_EXCEPTION != request.function:
        message = f"response of unit {frame[0]} to function {frame[1]}"
        raise ModbusFrameError(message)
    if frame[1] & _EXCEPTION:
        if len(frame) != HEADER_LENGTH + 2:
            message = f"damaged exception: {frame[:16].hex()}"
            raise ModbusFrameError(message)
        raise ModbusException(frame[2])
    if frame[2] != 2 * request.count or len(frame) != HEADER_LENGTH + frame[2] + 2:
        message = f"{frame[2]} bytes for {request.count} registers: a late answer"
        raise ModbusFrameError(message)
    return frame[HEADER_LENGTH:-2]


def float_at(values: bytes, register: int) -> float:
    """The float in two registers, the high word first.

    Args:
        values: As `decode_response` gives them.
        register: Index of the first of the two within `values`.

    Raises:
        ModbusFrameError: Not within `values`.
    """
    if not 0 <= 2 * register <= len(values) - 4:
        message = f"no register {register} in {len(values)} bytes"
        raise ModbusFrameError(message)
    value: float = struct.unpack_from(">f", values, 2 * register)[0]
    return value
