"""The intraday market of JEPX as a venue.

Here a bid may be contracted at once, so a second copy could not be taken back in time: a bid is
sent only when the exchange's list of its half hour (ITD1003) does not show its note, and after a
lost answer not before a call on its way has had the time to arrive.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TypeVar
from uuid import UUID

from gridcord.chassis.clock import Clock
from gridcord.protocols.jepx import calls, fields
from gridcord.protocols.jepx.offers import IntradayBid, IntradayContract
from gridcord.units import Period
from market_adapter.domain.bids import Bid, BidRefused, RefusalReason
from market_adapter.domain.contracts import AreaPrice, Contract, Outcome
from market_adapter.domain.profile import MarketProfile
from market_adapter.ports import Refused, Taken, VenueUnavailable
from market_adapter.venues.jepx import notes
from market_adapter.venues.jepx.connection import AnswerLost, NotEntitled, Pool

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class JepxIntraday:
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
        return await _of_all(
            [self._submit_product(period, group) for period, group in _by_period(bids).items()]
        )

    async def withdraw(self, bid: Bid) -> None:
        """See `Venue.withdraw`."""
        there = (await self._list(bid.period)).get(bid.bid_id)
        if there is None or there.is_deleted:
            return
        if _is_full(there):
            _refuse_contracted(bid)
        call = calls.OneDeletion(
            delivery_date=there.delivery_date, time_cd=there.time_cd, target_bid_no=there.bid_no
        )
        answer = await self.pool.ask(calls.INTRADAY_DELETE, call)
        if answer.status != "200":
            refusal = notes.refusal_of(answer.info)
            raise BidRefused(refusal.reason, refusal.detail)
        await self._confirm_deleted(bid)

    async def outcomes(self, bids: Sequence[Bid]) -> Mapping[UUID, Outcome]:
        """See `Venue.outcomes`."""
        return await _of_all(
            [self._outcomes(period, group) for period, group in _by_period(bids).items()]
        )

    async def prices(self, day: date) -> Sequence[AreaPrice]:
        """See `Venue.prices`: continuous trade has no price of an area; the board has trades."""
        del day
        return ()

    async def close(self) -> None:
        """See `Venue.close`."""
        await self.pool.close()

    async def _submit_product(
        self, period: Period, bids: Sequence[Bid]
    ) -> dict[UUID, Taken | Refused]:
        try:
            there = await self._list(period)
            answers: dict[UUID, Taken | Refused] = {
                bid.bid_id: Taken(venue_bid_id=there[bid.bid_id].bid_no)
                for bid in bids
                if bid.bid_id in there
            }
            for bid in bids:
                if bid.bid_id not in there and (answer := await self._send(bid)) is not None:
                    answers[bid.bid_id] = answer
        except NotEntitled as error:
            refusal = Refused(reason=RefusalReason.NOT_ENTITLED, detail=str(error))
            return {bid.bid_id: refusal for bid in bids}
        return answers

    async def _send(self, bid: Bid) -> Taken | Refused | None:
        """Send a bid the exchange does not have; None when even the list does not tell."""
        offer = notes.offer_of(bid, profile=self.profile, contract_code=self.contract_code)
        try:
            answer = await self.pool.call(calls.INTRADAY_OFFER, calls.OneOffer(offer=offer))
        except AnswerLost:
            await self.clock.sleep(self.settle_s)
            there = (await self._list(bid.period)).get(bid.bid_id)
            return None if there is None else Taken(venue_bid_id=there.bid_no)
        if answer.status != "200":
            return notes.refusal_of(answer.info)
        assert answer.bid_no is not None
        return Taken(venue_bid_id=answer.bid_no)

    async def _list(self, period: Period) -> dict[UUID, IntradayBid]:
        """Our bids of a half hour; of one that is there twice, the copy that is open is deleted."""
        answer = await self._ask(calls.INTRADAY_BIDS, period)
        copies: defaultdict[UUID, list[IntradayBid]] = defaultdict(list)
        for row in answer.rows:
            bid_id = notes.bid_id_of(row.offer.note) if row.offer else None
            if bid_id is not None:
                copies[bid_id].append(row)
        return {bid_id: await self._single(rows) for bid_id, rows in copies.items()}

    async def _single(self, rows: list[IntradayBid]) -> IntradayBid:
        """The copy that counts: the one with most contracts, then the live one, then the first."""
        rows.sort(key=lambda r: (-r.contract_volume_w, r.is_deleted, int(r.bid_no)))
        for row in rows[1:]:
            if not row.is_deleted and not _is_full(row):
                call = calls.OneDeletion(
                    delivery_date=row.delivery_date, time_cd=row.time_cd, target_bid_no=row.bid_no
                )
                await self.pool.ask(calls.INTRADAY_DELETE, call)
        return rows[0]

    async def _confirm_deleted(self, bid: Bid) -> None:
        """A request to delete is itself queued: look what became of it."""
        there = (await self._list(bid.period)).get(bid.bid_id)
        if there is not None and _is_full(there):
            _refuse_contracted(bid)
        if there is not None and not there.is_deleted:
            message = f"the exchange has not yet deleted {there.bid_no}"
            raise VenueUnavailable(message)

    async def _outcomes(self, period: Period, bids: Sequence[Bid]) -> dict[UUID, Outcome]:
        # The list first: what is final in it cannot gain contracts before they are read.
        there = await self._list(period)
        is_over = self.clock.now() >= self.profile.gate_closes_s(period)
        contracts: defaultdict[UUID, list[IntradayContract]] = defaultdict(list)
        for row in (await self._ask(calls.INTRADAY_CONTRACTS, period)).rows:
            bid_id = notes.bid_id_of(row.note)
            if bid_id is not None:
                contracts[bid_id].append(row)
        return {
            bid.bid_id: Outcome(
                contracts=tuple(self._contract(bid, row) for row in contracts[bid.bid_id]),
                is_final=is_over or _is_final(there.get(bid.bid_id)),
            )
            for bid in bids
            if is_over or bid.bid_id in there
        }

    def _contract(self, bid: Bid, row: IntradayContract) -> Contract:
        return Contract(
            contract_id=row.contract_no,
            bid_id=bid.bid_id,
            market_id=bid.market_id,
            area_id=bid.area_id,
            period=bid.period,
            side=bid.side,
            energy_wh=fields.energy_wh(row.volume_w),
            price=notes.price_of(row.price_jpy_per_mwh),
            at_s=notes.instant_s(row.timestamp, profile=self.profile),
        )

    async def _ask(self, api: str, period: Period) -> calls.Answer:
        day, number = self.profile.calendar.label(period)
        call = calls.OfProduct(delivery_date=day, time_cd=fields.time_cd(number))
        answer = await self.pool.ask(api, call)
        if answer.status != "200":
            message = f"the exchange refused {api}: {answer.info}"
            raise VenueUnavailable(message)
        return answer


async def _of_all(asked: Sequence[Awaitable[dict[UUID, T]]]) -> dict[UUID, T]:
    """What was found for each half hour, once all of them have ended.

    None may go on behind the back of a caller that was told of a failure: the next round would
    find its bid missing, and both would send it.

    Raises:
        VenueUnavailable: The first failure, when nothing could be found out.
    """
    found: dict[UUID, T] = {}
    failure: VenueUnavailable | None = None
    for each in await asyncio.gather(*asked, return_exceptions=True):
        if isinstance(each, VenueUnavailable):
            failure = failure or each
        elif isinstance(each, BaseException):
            raise each
        else:
            found |= each
    if failure is not None and not found:
        raise failure
    return found


def _by_period(bids: Sequence[Bid]) -> dict[Period, list[Bid]]:
    groups: defaultdict[Period, list[Bid]] = defaultdict(list)
    for bid in bids:
        groups[bid.period].append(bid)
    return dict(sorted(groups.items()))


def _is_full(row: IntradayBid) -> bool:
    return row.offer is not None and row.contract_volume_w >= row.offer.volume_w


def _is_final(row: IntradayBid | None) -> bool:
    return row is not None and (row.is_deleted or _is_full(row))


def _refuse_contracted(bid: Bid) -> None:
    raise BidRefused(RefusalReason.BID_CONTRACTED, f"all of {bid.bid_id} is contracted")
