"""Runs an attack against a server and looks whether it survived."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from gridcord.chassis.limits import SERVER_LIMITS, ServerLimits
from tests.integration.chassis.http2 import RawPeer
from tests.integration.chassis.loopback import (
    CABLE,
    Pki,
    Served,
    serving,
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
