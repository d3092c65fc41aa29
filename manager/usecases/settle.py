"""Take what became known into the ledger: readings and verdicts whenever they come."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import structlog

from manager.ports import Settlement, StoreFull, StoreUnavailable

MOST_FACTS = 500
LOOK_S = 1.0

log = structlog.get_logger()


class Settler:
    """Keeps the ledger up with what the manager knows.

    Records are settled where they are projected, in the same transaction; this takes the rest, and
    what a manager before could not.

    Args:
        settlement: The ledger.
        now: The manager's clock, seconds since 1970 UTC.
        sleep: Waits in real time.
    """

    def __init__(
        self,
        *,
        settlement: Settlement,
        now: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._settlement = settlement
        self._now = now
        self._sleep = sleep

    async def run(self) -> None:
        """Settle for ever."""
        while True:
            try:
                while await self.step():
                    pass
            except (StoreFull, StoreUnavailable) as error:
                log.error("facts.not_settled", error=str(error)[:200])
            await self._sleep(LOOK_S)

    async def step(self) -> bool:
        """Settle one batch; False when there was nothing."""
        taken = await self._settlement.settle(now_s=int(self._now()), limit=MOST_FACTS)
        if taken:
            log.info("facts.settled", looked_at=taken)
        return taken > 0
