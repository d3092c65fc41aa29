"""A simulated home energy manager: an ECHONET Lite node with a distribution board, over UDP."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Mapping
from fractions import Fraction

from gridcord.protocols import echonet, echonet_energy
from gridcord.protocols.echonet import Frame, Property, Service
from gridcord.simulation.instruments.faults import Faults, FaultyLine
from gridcord.simulation.instruments.source import RegisterSource

Address = tuple[str, int]

_INSTANCES = 0xD6
_IDENTIFICATION = 0x83
_CHANNEL_RANGE = 0xB2


class HomeEnergyNode:
    """Listens on a UDP address such as ("127.0.0.7", 3610).

    Faults beside those of the line: `silent`; `without` takes properties away.

    Args:
        source: What the whole board counts: `import_wh` is what the house uses.
        address: Where to listen. ECHONET Lite uses port 3610 on both sides.
        identifier: EPC 83, 17 bytes.
        unit: Code of C2: 3 = 1 Wh, 2 = 10 Wh, 1 = 100 Wh.
        channels: What single circuits count, by number from 1.
    """

    def __init__(
        self,
        source: RegisterSource,
        *,
        address: Address,
        identifier: bytes = bytes.fromhex("fe000016000000000000000000000001a1"),
        unit: int = 0x03,
        channels: Mapping[int, RegisterSource] | None = None,
    ) -> None:
        self.source = source
        self.address = address
        self.identifier = identifier
        self.unit = unit
        self.channels = dict(channels or {})
        self.faults = Faults()
        self.silent = False
        self.without: set[int] = set()
        self._range = (1, max(self.channels, default=0))
        self._transport: asyncio.DatagramTransport | None = None
        self._lines: dict[Address, FaultyLine] = {}

    async def start(self) -> None:
        """Listen."""
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(
            lambda: _Receiver(self), local_addr=self.address
        )

    async def stop(self) -> None:
        """Stop listening."""
        if self._transport is not None:
            self._transport.close()
            self._transport = None
        for line in self._lines.values():
            line.close()
        self._lines.clear()
        await asyncio.sleep(0)  # lets the transport close its socket

    def received(self, data: bytes, sender: Address) -> None:
        """Answer one datagram; one that is no frame is not answered."""
        try:
            request = echonet.decode(data)
        except echonet.EchonetError:
            return
        answer = self.answer(request)
        if answer is not None and not self.silent:
            self._line_to(sender).write(answer.encode())

    def answer(self, request: Frame) -> Frame | None:
        """The frame that the node sends back; None when none is due."""
        objects = {
            echonet_energy.NODE_PROFILE: self._profile,
            echonet_energy.DISTRIBUTION_BOARD: self._board,
        }
        read = objects.get(request.destination)
        services = echonet.ANSWERS.get(request.service)
        if read is None or services is None:
            return None
        if request.service is Service.SET_C:
            return self._set(request)
        values = read()
        known = {c: v for c, v in values.items() if c not in self.without}
        properties = tuple(Property(p.code, known.get(p.code, b"")) for p in request.properties)
        complete = all(p.code in known for p in request.properties)
        return request.answer(services[not complete], properties)

    def _set(self, request: Frame) -> Frame:
        wanted = {p.code: p.data for p in request.properties}
        data = wanted.get(_CHANNEL_RANGE, b"")
        if set(wanted) != {_CHANNEL_RANGE} or len(data) != 2 or not self.channels:
            return request.answer(Service.SET_C_SNA, request.properties)
        self._range = (data[0], data[1])
        return request.answer(Service.SET_RES, (Property(_CHANNEL_RANGE),))

    def _profile(self) -> dict[int, bytes]:
        return {
            0x80: b"\x30",
            0x82: b"\x01\x0e\x01\x00",
            _IDENTIFICATION: self.identifier,
            0x8A: self.identifier[1:4],
            0xD3: b"\x00\x00\x01",
            0xD4: b"\x00\x02",
            0xD5: b"\x01" + echonet_energy.DISTRIBUTION_BOARD,
            _INSTANCES: b"\x01" + echonet_energy.DISTRIBUTION_BOARD,
            0xD7: b"\x01" + echonet_energy.DISTRIBUTION_BOARD[:2],
        }

    def _board(self) -> dict[int, bytes]:
        values = {
            0x80: b"\x30",
            0x88: b"\x42",
            0x8A: self.identifier[1:4],
            0xC0: self._count(self.source.import_wh()),
            0xC1: self._count(self.source.export_wh()),
            0xC2: bytes((self.unit,)),
            0xC6: echonet_energy.encode_power(self.source.power_w()),
        }
        if self.channels:
            first, number = self._range
            counts = [self._channel(n) for n in range(first, first + number)]
            values[0xB1] = bytes((max(self.channels),))
            values[_CHANNEL_RANGE] = bytes(self._range)
            values[0xB3] = echonet_energy.encode_channels(first, counts)
        return values

    def _channel(self, number: int) -> int | None:
        source = self.channels.get(number)
        return None if source is None else self._counts(source.import_wh())

    def _count(self, wh: int) -> bytes:
        return echonet_energy.encode_count(self._counts(wh))

    def _counts(self, wh: int) -> int:
        return int(Fraction(wh) / echonet_energy.UNITS_WH[self.unit])

    def _line_to(self, receiver: Address) -> FaultyLine:
        if receiver not in self._lines:
            send = functools.partial(self._send, receiver)
            self._lines[receiver] = FaultyLine(send, self.faults)
        return self._lines[receiver]

    def _send(self, receiver: Address, frame: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(frame, receiver)


class _Receiver(asyncio.DatagramProtocol):
    def __init__(self, node: HomeEnergyNode) -> None:
        self._node = node

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self._node.received(data, addr)
