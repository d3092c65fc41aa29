"""Each limit of a server by its effect: gRPC's core ignores unknown names without a word."""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import Callable
from typing import Any, TypeVar

import grpc
import pytest

from gridcord.chassis.limits import SERVER_LIMITS, ServerLimits
from gridcord.chassis.server import BindError
from tests.integration.chassis import http2
from tests.integration.chassis.http2 import RawPeer
from tests.integration.chassis.loopback import (
    CABLE,
    COUNT,
    ECHO,
    HOLD,
    WHO,
    Pki,
    Served,
    failure,
    serving,
    unary,
    until,
    who,
)

# Far below the core's own defaults (60 s and more), far above this machine's hiccups.
SOON_S = 1.0
DEFAULT_S = 40.0

Result = TypeVar("Result")


def attacked(
    pki: Pki,
    attack: Callable[[Served, RawPeer], Result],
    *,
    limits: ServerLimits = SERVER_LIMITS,
    with_tls: bool = True,
    **answers: bool,
) -> Result:
    """Run a blocking attack from a thread against a server, and check that it survives."""

    async def scenario() -> Result:
        async with serving(pki, limits=limits) as served:
            files = pki.files(CABLE) if with_tls else None

            def peer() -> Result:
                with RawPeer(served.address, files, **answers) as raw:
                    return attack(served, raw)

            result = await asyncio.to_thread(peer)
            async with served.channel() as channel:
                assert await who(channel) == CABLE
            return result

    return asyncio.run(scenario())


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


@pytest.mark.parametrize(
    ("with_tls", "words"),
    [(False, b""), (True, b""), (True, http2.PREFACE)],
    ids=["no TLS", "no preface", "no settings"],
)
def test_a_peer_that_does_not_begin_is_left(pki: Pki, with_tls: bool, words: bytes) -> None:
    """Slowloris, attack A16."""

    def attack(served: Served, raw: RawPeer) -> float | None:
        raw.send(words)
        return raw.hung_up_after(DEFAULT_S)

    limits = ServerLimits(handshake_s=SOON_S)
    took_s = attacked(pki, attack, limits=limits, with_tls=with_tls)

    assert took_s is not None


def test_a_peer_that_does_not_acknowledge_settings_is_left(pki: Pki) -> None:
    def attack(served: Served, raw: RawPeer) -> float | None:
        raw.greet()
        return raw.hung_up_after(DEFAULT_S)

    limits = ServerLimits(settings_s=SOON_S)
    assert attacked(pki, attack, limits=limits, answer_settings=False) is not None


def test_an_idle_connection_is_closed(pki: Pki) -> None:
    def attack(served: Served, raw: RawPeer) -> float | None:
        raw.greet()
        return raw.hung_up_after(DEFAULT_S)

    assert attacked(pki, attack, limits=ServerLimits(idle_s=SOON_S)) is not None


def test_an_old_connection_is_closed_even_in_the_middle_of_a_call(pki: Pki) -> None:
    """Slow body, attack A17: one byte now and then keeps a call open, not its connection."""

    def attack(served: Served, raw: RawPeer) -> tuple[bool, bool]:
        raw.greet()
        raw.open_stream(1, ECHO)
        goaway = raw.first(http2.GOAWAY, DEFAULT_S)
        begin_s = time.monotonic()
        while not raw.closed and time.monotonic() - begin_s < DEFAULT_S:
            raw.send_data(1, b"\0")
            for _ in raw.frames(0.05):
                pass
        return goaway is not None, raw.closed

    limits = ServerLimits(age_s=SOON_S, age_grace_s=SOON_S)
    assert attacked(pki, attack, limits=limits) == (True, True)


def test_the_server_asks_a_silent_peer_and_leaves_a_dead_one(pki: Pki) -> None:
    """Half-open link, attack A21."""

    def attack(served: Served, raw: RawPeer) -> tuple[bool, float | None]:
        raw.greet()
        raw.open_stream(1, HOLD)
        asked = raw.first(http2.PING, DEFAULT_S) is not None
        return asked, raw.hung_up_after(DEFAULT_S)

    limits = ServerLimits(keepalive_s=SOON_S, keepalive_timeout_s=SOON_S)
    asked, took_s = attacked(pki, attack, limits=limits, answer_pings=False)

    assert asked
    assert took_s is not None


def test_a_peer_that_answers_is_kept(pki: Pki) -> None:
    def attack(served: Served, raw: RawPeer) -> int:
        raw.greet()
        raw.open_stream(1, HOLD)
        return sum(f.kind == http2.PING and not f.flags for f in raw.frames(4 * SOON_S))

    limits = ServerLimits(keepalive_s=SOON_S / 2, keepalive_timeout_s=SOON_S / 2)
    assert attacked(pki, attack, limits=limits) >= 2


@pytest.mark.parametrize(
    ("interval_s", "tolerated"), [(3600.0, False), (0.001, True)], ids=["often", "seldom"]
)
def test_a_peer_that_pings_too_often_is_sent_away(
    pki: Pki, interval_s: float, tolerated: bool
) -> None:
    def attack(served: Served, raw: RawPeer) -> http2.Frame | None:
        raw.greet()
        raw.open_stream(1, HOLD)
        for number in range(10):
            raw.send(http2.frame(http2.PING, struct.pack(">Q", number)))
            if goaway := raw.first(http2.GOAWAY, SOON_S / 10):
                return goaway
        return None

    goaway = attacked(pki, attack, limits=ServerLimits(min_ping_interval_s=interval_s))

    if tolerated:
        assert goaway is None
    else:
        assert goaway is not None
        assert goaway.error == http2.ENHANCE_YOUR_CALM


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


STORM_CONNECTIONS, STORM_STREAMS = 250, 16
STORM = STORM_CONNECTIONS * STORM_STREAMS


@pytest.mark.parametrize(
    ("limits", "at_least", "at_most"),
    [
        (SERVER_LIMITS, 0, 0),
        (ServerLimits(pending_calls=2000), STORM - 2100, STORM - 1900),
        (ServerLimits(pending_s=1), STORM - 100, STORM),
    ],
    ids=["all wait", "a bounded number waits", "none waits longer than allowed"],
)
def test_a_storm_of_calls_waits_for_a_busy_server(
    pki: Pki, limits: ServerLimits, at_least: int, at_most: int
) -> None:
    """Of the core's own accord 1,000 wait, the next 2,000 with luck, 30 s at most."""

    async def scenario() -> int:
        async with serving(pki, limits=limits) as served:
            peers = [RawPeer(served.address, pki.files(CABLE)) for _ in range(STORM_CONNECTIONS)]
            refused = _storm(peers)  # blocks the loop: nothing is taken meanwhile
            refused = await asyncio.to_thread(_rest, served, peers, refused)
            await until(lambda: served.server.open_calls == 0)
            return refused

    assert at_least <= asyncio.run(scenario()) <= at_most


def _storm(peers: list[RawPeer]) -> int:
    """Open many calls; returns when the core has read them all, with how many it refused."""
    for peer in peers:
        peer.greet()
        for number in range(STORM_STREAMS):
            peer.open_stream(1 + 2 * number, HOLD)
        peer.send(http2.frame(http2.PING, b"all sent"))
    refused = 0
    for peer in peers:
        for found in peer.frames(DEFAULT_S):
            refused += found.kind == http2.RST_STREAM
            if found.kind == http2.PING and found.flags & http2.ACK:
                break
    time.sleep(1.2 * SOON_S)
    return refused


def _rest(served: Served, peers: list[RawPeer], refused: int) -> int:
    """How many calls were refused in the end, when the others are being served."""
    end_s = time.monotonic() + DEFAULT_S
    while served.server.open_calls + refused < STORM and time.monotonic() < end_s:
        for peer in peers:
            refused += sum(found.kind == http2.RST_STREAM for found in peer.frames(0.001))
    for peer in peers:
        peer.__exit__(None, None, None)
    return refused


def test_two_servers_do_not_share_a_port_unnoticed(pki: Pki) -> None:
    async def scenario() -> None:
        async with serving(pki) as served:
            with pytest.raises(BindError, match="taken"):
                async with serving(pki, address=served.address):
                    pass

    asyncio.run(scenario())


def test_workers_may_share_a_port_on_purpose(pki: Pki) -> None:
    async def scenario() -> bool:
        limits = ServerLimits(share_port=True)
        async with (
            serving(pki, limits=limits) as one,
            serving(pki, limits=limits, address=one.address) as two,
        ):
            return one.address == two.address

    assert asyncio.run(scenario())


def test_an_address_of_another_machine_is_named(pki: Pki) -> None:
    async def scenario() -> None:
        async with serving(pki, address="192.0.2.1:0"):
            pass

    with pytest.raises(BindError, match=r"192\.0\.2\.1"):
        asyncio.run(scenario())
