"""The day-ahead market: bids until the gate, then one auction per area and half hour."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from gridcord.protocols.jepx import calls, fields
from gridcord.protocols.jepx.board import MarketResult
from gridcord.protocols.jepx.fields import ErrorCode, MessageError
from gridcord.protocols.jepx.offers import BidResult, StoredBid
from gridcord.simulation.exchange import auction, background
from gridcord.simulation.exchange.prices import PriceSeries
from gridcord.simulation.exchange.schedule import AuctionGate
from gridcord.simulation.exchange.state import DAY_AHEAD, BidRow, State

LOT_WH = fields.energy_wh(fields.VOLUME_STEP_W)
MIN_MICROS = 0
MAX_MICROS = fields.price_micros_per_kwh(fields.MAX_PRICE_JPY_PER_MWH)


@dataclass(frozen=True, slots=True, kw_only=True)
class DayAhead:
    """The calls of the day-ahead market.

    Args:
        state: What is kept.
        prices: What the market trades at without us.
        depth: How deep it is.
        gate: When the auction of a day is held.
    """

    state: State
    prices: PriceSeries
    depth: background.Depth
    gate: AuctionGate

    def offer(self, call: calls.Offers, member: str, now_s: float) -> str:
        """Take all offers or none; returns how many (DAH1001)."""
        if not all(self.gate.takes(o.delivery_date, now_s) for o in call.offers):
            raise MessageError(ErrorCode.SCHEDULE, "deliveryDate")
        with self.state.transaction():
            for offer in call.offers:
                self.state.add_bid(market=DAY_AHEAD, member=member, at_s=now_s, offer=offer)
        return str(len(call.offers))

    def bids(self, call: calls.OfDay, member: str) -> list[StoredBid]:
        """The member's bids (DAH1002)."""
        rows = self._bids(call.delivery_date, member)
        return [StoredBid(bid_no=str(row.bid_no), offer=row.offer) for row in rows]

    def delete(self, call: calls.Deletions, member: str, now_s: float) -> str:
        """Delete some or all bids of a day; returns how many (DAH1003)."""
        if not self.gate.takes(call.delivery_date, now_s):
            raise MessageError(ErrorCode.SCHEDULE, "deliveryDate")
        known = {str(row.bid_no): row for row in self._bids(call.delivery_date, member)}
        wanted = set(known if call.bid_nos is None else call.bid_nos)
        if not wanted <= set(known):
            raise MessageError(ErrorCode.NONE, "bidNo")
        with self.state.transaction():
            for number in wanted:
                self.state.mark_deleted(known[number].bid_no)
        return str(len(wanted))

    def results(self, call: calls.OfDay, member: str) -> list[BidResult]:
        """What became of the member's bids; nothing before the auction (DAH1004, DAH1030)."""
        if not self.state.is_cleared(call.delivery_date):
            return []
        prices = self.state.area_prices(call.delivery_date)
        return [
            BidResult(
                bid_no=str(row.bid_no),
                offer=row.offer,
                contract_price_jpy_per_mwh=prices[row.offer.time_cd, row.offer.area_cd][0],
                contract_volume_w=row.contracted_w,
            )
            for row in self._bids(call.delivery_date, member)
        ]

    def market(self, call: calls.OfDay, now_s: float) -> list[MarketResult]:
        """Prices of a day; nothing before the auction (DAH1050)."""
        if now_s < self.gate.closes_s(call.delivery_date):
            return []
        held = self.state.area_prices(call.delivery_date)
        rows = (
            self._market_result(call.delivery_date, number, held)
            for number in range(1, fields.PERIODS_A_DAY + 1)
        )
        return [row for row in rows if row.area_prices_jpy_per_mwh]

    def clear_due(self, now_s: float) -> list[date]:
        """Hold the auctions whose gates have closed; returns their days."""
        due = [d for d in self.state.days_to_clear() if now_s >= self.gate.closes_s(d)]
        for day in due:
            with self.state.transaction():
                self._clear(day, now_s)
        return due

    def _bids(self, day: date, member: str) -> list[BidRow]:
        rows = self.state.bids(market=DAY_AHEAD, day=day, member=member)
        return [row for row in rows if not row.is_deleted]

    def _clear(self, day: date, now_s: float) -> None:
        products: defaultdict[tuple[str, str], list[BidRow]] = defaultdict(list)
        for row in self.state.bids(market=DAY_AHEAD, day=day):
            if not row.is_deleted:
                products[row.offer.time_cd, row.offer.area_cd].append(row)
        for (code, area_cd), rows in products.items():
            self._auction(day, code, area_cd, rows, now_s)
        self.state.mark_cleared(day, now_s)

    def _auction(
        self, day: date, code: str, area_cd: str, rows: Sequence[BidRow], now_s: float
    ) -> None:
        series = self.prices.price_jpy_per_mwh(area_cd=area_cd, day=day, number=int(code))
        others = [] if series is None else self._background(series)
        result = auction.clear(
            [*others, *(order_of(row) for row in rows)],
            lot_wh=LOT_WH,
            min_price_micros_per_kwh=MIN_MICROS,
            max_price_micros_per_kwh=MAX_MICROS,
        )
        micros = result.price_micros_per_kwh
        price = None if micros is None else fields.price_jpy_per_mwh(micros)
        self.state.keep_area_price(
            day=day,
            time_cd=code,
            area_cd=area_cd,
            price_jpy_per_mwh=price,
            volume_w=fields.volume_w(result.volume_wh),
        )
        for row in rows:
            filled_wh = result.filled_wh.get(str(row.bid_no), 0)
            if filled_wh and price is not None:
                self.state.add_contract(
                    bid_no=row.bid_no,
                    at_s=now_s,
                    price_jpy_per_mwh=price,
                    volume_w=fields.volume_w(filled_wh),
                )

    def _background(self, price_jpy_per_mwh: int) -> list[auction.Order]:
        return background.auction_orders(
            price_micros_per_kwh=fields.price_micros_per_kwh(price_jpy_per_mwh),
            low=MIN_MICROS,
            high=MAX_MICROS,
            depth=self.depth,
        )

    def _market_result(
        self, day: date, number: int, held: Mapping[tuple[str, str], tuple[int | None, int]]
    ) -> MarketResult:
        code = fields.time_cd(number)
        prices: dict[str, int] = {}
        for area_cd in fields.AREA_CODES.values():
            series = self.prices.price_jpy_per_mwh(area_cd=area_cd, day=day, number=number)
            price = held[code, area_cd][0] if (code, area_cd) in held else series
            if price is not None:
                prices[area_cd] = price
        step = fields.PRICE_STEP_JPY_PER_MWH
        mean = sum(prices.values()) // max(1, len(prices)) // step * step
        return MarketResult(
            time_cd=code,
            system_price_jpy_per_mwh=mean,
            contract_volume_w=sum(w for (c, _), (_, w) in held.items() if c == code),
            area_prices_jpy_per_mwh=prices,
        )


def order_of(row: BidRow) -> auction.Order:
    """A bid's open volume as an order."""
    price = row.offer.price_jpy_per_mwh
    return auction.Order(
        order_id=str(row.bid_no),
        is_buy=row.offer.bid_type.is_buy,
        limit_micros_per_kwh=None if price is None else fields.price_micros_per_kwh(price),
        energy_wh=fields.energy_wh(row.open_w),
    )
