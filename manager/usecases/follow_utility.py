"""Follow what the utility streams, and tell it what was transferred: each from a durable cursor."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import structlog

from gridcord.chassis.retry import Backoff
from gridcord.metering.reading import SiteReading
from gridcord.metering.records import AssetLoading
from manager.domain.records.transfer import StoredTransfer
from manager.ports import PeerUnavailable, StoreFull, StoreUnavailable, Utility

BATCH = 500

log = structlog.get_logger()


class UtilityFacts(Protocol):
    """Where what the utility tells is kept, with the cursor, in one transaction."""

    async def cursor(self, stream: str) -> str:
        """How far a stream was followed."""
        ...

    async def take_reading(self, reading: SiteReading, cursor: str, *, now_s: int) -> None:
        """Keep a reading; a site that was judged without it is judged anew."""
        ...

    async def take_loading(
        self, loading: AssetLoading, site_ids: Sequence[str], cursor: str
    ) -> None:
        """Keep the loading of equipment."""
        ...


class Forwarding(Protocol):
    """Transfers that the utility must know."""

    async def to_forward(self, limit: int) -> list[tuple[StoredTransfer, int]]:
        """Transfers the utility does not have in this revision, oldest first."""
        ...

    async def forwarded(self, sent: Sequence[tuple[StoredTransfer, int]]) -> None:
        """Note what the utility has; what changed meanwhile stays to be sent."""
        ...


READINGS = "utility.readings"
LOADINGS = "utility.loadings"


async def follow_readings(
    utility: Utility, facts: UtilityFacts, *, now: Callable[[], float]
) -> None:
    """Take readings as the utility receives them, for ever."""

    async def follow(cursor: str) -> None:
        async for reading, behind in utility.watch_readings(cursor):
            if reading is not None:
                await facts.take_reading(reading, behind, now_s=int(now()))

    await _for_ever(READINGS, facts, follow)


async def follow_loadings(
    utility: Utility, facts: UtilityFacts, *, changed: Callable[[], None]
) -> None:
    """Take loadings of equipment as they change, for ever."""

    async def follow(cursor: str) -> None:
        async for loading, site_ids, behind in utility.watch_loadings(cursor):
            if loading is not None:
                await facts.take_loading(loading, site_ids, behind)
                changed()

    await _for_ever(LOADINGS, facts, follow)


async def _for_ever(
    stream: str, facts: UtilityFacts, follow: Callable[[str], Awaitable[None]]
) -> None:
    backoff = Backoff(first_s=0.5, longest_s=30.0)
    while True:
        try:
            await follow(await facts.cursor(stream))
        except (PeerUnavailable, StoreFull, StoreUnavailable) as error:
            log.warning("stream.lost", stream=stream, error=str(error)[:200])
        await asyncio.sleep(backoff.next_s())


class Forwarder:
    """Tells the utility what was transferred, so that it bills houses net of their guests.

    Args:
        utility: Whom to tell.
        transfers: What to tell; what is there is the outbox.
    """

    def __init__(self, utility: Utility, transfers: Forwarding) -> None:
        self._utility = utility
        self._transfers = transfers
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Something was projected here."""
        self._wake.set()

    async def run(self) -> None:
        """Tell for ever."""
        backoff = Backoff(first_s=0.5, longest_s=30.0)
        while True:
            self._wake.clear()
            try:
                while await self._step():
                    backoff.reset()
                await self._rest()
            except (PeerUnavailable, StoreFull, StoreUnavailable) as error:
                log.warning("transfers.not_forwarded", error=str(error)[:200])
                await asyncio.sleep(backoff.next_s())

    async def _rest(self) -> None:
        try:
            async with asyncio.timeout(2.0):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _step(self) -> bool:
        pending = await self._transfers.to_forward(BATCH)
        if not pending:
            return False
        await self._utility.report(pending)
        await self._transfers.forwarded(pending)
        log.info("transfers.forwarded", transfers=len(pending))
        return True
