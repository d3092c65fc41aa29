"""ECHONET Lite frames (format 1): one request or answer with its properties.

Source: ECHONET Lite Specification 1.14, part II section 3. The same frame travels over UDP port
3610 on the home's network and over Wi-SUN to the smart meter (route B).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

PORT = 3610  # source and destination

_HEADER = b"\x10\x81"
_FIXED_LENGTH = 12  # header, TID, SEOJ, DEOJ, ESV, OPC


class EchonetError(ValueError):
    """Bytes are not a frame, or a property is not coded as its definition says."""


class Service(IntEnum):
    """ESV: what a frame is for."""

    SET_C_SNA = 0x51  # set, answered: not all possible
    GET_SNA = 0x52  # get, answered: not all possible
    SET_C = 0x61
    GET = 0x62
    INF_REQ = 0x63
    SET_RES = 0x71
    GET_RES = 0x72
    INF = 0x73
    INFC = 0x74  # announcement that wants an answer
    INFC_RES = 0x7A


# What answers what; the first where all went well, the second where not.
ANSWERS: dict[Service, tuple[Service, Service]] = {
    Service.GET: (Service.GET_RES, Service.GET_SNA),
    Service.SET_C: (Service.SET_RES, Service.SET_C_SNA),
}


@dataclass(frozen=True, slots=True)
class Property:
    """One property of a frame.

    Args:
        code: EPC, 0x80 to 0xFF.
        data: EDT; empty in a request to get, and where a property is refused.
    """

    code: int
    data: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One frame.

    Args:
        transaction: TID, 0 to 65535; an answer carries its request's.
        source: SEOJ, three bytes: class group, class, instance.
        destination: DEOJ, three bytes.
        service: ESV.
        properties: In order.
    """

    transaction: int
    source: bytes
    destination: bytes
    service: Service
    properties: tuple[Property, ...]

    def encode(self) -> bytes:
        """The bytes on the wire.

        Raises:
            EchonetError: Too many properties, or one too long.
        """
        if len(self.properties) > 255 or any(len(p.data) > 255 for p in self.properties):
            message = "more than 255 properties, or bytes in one"
            raise EchonetError(message)
        head = _HEADER + struct.pack(">H", self.transaction) + self.source + self.destination
        parts = (bytes((p.code, len(p.data))) + p.data for p in self.properties)
        return head + bytes((self.service, len(self.properties))) + b"".join(parts)

    def answer(self, service: Service, properties: tuple[Property, ...]) -> Frame:
        """The frame that answers this one."""
        return Frame(
            transaction=self.transaction,
            source=self.destination,
            destination=self.source,
            service=service,
            properties=properties,
        )


def decode(data: bytes) -> Frame:
    """Read a frame.

    Raises:
        EchonetError: Not format 1, an unknown service, or not exactly its length.
    """
    if len(data) < _FIXED_LENGTH or data[:2] != _HEADER:
        message = f"no ECHONET Lite frame: {data[:16].hex()}"
        raise EchonetError(message)
    try:
        service = Service(data[10])
    except ValueError:
        message = f"no such service: {data[10]:02X}"
        raise EchonetError(message) from None
    return Frame(
        transaction=int.from_bytes(data[2:4], "big"),
        source=data[4:7],
        destination=data[7:10],
        service=service,
        properties=_properties(data[_FIXED_LENGTH:], data[11]),
    )


def _properties(data: bytes, count: int) -> tuple[Property, ...]:
    found, at = [], 0
    for _ in range(count):
        if at + 2 > len(data) or at + 2 + data[at + 1] > len(data):
            message = f"{count} properties do not fit into {len(data)} bytes"
            raise EchonetError(message)
        end = at + 2 + data[at + 1]
        found.append(Property(data[at], data[at + 2 : end]))
        at = end
    if at != len(data):
        message = f"{len(data) - at} bytes after the last property"
        raise EchonetError(message)
    return tuple(found)


def encode_property_map(codes: frozenset[int]) -> bytes:
    """A property map (EPC 9D, 9E, 9F): a list below 16 codes, else a bitmap (appendix 1)."""
    if len(codes) < 16:
        return bytes((len(codes), *sorted(codes)))
    bitmap = bytearray(16)
    for code in codes:
        bitmap[code & 0x0F] |= 1 << ((code >> 4) - 8)
    return bytes((len(codes),)) + bytes(bitmap)


def decode_property_map(data: bytes) -> frozenset[int]:
    """Read a property map.

    Raises:
        EchonetError: Not the length that its count asks for.
    """
    if not data or len(data) != 1 + (data[0] if data[0] < 16 else 16):
        message = f"no property map: {data.hex()}"
        raise EchonetError(message)
    if data[0] < 16:
        return frozenset(data[1:])
    return frozenset(
        0x80 + 0x10 * bit + row
        for row, byte in enumerate(data[1:])
        for bit in range(8)
        if byte >> bit & 1
    )
