"""How much a peer may send, by the effect: gRPC's core ignores unknown options silently."""

from __future__ import annotations

import asyncio
import struct
from typing import Any

import grpc

from gridcord.chassis.limits import ServerLimits
from tests.integration.chassis import http2
from tests.integration.chassis.attacks import SOON_S, attacked
from tests.integration.chassis.http2 import RawPeer
from tests.integration.chassis.loopback import (
    CABLE,
    COUNT,
    HOLD,
    WHO,
    Pki,
    Served,
    failure,
    serving,
    unary,
)


def test_settings_say_how_many_streams_and_how_large_headers(pki: Pki) -> None:
    def attack(served: Served, raw: RawPeer) -> dict[int, int]:
        raw.greet()
        found = raw.first(http2.SETTINGS, flags=0)
        assert found is not None
        return found.settings

    settings = attacked(pki, attack)

    assert settings[http2.MAX_CONCURRENT_STREAMS] == 16
    assert settings[http2.MAX_HEADER_LIST_SIZE] == 8192
    # 65,535 is HTTP/2's own default and then left out
    assert settings.get(http2.INITIAL_WINDOW_SIZE, 65_535) <= 65_536


def test_a_peer_that_ignores_the_number_of_streams_gets_no_more(pki: Pki) -> None:
    most: list[int] = []

    def attack(served: Served, raw: RawPeer) -> list[http2.Frame]:
        raw.greet()
        assert raw.first(http2.SETTINGS, flags=http2.ACK)
        for number in range(100):
            raw.open_stream(1 + 2 * number, HOLD)
        seen = list(raw.frames(SOON_S))
        most.append(served.server.open_calls)
        return seen

    seen = attacked(pki, attack)

    assert most[0] <= 16
    assert any(f.kind in (http2.RST_STREAM, http2.GOAWAY) for f in seen)


def test_a_large_request_is_refused(pki: Pki) -> None:
    async def take(request: bytes, context: Any) -> bytes:
        return str(len(request)).encode()

    async def scenario() -> tuple[int, grpc.StatusCode]:
        async with serving(pki, handlers={WHO: unary(take)}) as served, served.channel() as channel:
            call = channel.unary_unary(WHO)
            accepted = int(await call(b"x" * 65_536))
            refused = await failure(_unlimited(served, pki).unary_unary(WHO)(b"x" * 65_537))
            return accepted, refused.code

    assert asyncio.run(scenario()) == (65_536, grpc.StatusCode.RESOURCE_EXHAUSTED)


def test_a_large_response_is_not_sent(pki: Pki) -> None:
    async def give(request: bytes, context: Any) -> bytes:
        return b"x" * int(request)

    async def scenario() -> tuple[int, grpc.StatusCode]:
        async with serving(pki, handlers={WHO: unary(give)}) as served:
            channel = _unlimited(served, pki)
            accepted = len(await channel.unary_unary(WHO)(b"262144"))
            refused = await failure(channel.unary_unary(WHO)(b"262145"))
            await channel.close()
            return accepted, refused.code

    assert asyncio.run(scenario()) == (262_144, grpc.StatusCode.RESOURCE_EXHAUSTED)


def _unlimited(served: Served, pki: Pki) -> Any:
    """A channel without limits of its own."""
    options = [
        ("grpc.max_send_message_length", -1),
        ("grpc.max_receive_message_length", -1),
        ("grpc.max_metadata_size", 1 << 20),
        ("grpc.ssl_target_name_override", "localhost"),
    ]
    return grpc.aio.secure_channel(served.address, pki.credentials(CABLE), options=options)


def test_a_claim_of_four_gigabytes_costs_nothing(pki: Pki) -> None:
    def attack(served: Served, raw: RawPeer) -> bool:
        raw.greet()
        raw.open_stream(1, WHO)
        raw.send_data(1, struct.pack(">BI", 0, 0xFFFFFFFF) + b"x" * 1000)
        return any(
            f.kind == http2.HEADERS and f.flags & http2.END_STREAM for f in raw.frames(SOON_S)
        )

    assert attacked(pki, attack), "the call was answered with an error"


def test_large_metadata_is_refused(pki: Pki) -> None:
    async def scenario() -> grpc.StatusCode:
        async with serving(pki) as served:
            channel = _unlimited(served, pki)
            metadata = (("padding", "x" * 9000),)
            refused = await failure(channel.unary_unary(WHO)(b"", metadata=metadata, timeout=30))
            await channel.close()
            return refused.code

    assert asyncio.run(scenario()) is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_endless_headers_do_not_fill_memory(pki: Pki) -> None:
    """CONTINUATION flood, attack A15."""

    def attack(served: Served, raw: RawPeer) -> int:
        raw.greet()
        raw.send(http2.frame(http2.HEADERS, http2.header_block(WHO), stream=1))
        field = b"\x10\x01a\x7f\x81\x7e" + b"v" * 16_381
        sent = 0
        while not raw.closed and sent < 100_000_000:
            raw.send(http2.frame(http2.CONTINUATION, field[:16_384], stream=1))
            sent += 16_384
            for _ in raw.frames(0.0005):
                pass
        return sent

    assert attacked(pki, attack) < 100_000_000, "the connection was closed"


def test_unread_messages_do_not_pile_up(pki: Pki) -> None:
    """Attack A19: a handler that does not read holds one look-ahead, not what a peer pushes."""

    def attack(served: Served, raw: RawPeer) -> tuple[int, int]:
        raw.greet()
        raw.open_stream(1, HOLD)
        chunk = http2.message(b"x" * 1019)  # 1 KiB on the wire
        for _ in range(63):
            raw.send_data(1, chunk)
        granted = pings = 0
        for found in raw.frames(SOON_S):
            if found.kind == http2.WINDOW_UPDATE and found.stream == 1:
                granted += struct.unpack(">I", found.payload)[0]
            pings += found.kind == http2.PING and not found.flags & http2.ACK
        return granted, pings

    granted, pings = attacked(pki, attack)

    assert granted <= 65_536 + 1024, "at most one more look-ahead was granted"
    assert pings == 0, "the server probes no bandwidth"


def test_more_connections_than_allowed_are_refused(pki: Pki) -> None:
    def attack(served: Served, raw: RawPeer) -> int:
        peers = [RawPeer(served.address, None) for _ in range(10)]
        alive = [peer for peer in peers if peer.hung_up_after(SOON_S / 5) is None]
        for peer in peers:
            peer.__exit__(None, None, None)
        return len(alive)

    assert attacked(pki, attack, limits=ServerLimits(connections=4)) <= 3


def test_more_calls_than_allowed_are_told_so(pki: Pki) -> None:
    async def scenario() -> grpc.StatusCode:
        async with (
            serving(pki, limits=ServerLimits(concurrent_calls=2)) as served,
            served.channel() as channel,
        ):
            calls = [channel.stream_stream(HOLD)() for _ in range(2)]
            for call in calls:
                assert await call.read() == b"held"
            return (await failure(channel.unary_stream(COUNT)(b"1", timeout=30))).code

    assert asyncio.run(scenario()) is grpc.StatusCode.RESOURCE_EXHAUSTED
