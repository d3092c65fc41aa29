"""The intraday market: continuous trade from 17:00 of the day before until an hour before."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from gridcord.protocols.jepx import calls, fields
from gridcord.protocols.jepx.board import AREA_GROUPS, BoardNotice, Notice, Product, TradeNotice
from gridcord.protocols.jepx.fields import ErrorCode, MessageError
from gridcord.protocols.jepx.offers import BidType, IntradayBid, IntradayContract, Offer
from gridcord.simulation.exchange import background, book, schedule
from gridcord.simulation.exchange.day_ahead import MAX_MICROS, MIN_MICROS, order_of
from gridcord.simulation.exchange.prices import PriceSeries
from gridcord.simulation.exchange.state import INTRADAY, BidRow, State

BACKGROUND = "background"
_BACKGROUND_CODE = "OTHER"
_GROUP_OF = {area: group for group, areas in AREA_GROUPS.items() for area in areas}


@dataclass(frozen=True, slots=True, kw_only=True)
class Intraday:
    """The calls of the intraday market.

    Args:
        state: What is kept.
        prices: Middle of the background's quotes.
        depth: How deep they are.
        shown_areas: Areas whose quotes stand from the start; others begin with the first bid.
        suspended: Half hours of which trade is suspended.
        tell: Receives every change of the board and every trade.
    """

    state: State
    prices: PriceSeries
    depth: background.Depth
    shown_areas: Sequence[str]
    suspended: set[tuple[date, str]]
    tell: Callable[[Sequence[Notice]], None]

    def offer(self, call: calls.OneOffer, member: str, now_s: float) -> str:
        """Take an offer and match it; returns its number (ITD1001)."""
        offer = call.offer
        key = (offer.delivery_date, offer.time_cd)
        if not schedule.takes_intraday(*key, now_s) or key in self.suspended:
            raise MessageError(ErrorCode.SCHEDULE, "timeCd")
        if offer.bid_type in {BidType.SELL_FIT, BidType.SELL_APPROVAL}:
            raise MessageError(ErrorCode.CODE, "bidTypeCd")
        with self.state.transaction():
            notices = self._open(offer.delivery_date, offer.time_cd, offer.area_cd, now_s)
            number = self.state.add_bid(market=INTRADAY, member=member, at_s=now_s, offer=offer)
            notices += self._match(number, offer, now_s)
        self.tell(notices)
        return str(number)

    def delete(self, call: calls.OneDeletion, member: str, now_s: float) -> str:
        """Take a request to delete and do it; returns its own number (ITD1002)."""
        target = self.state.bid(market=INTRADAY, member=member, bid_no=call.target_bid_no)
        if target is None or target.target_bid_no is not None:
            raise MessageError(ErrorCode.CODE, "targetBidNo")
        product = (target.offer.delivery_date, target.offer.time_cd)
        if product != (call.delivery_date, call.time_cd):
            raise MessageError(ErrorCode.INCONSISTENCY, "timeCd")
        if not schedule.takes_intraday(*product, now_s):
            raise MessageError(ErrorCode.SCHEDULE, "timeCd")
        with self.state.transaction():
            number = self.state.add_bid(
                market=INTRADAY, member=member, at_s=now_s, offer=target.offer, target=target.bid_no
            )
            if target.open_w:
                self.state.mark_deleted(target.bid_no)
                self.state.mark_deleted(number)
        if target.open_w and target.offer.bid_type.is_limit:
            self.tell([_board_notice(target.offer, -target.open_w, now_s)])
        return str(number)

    def bids(self, call: calls.OfProduct, member: str) -> list[IntradayBid]:
        """The member's bids and requests to delete of a half hour (ITD1003)."""
        rows = self.state.bids(
            market=INTRADAY, day=call.delivery_date, member=member, time_cd=call.time_cd
        )
        return [_intraday_bid(row) for row in rows]

    def contracts(self, call: calls.OfProduct, member: str) -> list[IntradayContract]:
        """The member's contracts of a half hour (ITD1004)."""
        return [
            IntradayContract(
                contract_no=str(row.contract_no),
                timestamp=schedule.local(row.at_s),
                bid_no=str(row.bid.bid_no),
                delivery_date=row.bid.offer.delivery_date,
                time_cd=row.bid.offer.time_cd,
                area_cd=row.bid.offer.area_cd,
                bid_type=row.bid.offer.bid_type,
                delivery_contract_cd=row.bid.offer.delivery_contract_cd,
                note=row.bid.offer.note,
                price_jpy_per_mwh=row.price_jpy_per_mwh,
                volume_w=row.volume_w,
            )
            for row in self.state.contracts(market=INTRADAY, day=call.delivery_date)
            if row.bid.member == member and row.bid.offer.time_cd == call.time_cd
        ]

    def products(self, now_s: float) -> list[Product]:
        """Half hours traded now and whether trade is suspended (ITD1005)."""
        return [
            Product(delivery_date=day, time_cd=code, is_suspended=(day, code) in self.suspended)
            for day, code in schedule.intraday_products(now_s)
        ]

    def snapshot(self, now_s: float) -> list[Notice]:
        """All trades and all open offers of today and tomorrow: how a stream begins (ITN1001)."""
        with self.state.transaction():
            for day, code in schedule.intraday_products(now_s):
                for area_cd in self.shown_areas:
                    self._open(day, code, area_cd, now_s)
        first = schedule.today(now_s)
        notices: list[Notice] = []
        for day in (first, first + timedelta(days=1)):
            notices += self._trades(day)
            notices += self._board(day, now_s)
        return notices

    def _trades(self, day: date) -> list[Notice]:
        return [
            TradeNotice(
                timestamp=schedule.local(row.at_s),
                delivery_date=day,
                time_cd=row.bid.offer.time_cd,
                price_jpy_per_mwh=row.price_jpy_per_mwh,
                volume_w=row.volume_w,
            )
            for row in self.state.contracts(market=INTRADAY, day=day)
            if row.is_incoming
        ]

    def _board(self, day: date, now_s: float) -> list[Notice]:
        sums: defaultdict[tuple[str, str, bool, int], int] = defaultdict(int)
        for row in self.state.bids(market=INTRADAY, day=day):
            offer = row.offer
            if row.open_w and offer.price_jpy_per_mwh is not None and row.target_bid_no is None:
                group = _GROUP_OF[offer.area_cd]
                key = (offer.time_cd, group, offer.bid_type.is_buy, offer.price_jpy_per_mwh)
                sums[key] += row.open_w
        return [
            BoardNotice(
                timestamp=schedule.local(now_s),
                delivery_date=day,
                time_cd=code,
                area_group_cd=group,
                is_buy=is_buy,
                price_jpy_per_mwh=price,
                change_w=open_w,
            )
            for (code, group, is_buy, price), open_w in sorted(sums.items())
        ]

    def _open(self, day: date, code: str, area_cd: str, now_s: float) -> list[Notice]:
        if not self.state.open_product(day=day, time_cd=code, area_cd=area_cd):
            return []
        series = self.prices.price_jpy_per_mwh(area_cd=area_cd, day=day, number=int(code))
        if series is None:
            return []
        quotes = background.quotes(
            price_micros_per_kwh=fields.price_micros_per_kwh(series),
            low=MIN_MICROS,
            high=MAX_MICROS,
            depth=self.depth,
        )
        notices: list[Notice] = []
        for quote in quotes:
            assert quote.limit_micros_per_kwh is not None
            offer = Offer(
                delivery_date=day,
                area_cd=area_cd,
                time_cd=code,
                bid_type=BidType.BUY_LIMIT if quote.is_buy else BidType.SELL_LIMIT,
                price_jpy_per_mwh=fields.price_jpy_per_mwh(quote.limit_micros_per_kwh),
                volume_w=fields.volume_w(quote.energy_wh),
                delivery_contract_cd=_BACKGROUND_CODE,
            )
            self.state.add_bid(market=INTRADAY, member=BACKGROUND, at_s=now_s, offer=offer)
            notices.append(_board_notice(offer, offer.volume_w, now_s))
        return notices

    def _match(self, number: int, offer: Offer, now_s: float) -> list[Notice]:
        rows = self.state.bids(
            market=INTRADAY,
            day=offer.delivery_date,
            time_cd=offer.time_cd,
            area_cd=offer.area_cd,
        )
        open_rows = {str(r.bid_no): r for r in rows if r.open_w and r.target_bid_no is None}
        incoming = open_rows.pop(str(number))
        resting = [book.Resting(order=order_of(r), age=r.bid_no) for r in open_rows.values()]
        notices: list[Notice] = []
        left_w = offer.volume_w
        for match in book.match(order_of(incoming), resting):
            volume_w = fields.volume_w(match.energy_wh)
            left_w -= volume_w
            notices += self._trade(open_rows[match.resting_id], number, match, volume_w, now_s)
        if left_w and offer.bid_type.is_limit:
            notices.append(_board_notice(offer, left_w, now_s))
        elif left_w:
            self.state.mark_deleted(number)
        return notices

    def _trade(
        self, resting: BidRow, number: int, match: book.Match, volume_w: int, now_s: float
    ) -> list[Notice]:
        price = fields.price_jpy_per_mwh(match.price_micros_per_kwh)
        for bid_no in (resting.bid_no, number):
            self.state.add_contract(
                bid_no=bid_no,
                at_s=now_s,
                price_jpy_per_mwh=price,
                volume_w=volume_w,
                is_incoming=bid_no == number,
            )
        trade = TradeNotice(
            timestamp=schedule.local(now_s),
            delivery_date=resting.offer.delivery_date,
            time_cd=resting.offer.time_cd,
            price_jpy_per_mwh=price,
            volume_w=volume_w,
        )
        return [trade, _board_notice(resting.offer, -volume_w, now_s)]


def _board_notice(offer: Offer, change_w: int, now_s: float) -> BoardNotice:
    assert offer.price_jpy_per_mwh is not None
    return BoardNotice(
        timestamp=schedule.local(now_s),
        delivery_date=offer.delivery_date,
        time_cd=offer.time_cd,
        area_group_cd=_GROUP_OF[offer.area_cd],
        is_buy=offer.bid_type.is_buy,
        price_jpy_per_mwh=offer.price_jpy_per_mwh,
        change_w=change_w,
    )


def _intraday_bid(row: BidRow) -> IntradayBid:
    is_request = row.target_bid_no is not None
    return IntradayBid(
        bid_no=str(row.bid_no),
        timestamp=schedule.local(row.at_s),
        delivery_date=row.offer.delivery_date,
        time_cd=row.offer.time_cd,
        offer=None if is_request else row.offer,
        contract_volume_w=row.contracted_w,
        target_bid_no=str(row.target_bid_no) if is_request else None,
        is_deleted=row.is_deleted,
    )
