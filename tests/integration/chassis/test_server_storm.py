"""Thousands of calls at once, and who listens where."""

from __future__ import annotations

import asyncio
import time

import pytest

from gridcord.chassis.limits import SERVER_LIMITS, ServerLimits
from gridcord.chassis.server import BindError
from tests.integration.chassis import http2
from tests.integration.chassis.attacks import DEFAULT_S, SOON_S
from tests.integration.chassis.http2 import RawPeer
from tests.integration.chassis.loopback import (
    CABLE,
    HOLD,
    Pki,
    Served,
    serving,
    until,
)

STORM_CONNECTIONS, STORM_STREAMS = 250, 16
STORM = STORM_CONNECTIONS * STORM_STREAMS


@pytest.mark.slow
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
