"""The day-ahead market of JEPX as a venue.

DAH1001 answers only how many offers it took. So the truth is always the exchange's own list
(DAH1002), where our bids are recognised by their notes: it is read before anything is sent, and
again after, and a bid that it shows twice is deleted once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from gridcord.chassis.clock import Clock
from gridcord.protocols.jepx import ErrorCode, calls
from gridcord.protocols.jepx.board import MarketResult
from gridcord.protocols.jepx.fields import AREA_CODES
from gridcord.protocols.jepx.offers import BidResult, StoredBid
from market_adapter.domain.bids import Bid, BidRefused, RefusalReason
from market_adapter.domain.contracts import AreaPrice, Contract, Outcome, PriceKind
from market_adapter.domain.profile import MarketProfile
from market_adapter.ports import Refused, Taken, VenueUnavailable
from market_adapter.venues.jepx import notes
from market_adapter.venues.jepx.connection import AnswerLost, NotEntitled, Pool

_OFFERS_AT_ONCE = 500
_AREA_OF = {code: area for area, code in AREA_CODES.items()}

Answers = dict[UUID, Taken | Refused]


@dataclass(frozen=True, slots=True, kw_only=True)
class JepxDayAhead:
    """The venue.

    Args:
        profile: What it takes.
        pool: Connections to the exchange.
        contract_code: Code of our plan submitter or balancing group.
        clock: Time.
        settle_s: How long after a lost answer the list is read: a call that is still on its way
            inside the exchange is to have arrived by then.
    """

    profile: MarketProfile
    pool: Pool
    contract_code: str
    clock: Clock
    settle_s: float = 5.0

    async def submit(self, bids: Sequence[Bid]) -> Mapping[UUID, Taken | Refused]:
        """See `Venue.submit`."""
        by_day: defaultdict[date, list[Bid]] = defaultdict(list)
        for bid in bids:
            by_day[self.profile.day_of(bid.period)].append(bid)
        answers: Answers = {}
        for day, of_day in sorted(by_day.items()):
            try:
                answers |= await self._submit_day(day, of_day)
            except NotEntitled as error:
                refusal = Refused(reason=RefusalReason.NOT_ENTITLED, detail=str(error))
                answers |= {bid.bid_id: refusal for bid in of_day}
        return answers

    async def withdraw(self, bid: Bid) -> None:
        """See `Venue.withdraw`."""
        day = self.profile.day_of(bid.period)
        stored = (await self._list(day)).get(bid.bid_id)
        if stored is None:
            return
        call = calls.Deletions(delivery_date=day, bid_nos=[stored.bid_no])
        answer = await self._ask(calls.DAY_AHEAD_DELETE, call)
        if answer.status != "200" and answer.info != ErrorCode.NONE:
            refusal = notes.refusal_of(answer.info)
            raise BidRefused(refusal.reason, refusal.detail)

    async def outcomes(self, bids: Sequence[Bid]) -> Mapping[UUID, Outcome]:
        """See `Venue.outcomes`."""
        outcomes: dict[UUID, Outcome] = {}
        for day in sorted({self.profile.day_of(bid.period) for bid in bids}):
            wanted = [bid for bid in bids if self.profile.day_of(bid.period) == day]
            outcomes |= await self._outcomes_of_day(day, wanted)
        return outcomes

    async def prices(self, day: date) -> Sequence[AreaPrice]:
        """See `Venue.prices`."""
        now_s = int(self.clock.now())
        return [
            AreaPrice(
                market_id=self.profile.market_id,
                kind=PriceKind.DAY_AHEAD,
                area_id=_AREA_OF[area_cd],
                period=self.profile.calendar.period(day, int(row.time_cd)),
                price=notes.price_of(price),
                published_s=now_s,
            )
            for row in await self._market(day)
            for area_cd, price in row.area_prices_jpy_per_mwh.items()
            if _AREA_OF[area_cd] in self.profile.areas
        ]

    async def close(self) -> None:
        """See `Venue.close`."""
        await self.pool.close()

    async def _submit_day(self, day: date, bids: Sequence[Bid]) -> Answers:
        there = await self._list(day)
        missing = [bid for bid in bids if bid.bid_id not in there]
        refused: Answers = {}
        for start in range(0, len(missing), _OFFERS_AT_ONCE):
            refused |= await self._send(missing[start : start + _OFFERS_AT_ONCE])
        if missing:
            there = await self._list(day)
        taken = {b.bid_id: there[b.bid_id] for b in bids if b.bid_id in there}
        return refused | {i: Taken(venue_bid_id=stored.bid_no) for i, stored in taken.items()}

    async def _send(self, bids: Sequence[Bid]) -> Answers:
        """Send offers that the exchange does not have; returns those it refused."""
        offers = [
            notes.offer_of(bid, profile=self.profile, contract_code=self.contract_code)
            for bid in bids
        ]
        try:
            answer = await self.pool.call(calls.DAY_AHEAD_OFFER, calls.Offers(offers=offers))
        except AnswerLost:
            await self.clock.sleep(self.settle_s)
            return {}
        if answer.status == "200":
            return {}
        if len(bids) == 1:
            return {bids[0].bid_id: notes.refusal_of(answer.info)}
        refused: Answers = {}
        for bid in bids:  # all were refused for the sake of one: find it
            refused |= await self._send([bid])
        return refused

    async def _list(self, day: date) -> dict[UUID, StoredBid]:
        """Our bids of a day as the exchange has them, each once."""
        answer = await self._ask(calls.DAY_AHEAD_BIDS, calls.OfDay(delivery_date=day))
        there: dict[UUID, StoredBid] = {}
        surplus = []
        for stored in answer.rows:
            bid_id = notes.bid_id_of(stored.offer.note)
            if bid_id in there:
                surplus.append(stored.bid_no)
            elif bid_id is not None:
                there[bid_id] = stored
        if surplus:
            call = calls.Deletions(delivery_date=day, bid_nos=surplus)
            await self._ask(calls.DAY_AHEAD_DELETE, call)
        return there

    async def _outcomes_of_day(self, day: date, bids: Sequence[Bid]) -> dict[UUID, Outcome]:
        if self.clock.now() < self.profile.gate_closes_s(bids[0].period):
            await self._list(day)  # a copy that came late can still be deleted
            return {}
        answer = await self._ask(calls.DAY_AHEAD_CONTRACTS, calls.OfDay(delivery_date=day))
        rows: defaultdict[UUID, list[BidResult]] = defaultdict(list)
        for row in answer.rows:
            bid_id = notes.bid_id_of(row.offer.note)
            if bid_id is not None:
                rows[bid_id].append(row)
        if not all(bid.bid_id in rows for bid in bids) and not await self._market(day):
            return {}  # nothing was published yet
        return {
            bid.bid_id: Outcome(
                contracts=tuple(
                    self._contract(bid, row) for row in rows[bid.bid_id] if row.contract_volume_w
                ),
                is_final=True,
            )
            for bid in bids
        }

    def _contract(self, bid: Bid, row: BidResult) -> Contract:
        if row.contract_price_jpy_per_mwh is None:
            message = f"the exchange contracted {row.bid_no} without a price"
            raise VenueUnavailable(message)
        return Contract(
            contract_id=row.bid_no,
            bid_id=bid.bid_id,
            market_id=bid.market_id,
            area_id=bid.area_id,
            period=bid.period,
            side=bid.side,
            energy_wh=self._energy_wh(row),
            price=notes.price_of(row.contract_price_jpy_per_mwh),
            at_s=self.profile.gate_closes_s(bid.period),
        )

    def _energy_wh(self, row: BidResult) -> int:
        return row.contract_volume_w * self.profile.calendar.length_s // 3600

    async def _market(self, day: date) -> Sequence[MarketResult]:
        answer = await self._ask(calls.DAY_AHEAD_MARKET, calls.OfDay(delivery_date=day))
        rows: Sequence[MarketResult] = answer.rows
        return rows

    async def _ask(self, api: str, call: calls.Call) -> calls.Answer:
        answer = await self.pool.ask(api, call)
        if answer.status != "200" and api != calls.DAY_AHEAD_DELETE:
            message = f"the exchange refused {api}: {answer.info}"
            raise VenueUnavailable(message)
        return answer
