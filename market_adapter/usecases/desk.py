"""The trading desk: bids go out exactly once, and what became of them comes back.

A bid is durable before it is sent and its id travels with it. Whatever happens in between, a lost
answer, a restart, a killed process, the next round asks the venue what it has before it sends
anything. There is no other recovery: the first round after a start is a round like any other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import structlog

from gridcord.chassis.clock import Clock
from market_adapter.domain.bids import Bid, BidRefused, RefusalReason, check_bid
from market_adapter.domain.contracts import Outcome
from market_adapter.domain.lifecycle import (
    Accepted,
    BidEvent,
    BidStatus,
    Closed,
    Contracted,
    Rejected,
    WithdrawalRefused,
    WithdrawalWanted,
    Withdrawn,
)
from market_adapter.domain.profile import Clearing
from market_adapter.ports import BidStore, Refused, Taken, Venue, VenueUnavailable

PAST_DAYS = 20  # of prices: what bids are decided by

Result = BidStatus | BidRefused
log = structlog.get_logger()


class Desk:
    """Trades on venues.

    Args:
        store: What is not forgotten.
        venues: Market id -> venue.
        clock: Time.
    """

    def __init__(self, *, store: BidStore, venues: Mapping[str, Venue], clock: Clock) -> None:
        self._store = store
        self._venues = venues
        self._clock = clock
        # Two rounds of one market at once could both find a bid missing and both send it.
        self._rounds = {market_id: asyncio.Lock() for market_id in venues}
        self._priced: dict[str, set[date]] = {market_id: set() for market_id in venues}

    async def place(self, bids: Sequence[Bid]) -> dict[UUID, Result]:
        """Keep bids and send them.

        Returns:
            Where each stands; SUBMITTING when the venue could not be asked, which the next rounds
            go on with.
        """
        known = await asyncio.to_thread(self._store.statuses, [bid.bid_id for bid in bids])
        refused: dict[UUID, Result] = {}
        for bid in bids:
            # Said twice: whether it is the same bid is decided where it is kept.
            if bid.bid_id not in known and (refusal := self._refusal(bid)) is not None:
                refused[bid.bid_id] = refusal
        good = [bid for bid in bids if bid.bid_id not in refused]
        kept = await asyncio.to_thread(self._store.add_bids, good, now_s=int(self._clock.now()))
        for market_id in sorted({bid.market_id for bid in good}):
            await self._push(market_id)
        after = await asyncio.to_thread(self._store.statuses, list(kept))
        conflicts = {i: r for i, r in kept.items() if isinstance(r, BidRefused)}
        return {**refused, **after, **conflicts}

    async def withdraw(self, bid_ids: Sequence[UUID]) -> dict[UUID, Result]:
        """Take bids back.

        Returns:
            Where each stands; with `withdrawal_wanted` when the venue could not be asked.
        """
        results: dict[UUID, Result] = {}
        for bid_id in bid_ids:
            results[bid_id] = await self._withdraw(bid_id)
        return results

    async def round(self, market_id: str) -> None:
        """Do all that waits at one market: send, take back, ask what became of bids, prices.

        A venue that cannot be asked leaves everything as it is.
        """
        await self._push(market_id)
        async with self._rounds[market_id]:
            with _unavailable(market_id):
                await self._collect(market_id)
            with _unavailable(market_id):
                await self._prices(market_id)

    async def run(self, market_id: str, *, every_s: float) -> None:
        """Go round one market for ever.

        Args:
            market_id: Which.
            every_s: Time between rounds, seconds of the clock.
        """
        while True:
            await self.round(market_id)
            await self._clock.sleep(every_s)

    def _refusal(self, bid: Bid) -> BidRefused | None:
        venue = self._venues.get(bid.market_id)
        if venue is None:
            return BidRefused(RefusalReason.UNKNOWN_MARKET, bid.market_id)
        try:
            check_bid(bid=bid, profile=venue.profile, now_s=self._clock.now())
        except BidRefused as error:
            return error
        return None

    async def _withdraw(self, bid_id: UUID) -> Result:
        known = await asyncio.to_thread(self._store.statuses, [bid_id])
        if bid_id not in known:
            return BidRefused(RefusalReason.BID_UNKNOWN, str(bid_id))
        await self._advance([(bid_id, WithdrawalWanted())])
        await self._push(known[bid_id].bid.market_id)
        after = (await asyncio.to_thread(self._store.statuses, [bid_id]))[bid_id]
        if not after.withdrawal_wanted and not after.is_closed:
            return BidRefused(RefusalReason.GATE_CLOSED, f"{bid_id} stands at the venue")
        return after

    async def _push(self, market_id: str) -> None:
        async with self._rounds[market_id]:
            for status in await asyncio.to_thread(self._store.unwithdrawn, market_id):
                with _unavailable(market_id):
                    await self._take_back(status.bid)
            with _unavailable(market_id):
                await self._submit(market_id)

    async def _submit(self, market_id: str) -> None:
        waiting = await asyncio.to_thread(self._store.unsent, market_id)
        if not waiting:
            return
        answers = await self._venues[market_id].submit([status.bid for status in waiting])
        await self._advance([(bid_id, _event(answer)) for bid_id, answer in answers.items()])

    async def _take_back(self, bid: Bid) -> None:
        venue = self._venues[bid.market_id]
        try:
            await venue.withdraw(bid)
        except BidRefused as error:
            log.info("withdrawal.refused", bid=str(bid.bid_id), reason=error.reason)
            await self._advance([(bid.bid_id, WithdrawalRefused())])
            return
        outcome = (await venue.outcomes([bid])).get(bid.bid_id)
        made = _contract_events(bid.bid_id, outcome)
        await self._advance([*made, (bid.bid_id, Withdrawn())])

    async def _collect(self, market_id: str) -> None:
        standing = await asyncio.to_thread(self._store.standing, market_id)
        if not standing:
            return
        outcomes = await self._venues[market_id].outcomes([status.bid for status in standing])
        events: list[tuple[UUID, BidEvent]] = []
        for bid_id, outcome in outcomes.items():
            events += _contract_events(bid_id, outcome)
            if outcome.is_final:
                events.append((bid_id, Closed()))
        for bid_id, status in (await self._advance(events)).items():
            if status.excess_wh:
                log.error("contract.excess", bid=str(bid_id), excess_wh=status.excess_wh)

    async def _prices(self, market_id: str) -> None:
        """Prices of past days, today and tomorrow, by the market's own calendar.

        What an auction made is final, so a day that has its prices is not asked for again; a past
        day is asked for once, whatever it has.
        """
        venue, known = self._venues[market_id], self._priced[market_id]
        zone = ZoneInfo(venue.profile.calendar.zone)
        today = datetime.fromtimestamp(self._clock.now(), zone).date()
        is_final = venue.profile.clearing is Clearing.AUCTION
        areas = len(venue.profile.areas)
        for offset in (1, 0, *range(-1, -PAST_DAYS - 1, -1)):
            day = today + timedelta(days=offset)
            if day in known:
                continue
            prices = await venue.prices(day)
            await asyncio.to_thread(self._store.keep_prices, prices)
            whole = len(prices) >= areas * len(venue.profile.calendar.periods_of(day))
            if offset < 0 or (is_final and whole):
                known.add(day)

    async def _advance(self, events: Sequence[tuple[UUID, BidEvent]]) -> Mapping[UUID, BidStatus]:
        return await asyncio.to_thread(self._store.advance, events)


@contextmanager
def _unavailable(market_id: str) -> Iterator[None]:
    """A venue that cannot be asked leaves everything as it is; the next round asks again."""
    try:
        yield
    except VenueUnavailable as error:
        log.warning("venue.unavailable", market=market_id, cause=str(error))


def _event(answer: Taken | Refused) -> BidEvent:
    if isinstance(answer, Taken):
        return Accepted(venue_bid_id=answer.venue_bid_id)
    return Rejected(reason=answer.reason, detail=answer.detail)


def _contract_events(bid_id: UUID, outcome: Outcome | None) -> list[tuple[UUID, BidEvent]]:
    return [(bid_id, Contracted(contract=c)) for c in (outcome.contracts if outcome else ())]
