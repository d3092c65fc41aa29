"""What the market adapter needs of the outside: venues, feeds of signals, and a store."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Protocol
from uuid import UUID

from gridcord.units import Period
from market_adapter.domain.bids import Bid, BidRefused, RefusalReason
from market_adapter.domain.contracts import AreaPrice, Outcome
from market_adapter.domain.demand import DemandSignal
from market_adapter.domain.lifecycle import BidEvent, BidStatus
from market_adapter.domain.profile import MarketProfile


class VenueUnavailable(Exception):
    """The venue cannot be asked now, or its answer was lost: ask again later.

    What was asked may or may not have been done. Every call of a venue may be repeated.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """The venue has the bid, once.

    Args:
        venue_bid_id: The venue's own number of it; "" where it gives none.
    """

    venue_bid_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The venue does not have the bid and will not take it.

    Args:
        reason: Why, for programs.
        detail: Why, for people.
    """

    reason: RefusalReason
    detail: str


class Venue(Protocol):
    """A market that takes bids. One contract suite runs on every implementation.

    Every call may be made twice: by the bid's id the venue's adapter finds out what is there
    before it adds anything. Bids have been checked against the profile.
    """

    @property
    def profile(self) -> MarketProfile:
        """What this market takes."""
        ...

    async def submit(self, bids: Sequence[Bid]) -> Mapping[UUID, Taken | Refused]:
        """Have the bids at the venue, each exactly once.

        A bid that the answer leaves out is still on its way: submit it again later.

        Raises:
            VenueUnavailable: Nothing is certain of any of them.
        """
        ...

    async def withdraw(self, bid: Bid) -> None:
        """Have the bid no longer at the venue; nothing happens if it never was there.

        Raises:
            BidRefused: GATE_CLOSED or BID_CONTRACTED: it stands.
            VenueUnavailable: Nothing is certain.
        """
        ...

    async def outcomes(self, bids: Sequence[Bid]) -> Mapping[UUID, Outcome]:
        """What became of bids so far; bids of which the venue says nothing yet are left out.

        Raises:
            VenueUnavailable: The venue cannot be asked.
        """
        ...

    async def prices(self, day: date) -> Sequence[AreaPrice]:
        """Prices of a local day that the market has made known so far.

        Raises:
            VenueUnavailable: The venue cannot be asked.
        """
        ...

    async def close(self) -> None:
        """Give back what the venue's adapter holds."""
        ...


class FeedUnavailable(Exception):
    """Whoever says signals cannot be asked now. What was said last still stands."""


class SignalFeed(Protocol):
    """Somebody who asks something of the fleet, or says what helps to decide."""

    @property
    def name(self) -> str:
        """Who it is: the key under which its signals are kept."""
        ...

    async def signals(self, periods: Sequence[Period]) -> Sequence[DemandSignal]:
        """Everything it says now of these periods; what is no longer said no longer holds.

        Raises:
            FeedUnavailable: It cannot be asked now.
        """
        ...

    async def close(self) -> None:
        """Give back what the feed holds."""
        ...


class PriceSource(Protocol):
    """Somebody who tells prices of another kind than a venue's own."""

    @property
    def name(self) -> str:
        """Who it is, for the log."""
        ...

    def prices(self) -> Sequence[AreaPrice]:
        """Prices that came since those that were kept; it may wait for files.

        Raises:
            FeedUnavailable: It cannot be asked now.
        """
        ...

    def kept(self) -> None:
        """The prices that it told last are stored."""
        ...


class BidStore(Protocol):
    """Where bids and what became of them are kept. Every call is durable when it returns."""

    def add_bids(self, bids: Sequence[Bid], *, now_s: int) -> Mapping[UUID, BidStatus | BidRefused]:
        """Keep bids, from now on to be submitted; those known already stay as they are."""
        ...

    def advance(self, events: Iterable[tuple[UUID, BidEvent]]) -> Mapping[UUID, BidStatus]:
        """Let bids meet events: all of them, or none."""
        ...

    def statuses(self, bid_ids: Iterable[UUID]) -> Mapping[UUID, BidStatus]:
        """Where bids stand; those that are not known are left out."""
        ...

    def unsent(self, market_id: str) -> Sequence[BidStatus]:
        """Bids of which it is not known whether the venue has them."""
        ...

    def unwithdrawn(self, market_id: str) -> Sequence[BidStatus]:
        """Open bids that are to be taken back."""
        ...

    def standing(self, market_id: str) -> Sequence[BidStatus]:
        """Bids that the venue has and that may still be contracted."""
        ...

    def keep_prices(self, prices: Iterable[AreaPrice]) -> int:
        """Keep prices that are new or changed; returns how many."""
        ...

    def replace_signals(self, feed: str, signals: Sequence[DemandSignal], *, from_s: int) -> None:
        """Have exactly these signals of a feed from an instant on, and fold the demand."""
        ...
