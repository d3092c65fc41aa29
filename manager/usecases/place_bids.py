"""Bid the fleet's flexibility before each gate closes.

What to bid is decided once for a gate and stored before anything is sent; what the market is not
known to have is sent again, with the same ids. So a process that ends between storing and sending,
or between sending and noting it, neither loses a bid nor sends another in its place.

Who is on an outlet is noted at every look: past days tell who may come tomorrow.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import structlog

from gridcord.chassis.retry import Backoff
from manager.domain.bidding.bid import MarketTerms
from manager.domain.bidding.horizon import PlanError
from manager.domain.bidding.noted_stay import DAY_S, noted
from manager.domain.bidding.offers import OfferRules, Situation, offers
from manager.domain.records.resource import ResourceState
from manager.ports import Bids, Market, PeerUnavailable, Stays, StoreFull, StoreUnavailable

log = structlog.get_logger()

_KNOWN = "BID_CONFLICT"  # the same product was bid for before: what stands, stands
_MOST_AT_ONCE = 1_000  # of one request
_GAP_S = 1_800  # who was away for longer left, where nothing else was planned


@dataclass(frozen=True, slots=True, kw_only=True)
class BidPlace:
    """Where to bid.

    Args:
        market_id: Which market.
        area_id: In which area.
    """

    market_id: str
    area_id: str


class Bidder:
    """Bids by itself.

    Args:
        market: Where to.
        bids: What was decided, and the prices it is decided by.
        stays: Who was on an outlet when.
        place: In which market and area.
        rules: What the operator decided.
        fleet: What the resources can do now.
        now: The manager's clock, seconds since 1970 UTC.
        sleep: Waits on that clock.
        every_s: Between two looks at the next gate, seconds.
    """

    def __init__(
        self,
        *,
        market: Market,
        bids: Bids,
        stays: Stays,
        place: BidPlace,
        rules: OfferRules,
        fleet: Callable[[], Sequence[ResourceState]],
        now: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
        every_s: float,
    ) -> None:
        self._market = market
        self._bids = bids
        self._stays = stays
        self._place = place
        self._rules = rules
        self._fleet = fleet
        self._now = now
        self._sleep = sleep
        self._every_s = every_s
        self._start_s = now()

    async def run(self) -> None:
        """Bid for ever."""
        while True:
            try:
                await self.step()
            except PeerUnavailable as error:
                log.warning("bids.not_placed", error=str(error)[:200])
            except (StoreFull, StoreUnavailable, PlanError) as error:
                log.error("bids.not_decided", error=str(error)[:200])
            await self._sleep(self._every_s)

    async def step(self) -> None:
        """Note who is there, send what is decided; decide when the gate is near, and send that."""
        await self._note()
        await self._send()
        terms = await self._market.terms(self._place.market_id)
        if terms is None:
            log.warning("market.unknown", market_id=self._place.market_id)
            return
        if self._place.area_id not in terms.area_ids:
            log.warning("area.unknown", area_id=self._place.area_id, areas=terms.area_ids)
            return
        left_s = terms.gate_s - self._now()
        if left_s > 2 * self._every_s:
            return  # the fleet will have changed by then
        if left_s > self._every_s > self._now() - self._start_s:
            return  # after a start the fleet comes back meanwhile
        place = self._place
        if not await self._bids.decided(place.market_id, place.area_id, terms.gate_first):
            await self._decide(terms)
            await self._send()

    async def _note(self) -> None:
        now_s = int(self._now())
        seen = [found for each in self._fleet() if (found := noted(each, now_s=now_s))]
        await self._stays.note(seen, now_s=now_s, gap_s=max(_GAP_S, int(3 * self._every_s)))

    async def _decide(self, terms: MarketTerms) -> None:
        place, now_s = self._place, self._now()
        oldest_s = int(now_s) - (self._rules.price_days + 3) * DAY_S
        situation = Situation(
            now_s=now_s,
            fleet=[each for each in self._fleet() if each.area_id == place.area_id],
            prices=await self._bids.prices(place.area_id, oldest_s),
            contracted_wh=await self._bids.contracted_wh(place.area_id, int(now_s)),
            stays=await self._stays.since(place.area_id, int(now_s) - self._rules.past_s),
        )
        found = await asyncio.to_thread(
            offers, situation, terms=terms, area_id=place.area_id, rules=self._rules
        )
        if not found:
            return  # nobody is connected or expected: look again until the gate
        await self._bids.decide(
            place.market_id, place.area_id, terms.gate_first, found, now_s=int(now_s)
        )
        log.info("bids.decided", bids=len(found), resources=len(situation.fleet))

    async def _send(self) -> None:
        while bids := (await self._bids.unsent(self._place.market_id))[:_MOST_AT_ONCE]:
            refused = await self._market.submit(bids)
            told = {bid_id: reason for bid_id, reason in refused.items() if reason != _KNOWN}
            await self._bids.sent(bids, told)
            log.info(
                "bids.placed", bids=len(bids), refused=len(told), reasons=sorted(set(told.values()))
            )


async def follow_day_ahead(market: Market, bids: Bids) -> None:
    """Keep day-ahead prices as they are published, for ever, from a durable cursor."""
    backoff = Backoff(first_s=0.5, longest_s=30.0)
    while True:
        try:
            async for told, cursor in market.watch_day_ahead(await bids.price_cursor()):
                backoff.reset()
                if told is not None:
                    area_id, period, price = told
                    await bids.take_price(area_id, period, price, cursor)
        except (PeerUnavailable, StoreFull, StoreUnavailable) as error:
            log.warning("stream.lost", stream="market.day_ahead", error=str(error)[:200])
        await asyncio.sleep(backoff.next_s())
