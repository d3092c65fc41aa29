"""Bid the fleet's flexibility before each gate closes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import structlog

from manager.domain.bid import BidRule, bids_for
from manager.domain.resource import ResourceState
from manager.ports import Market, PeerUnavailable

log = structlog.get_logger()

_KNOWN = "BID_CONFLICT"  # the same product was bid for before: what stands, stands


class Bidder:
    """Bids by itself; the ids of bids make asking twice harmless, also after a restart.

    Args:
        market: Where to.
        market_id: Which market.
        area_id: In which area.
        rule: At which prices.
        fleet: What the resources can do now.
        now: The manager's clock, seconds since 1970 UTC.
        sleep: Waits on that clock.
        every_s: Between two looks at the next gate, seconds.
    """

    def __init__(
        self,
        *,
        market: Market,
        market_id: str,
        area_id: str,
        rule: BidRule,
        fleet: Callable[[], Sequence[ResourceState]],
        now: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
        every_s: float,
    ) -> None:
        self._market = market
        self._market_id = market_id
        self._area_id = area_id
        self._rule = rule
        self._fleet = fleet
        self._now = now
        self._sleep = sleep
        self._every_s = every_s

    async def run(self) -> None:
        """Bid for ever."""
        while True:
            try:
                await self._bid()
            except PeerUnavailable as error:
                log.warning("bids.not_placed", error=str(error)[:200])
            await self._sleep(self._every_s)

    async def _bid(self) -> None:
        terms = await self._market.terms(self._market_id)
        if terms is None:
            log.warning("market.unknown", market_id=self._market_id)
            return
        if terms.gate_s - self._now() > 2 * self._every_s:
            return  # the fleet will have changed by then
        bids = bids_for(terms=terms, area_id=self._area_id, fleet=self._fleet(), rule=self._rule)
        if not bids:
            return
        refused = await self._market.submit(bids)
        told = {bid_id: reason for bid_id, reason in refused.items() if reason != _KNOWN}
        log.info(
            "bids.placed", bids=len(bids), refused=len(told), reasons=sorted(set(told.values()))
        )
