"""How long a server waits for a peer, by the effect of each limit."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import time
from contextlib import suppress
from pathlib import Path

import pytest

from gridcord.chassis.limits import ChannelLimits, ServerLimits
from tests.integration.chassis import http2
from tests.integration.chassis.attacks import DEFAULT_S, SOON_S, attacked
from tests.integration.chassis.http2 import RawPeer
from tests.integration.chassis.loopback import (
    CABLE,
    ECHO,
    HOLD,
    Pki,
    Served,
    serving,
    who,
)


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


def test_the_kernel_gives_up_a_cut_link_in_time(pki: Pki) -> None:
    """What is sent into a cut link is given up by the kernel (TCP_USER_TIMEOUT, RFC 5482)."""

    async def scenario() -> set[int]:
        async with serving(pki, limits=ServerLimits(keepalive_timeout_s=7)) as served:
            limits = ChannelLimits(keepalive_timeout_s=8)
            async with served.channel(limits=limits) as channel:
                assert await who(channel) == CABLE
                return _user_timeouts_ms(int(served.address.rpartition(":")[2]))

    assert {7000, 8000} <= asyncio.run(scenario())


def _user_timeouts_ms(port: int) -> set[int]:
    """The settings of this process's connections from and to a port."""
    found = set()
    for file in Path("/proc/self/fd").iterdir():
        with suppress(OSError), socket.socket(fileno=os.dup(int(file.name))) as one:
            if one.family in (socket.AF_INET, socket.AF_INET6) and port in (
                one.getsockname()[1],
                one.getpeername()[1],
            ):
                found.add(one.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT))
    return found


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
