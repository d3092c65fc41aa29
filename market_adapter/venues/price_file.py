"""A small market in this process: a published price series and an auction around it.

The first venue of the adapter: with a file of past or expected prices it makes contracts as the
real auction would have, a large bid feeling its own weight. Nothing leaves the machine.

What it has taken is a journal of lines, each on the disk before it is confirmed; the auction is a
pure function of the journal and the prices, so a restart changes no contract.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any
from uuid import UUID

from gridcord.chassis.clock import Clock
from gridcord.protocols.jepx_csv import decoded, parse_spot
from gridcord.simulation.exchange import auction, background
from gridcord.units import Period, Price
from market_adapter.domain.bids import Bid, BidRefused, RefusalReason, Side, check_gate
from market_adapter.domain.contracts import AreaPrice, Contract, Outcome, PriceKind
from market_adapter.domain.profile import MarketProfile
from market_adapter.ports import Refused, Taken, VenueUnavailable

Prices = Mapping[tuple[str, Period], Price]
"""(area id, period) -> price."""


def read_price_file(path: Path, *, profile: MarketProfile) -> Prices:
    """Prices of a file in JEPX's public format, for the areas of a profile.

    Args:
        path: The file (`spot_summary_YYYY.csv`).
        profile: Whose area ids and calendar are those of JEPX.

    Raises:
        JepxCsvError: It is no such file.
        OSError: It cannot be read.
    """
    return {
        (area, profile.calendar.period(row.day, row.number)): Price(profile.currency, micros)
        for row in parse_spot(decoded(path.read_bytes()))
        for area, micros in row.price_micros_per_kwh.items()
        if area in profile.areas
    }


class JournalError(ValueError):
    """A file is no journal; the text says which line."""


@dataclass(slots=True)
class Journal:
    """Bids taken and withdrawn, on the disk line by line.

    Args:
        path: The file; made when it is not there.

    Raises:
        JournalError: It is something else.
        OSError: It cannot be read or made.
    """

    path: Path
    bids: dict[UUID, Bid] = field(default_factory=dict)
    withdrawn: set[UUID] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        text = self.path.read_bytes() if self.path.exists() else b""
        whole = text.rfind(b"\n") + 1  # a line without its end was never confirmed
        if whole < len(text):
            os.truncate(self.path, whole)
        for number, line in enumerate(text[:whole].splitlines(), start=1):
            try:
                self._take(json.loads(line))
            except (ValueError, KeyError, TypeError) as error:
                message = f"{self.path}: line {number} is of no journal: {error!r}"
                raise JournalError(message) from error

    def add(self, bids: Sequence[Bid]) -> None:
        """Take bids; they are on the disk when this returns."""
        self._write([{"bid": _bid_json(bid)} for bid in bids])

    def withdraw(self, bid: Bid) -> None:
        """Take a bid back; it is on the disk when this returns."""
        self._write([{"withdrawn": str(bid.bid_id)}])

    def _write(self, lines: Sequence[Mapping[str, Any]]) -> None:
        with self.path.open("ab") as file:
            file.write("".join(json.dumps(line) + "\n" for line in lines).encode())
            file.flush()
            os.fsync(file.fileno())
        for line in lines:
            self._take(line)

    def _take(self, line: Mapping[str, Any]) -> None:
        if "bid" in line:
            bid = _bid(line["bid"])
            self.bids.setdefault(bid.bid_id, bid)
        else:
            self.withdrawn.add(UUID(line["withdrawn"]))

    def standing(self, *, area_id: str, period: Period) -> list[Bid]:
        """Bids of a product that were not withdrawn."""
        return [
            bid
            for bid_id, bid in self.bids.items()
            if bid_id not in self.withdrawn and (bid.area_id, bid.period) == (area_id, period)
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceFile:
    """The venue.

    Args:
        profile: What it takes.
        prices_of: What the market trades at without us.
        journal: What it has taken.
        clock: Time.
        depth: How deep the market is; its steps are multiples of the profile's lot and tick.
    """

    profile: MarketProfile
    prices_of: Prices
    journal: Journal
    clock: Clock
    depth: background.Depth = field(default_factory=background.Depth)

    async def submit(self, bids: Sequence[Bid]) -> Mapping[UUID, Taken | Refused]:
        """See `Venue.submit`."""
        missing = [bid for bid in bids if bid.bid_id not in self.journal.bids]
        refused = {bid.bid_id: r for bid in missing if (r := self._refusal(bid)) is not None}
        with _disk_or_unavailable():
            self.journal.add([bid for bid in missing if bid.bid_id not in refused])
        taken = {b.bid_id: Taken(venue_bid_id="") for b in bids if b.bid_id in self.journal.bids}
        return {**refused, **taken}

    async def withdraw(self, bid: Bid) -> None:
        """See `Venue.withdraw`."""
        if bid.bid_id not in self.journal.bids or bid.bid_id in self.journal.withdrawn:
            return
        check_gate(period=bid.period, profile=self.profile, now_s=self.clock.now())
        with _disk_or_unavailable():
            self.journal.withdraw(bid)

    async def outcomes(self, bids: Sequence[Bid]) -> Mapping[UUID, Outcome]:
        """See `Venue.outcomes`."""
        over = [bid for bid in bids if self._is_over(bid.period)]
        return {bid.bid_id: self._outcome(bid) for bid in over}

    async def prices(self, day: date) -> Sequence[AreaPrice]:
        """See `Venue.prices`."""
        periods = [p for p in self.profile.calendar.periods_of(day) if self._is_over(p)]
        found = [
            (area_id, period, self._auction(area_id, period).price_micros_per_kwh)
            for period in periods
            for area_id in self.profile.areas
        ]
        return [
            AreaPrice(
                market_id=self.profile.market_id,
                kind=PriceKind.DAY_AHEAD,
                area_id=area_id,
                period=period,
                price=Price(self.profile.currency, micros),
                published_s=self.profile.gate_closes_s(period),
            )
            for area_id, period, micros in found
            if micros is not None
        ]

    async def close(self) -> None:
        """See `Venue.close`: nothing is held."""

    def _refusal(self, bid: Bid) -> Refused | None:
        try:
            check_gate(period=bid.period, profile=self.profile, now_s=self.clock.now())
        except BidRefused as error:
            return Refused(reason=error.reason, detail=error.detail)
        if (bid.area_id, bid.period) not in self.prices_of:
            return Refused(
                reason=RefusalReason.REFUSED_BY_VENUE,
                detail=f"the file has no price of {bid.area_id} at {bid.period}",
            )
        return None

    def _is_over(self, period: Period) -> bool:
        return self.clock.now() >= self.profile.gate_closes_s(period)

    def _outcome(self, bid: Bid) -> Outcome:
        result = self._auction(bid.area_id, bid.period)
        energy_wh = result.filled_wh.get(str(bid.bid_id), 0)
        if not energy_wh or result.price_micros_per_kwh is None:
            return Outcome(contracts=(), is_final=True)
        contract = Contract(
            contract_id=str(bid.bid_id),
            bid_id=bid.bid_id,
            market_id=bid.market_id,
            area_id=bid.area_id,
            period=bid.period,
            side=bid.side,
            energy_wh=energy_wh,
            price=Price(self.profile.currency, result.price_micros_per_kwh),
            at_s=self.profile.gate_closes_s(bid.period),
        )
        return Outcome(contracts=(contract,), is_final=True)

    def _auction(self, area_id: str, period: Period) -> auction.Result:
        price = self.prices_of.get((area_id, period))
        low = self.profile.min_price_micros_per_kwh
        high = self.profile.max_price_micros_per_kwh
        others = (
            []
            if price is None
            else background.auction_orders(
                price_micros_per_kwh=price.micros_per_kwh, low=low, high=high, depth=self.depth
            )
        )
        ours = self.journal.standing(area_id=area_id, period=period)
        return auction.clear(
            [*others, *map(_order, ours)],
            lot_wh=self.profile.lot_wh,
            min_price_micros_per_kwh=low,
            max_price_micros_per_kwh=high,
        )


@contextmanager
def _disk_or_unavailable() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        message = f"the journal cannot be written: {error}"
        raise VenueUnavailable(message) from error


def _order(bid: Bid) -> auction.Order:
    return auction.Order(
        order_id=str(bid.bid_id),
        is_buy=bid.side is Side.BUY,
        limit_micros_per_kwh=bid.limit_price.micros_per_kwh if bid.limit_price else None,
        energy_wh=bid.energy_wh,
    )


def _bid_json(bid: Bid) -> dict[str, Any]:
    price = bid.limit_price
    return {
        "bid_id": str(bid.bid_id),
        "market_id": bid.market_id,
        "area_id": bid.area_id,
        "start_s": bid.period.start_s,
        "length_s": bid.period.length_s,
        "side": bid.side.value,
        "energy_wh": bid.energy_wh,
        "limit_price": None if price is None else [price.currency, price.micros_per_kwh],
    }


def _bid(line: Mapping[str, Any]) -> Bid:
    return Bid(
        bid_id=UUID(line["bid_id"]),
        market_id=line["market_id"],
        area_id=line["area_id"],
        period=Period(line["start_s"], line["length_s"]),
        side=Side(line["side"]),
        energy_wh=line["energy_wh"],
        limit_price=None if line["limit_price"] is None else Price(*line["limit_price"]),
    )
