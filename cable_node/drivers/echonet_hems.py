"""The house's energy manager over ECHONET Lite: node profile and distribution board, UDP 3610.

Source: ECHONET Lite Specification 1.14; APPENDIX, classes 0x0EF0 and 0x0287. Both sides use port
3610. Requests carry a new transaction number each; a late answer is recognised by its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from cable_node.drivers.site_identity import site_id
from cable_node.ports import (
    FrameError,
    InstrumentRefused,
    InstrumentUnavailable,
    SiteIdentity,
)
from gridcord.chassis.clock import Clock
from gridcord.metering.reading import Registers
from gridcord.protocols import echonet, echonet_energy
from gridcord.protocols.echonet import Frame, Property, Service

_INSTANCES, _IDENTIFICATION = 0xD6, 0x83
_CONSUMPTION, _UNIT, _POWER = 0xC0, 0xC2, 0xC6
_CHANNEL_RANGE, _CHANNELS = 0xB2, 0xB3
_BOARD_CLASS = echonet_energy.DISTRIBUTION_BOARD[:2]
_TRANSACTIONS = 0x1_0000


@dataclass(frozen=True, slots=True, kw_only=True)
class HemsSettings:
    """How to reach the manager, and what of it is consumption.

    Args:
        host: Its address.
        port: Its port; 3610 by the standard.
        local_host: Our address; "0.0.0.0" for any.
        local_port: Our port; 3610 by the standard.
        channels: Circuits that count as consumption; empty = the whole board. Name them when the
            board also counts the circuit of the cable.
        timeout_s: Real seconds that it has for an answer.
        attempts: Times a request is sent before it has failed.
    """

    host: str
    port: int = echonet.PORT
    local_host: str = "0.0.0.0"  # noqa: S104  (answers come to any of our addresses)
    local_port: int = echonet.PORT
    channels: tuple[int, ...] = ()
    timeout_s: float = 1.0
    attempts: int = 3


class EchonetHems:
    """Implements `cable_node.ports.HomeEnergy`.

    Args:
        settings: How to reach it.
        clock: Stamps the readings.
    """

    def __init__(self, settings: HemsSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._socket: _Socket | None = None
        self._transport: asyncio.DatagramTransport | None = None
        self._transaction = 0
        self._board: bytes | None = None
        self._lock = asyncio.Lock()
        self._closed = False

    async def identify(self) -> SiteIdentity:
        """Read the node's identification number, and find its distribution board."""
        async with self._lock:
            values = await self._get(echonet_energy.NODE_PROFILE, _IDENTIFICATION, _INSTANCES)
            self._board = _find_board(values[_INSTANCES])
            unit_wh = await self._unit_wh(self._board)
        return SiteIdentity(
            site_id=site_id("echonet", values[_IDENTIFICATION].hex()),
            step_wh=self._step_wh(unit_wh),
            measures_export=False,
        )

    async def read(self) -> Registers:
        """Read consumption and power."""
        if self._board is None:
            await self.identify()
        async with self._lock:
            assert self._board is not None
            if self._settings.channels:
                return await self._read_channels(self._board)
            return await self._read_whole(self._board)

    async def close(self) -> None:
        """Release the socket."""
        self._closed = True
        transport, self._transport = self._transport, None
        if self._socket is not None:
            self._socket.lose(InstrumentUnavailable("the driver was closed"))
        if transport is not None:
            transport.close()
            await asyncio.sleep(0)  # lets the transport close its socket

    async def _read_whole(self, board: bytes) -> Registers:
        values = await self._get(board, _CONSUMPTION, _UNIT, _POWER)
        with _readable():
            count = echonet_energy.decode_count(values[_CONSUMPTION])
            unit_wh = echonet_energy.decode_unit_wh(values[_UNIT])
            power_w = echonet_energy.decode_power(values[_POWER])
        if count is None:
            raise InstrumentUnavailable("the board has no consumption now")
        return self._registers(count, unit_wh, power_w)

    async def _read_channels(self, board: bytes) -> Registers:
        wanted = self._settings.channels
        first, last = min(wanted), max(wanted)
        selection = Property(_CHANNEL_RANGE, bytes((first, last - first + 1)))
        await self._request(board, Service.SET_C, (selection,))
        values = await self._get(board, _CHANNELS, _UNIT)
        with _readable():
            counts = echonet_energy.decode_channels(values[_CHANNELS])
            unit_wh = echonet_energy.decode_unit_wh(values[_UNIT])
        found = [count for n in wanted if (count := counts.get(n)) is not None]
        if len(found) != len(wanted):
            raise InstrumentUnavailable("the board has no consumption of some circuits now")
        return self._registers(sum(found), unit_wh, None)

    def _registers(self, count: int, unit_wh: Fraction, power_w: int | None) -> Registers:
        return Registers(
            at_s=self._clock.now(),
            import_wh=math.floor(count * unit_wh),
            export_wh=None,
            step_wh=self._step_wh(unit_wh),
            power_w=power_w,
        )

    def _step_wh(self, unit_wh: Fraction) -> int:
        """A sum of truncated registers is as uncertain as their steps together."""
        return max(1, math.ceil(unit_wh * max(1, len(self._settings.channels))))

    async def _unit_wh(self, board: bytes) -> Fraction:
        values = await self._get(board, _UNIT)
        with _readable():
            return echonet_energy.decode_unit_wh(values[_UNIT])

    async def _get(self, target: bytes, *codes: int) -> dict[int, bytes]:
        answer = await self._request(target, Service.GET, tuple(map(Property, codes)))
        return {p.code: p.data for p in answer.properties}

    async def _request(
        self, target: bytes, service: Service, properties: tuple[Property, ...]
    ) -> Frame:
        socket = await self._open()
        for _ in range(self._settings.attempts):
            self._transaction = (self._transaction + 1) % _TRANSACTIONS
            request = Frame(
                transaction=self._transaction,
                source=echonet_energy.CONTROLLER,
                destination=target,
                service=service,
                properties=properties,
            )
            with contextlib.suppress(TimeoutError):
                return _accepted(request, await self._exchange(socket, request))
        message = f"{self._settings.host} did not answer in {self._settings.attempts} attempts"
        raise InstrumentUnavailable(message)

    async def _exchange(self, socket: _Socket, request: Frame) -> Frame:
        assert self._transport is not None
        answer = socket.expect(request)
        try:
            self._transport.sendto(request.encode(), (self._settings.host, self._settings.port))
            async with asyncio.timeout(self._settings.timeout_s):
                return await answer
        finally:
            socket.forget()

    async def _open(self) -> _Socket:
        if self._closed:
            raise InstrumentUnavailable("the driver was closed")
        settings = self._settings
        if self._socket is None or self._transport is None or self._transport.is_closing():
            try:
                endpoint = await asyncio.get_running_loop().create_datagram_endpoint(
                    lambda: _Socket(settings.host),
                    local_addr=(settings.local_host, settings.local_port),
                )
            except OSError as failure:
                raise InstrumentUnavailable(f"cannot open a socket: {failure}") from failure
            self._transport, self._socket = endpoint
        return self._socket


class _Socket(asyncio.DatagramProtocol):
    """Hands over the one answer that is waited for; everything else that comes is not ours."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._request: Frame | None = None
        self._answer: asyncio.Future[Frame] | None = None

    def expect(self, request: Frame) -> asyncio.Future[Frame]:
        self._request = request
        self._answer = asyncio.get_running_loop().create_future()
        return self._answer

    def forget(self) -> None:
        self._request = self._answer = None

    def lose(self, failure: InstrumentUnavailable) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(failure)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if self._request is None or self._answer is None or self._answer.done():
            return
        if addr[0] == self._host and (frame := answer_to(self._request, data)) is not None:
            self._answer.set_result(frame)

    def error_received(self, exc: Exception) -> None:
        self.lose(InstrumentUnavailable(f"{self._host} cannot be reached: {exc}"))


def answer_to(request: Frame, data: bytes) -> Frame | None:
    """The frame in a datagram if it answers the request, else None."""
    try:
        frame = echonet.decode(data)
    except echonet.EchonetError:
        return None
    fits = (
        frame.transaction == request.transaction
        and frame.source == request.destination
        and frame.service in echonet.ANSWERS[request.service]
        and [p.code for p in frame.properties] == [p.code for p in request.properties]
    )
    return frame if fits else None


def _accepted(request: Frame, answer: Frame) -> Frame:
    if answer.service is echonet.ANSWERS[request.service][0]:
        return answer
    refused = ", ".join(f"{p.code:02X}" for p in answer.properties if not p.data)
    raise InstrumentRefused(f"the node does not have {refused or 'what was set'}")


def _find_board(instances: bytes) -> bytes:
    """The first distribution board of an instance list (EPC D6: number, then three bytes each)."""
    objects = (instances[at : at + 3] for at in range(1, len(instances) - 2, 3))
    for each in objects:
        if each[:2] == _BOARD_CLASS:
            return each
    raise InstrumentRefused("the node has no distribution board: it measures no consumption")


@contextlib.contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except echonet.EchonetError as failure:
        raise FrameError(str(failure)) from failure
