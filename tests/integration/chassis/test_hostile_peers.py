"""One hostile connection must not spoil the others."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from itertools import count

import pytest

from gridcord.chassis.limits import ServerLimits
from tests.integration.chassis import http2
from tests.integration.chassis.http2 import RawPeer
from tests.integration.chassis.loopback import CABLE, DOMAIN, WHO, Pki, serving, who

HONEST_CALLS = 60
HONEST_CALL_WITHIN_S = 10.0

Attack = Callable[[RawPeer], None]


def rapid_reset(raw: RawPeer, streams: count[int]) -> None:
    """Open and cancel a hundred streams (CVE-2023-44487), attack A12."""
    headers = http2.header_block(WHO)
    cancel = http2.CANCEL.to_bytes(4, "big")
    for number in (2 * next(streams) + 1 for _ in range(100)):
        opened = http2.frame(http2.HEADERS, headers, flags=http2.END_HEADERS, stream=number)
        raw.send(opened + http2.frame(http2.RST_STREAM, cancel, stream=number))


def pings(raw: RawPeer, numbers: count[int]) -> None:
    """Send a hundred pings, attack A13."""
    raw.send(
        b"".join(http2.frame(http2.PING, next(numbers).to_bytes(8, "big")) for _ in range(100))
    )


def settings(raw: RawPeer, numbers: count[int]) -> None:
    """Change the settings a hundred times, attack A14."""
    value = (65_535 + next(numbers) % 100).to_bytes(4, "big")
    change = http2.frame(http2.SETTINGS, http2.INITIAL_WINDOW_SIZE.to_bytes(2, "big") + value)
    raw.send(change * 100)


def half_messages(raw: RawPeer, numbers: count[int]) -> None:
    """Open streams, begin messages and never end them, attacks A11 and A17."""
    for number in (2 * next(numbers) + 1 for _ in range(20)):
        raw.open_stream(number, WHO)
        raw.send_data(number, b"\0")


@pytest.mark.parametrize("attack", [rapid_reset, pings, settings, half_messages])
def test_an_honest_peer_is_served_during_an_attack(
    pki: Pki, attack: Callable[[RawPeer, count[int]], None]
) -> None:
    files = pki.files(f"spiffe://{DOMAIN}/cable/c-0666")
    begun, enough = threading.Event(), threading.Event()

    def attacker(address: str) -> int:
        attacks = 0
        while not enough.is_set():
            with RawPeer(address, files) as raw:
                raw.greet()
                numbers = count()
                while not enough.is_set() and not raw.closed:
                    attack(raw, numbers)
                    attacks += 1
                    for _ in raw.frames(0.001):
                        pass
                    begun.set()
        return attacks

    async def scenario() -> tuple[list[float], int]:
        async with serving(pki, limits=ServerLimits()) as served:
            attacking = asyncio.create_task(asyncio.to_thread(attacker, served.address))
            await asyncio.to_thread(begun.wait, 30)
            took_s = []
            async with served.channel() as channel:
                for _ in range(HONEST_CALLS):
                    begin_s = time.monotonic()
                    assert await who(channel) == CABLE
                    took_s.append(time.monotonic() - begin_s)
            enough.set()
            return took_s, await attacking

    took_s, attacks = asyncio.run(scenario())
    assert attacks >= 1
    assert max(took_s) < HONEST_CALL_WITHIN_S
