"""What the use cases need of the outside: stores, the fleet, the utility, the market.

Every method of a store is one transaction.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from gridcord.metering.reading import SiteReading
from gridcord.metering.records import AssetLoading
from gridcord.metering.verdict import StatedMatch
from gridcord.session.manager import Folded, Offer
from gridcord.session.opening import CableCursor, Opening
from gridcord.settlement.departure import Expectation
from gridcord.units import Period, Position, Price, SiteId
from gridcord.wire.resource import ResourceIntroduction
from manager.domain.bidding.bid import Bid, MarketTerms
from manager.domain.bidding.market_news import MarketNews
from manager.domain.bidding.noted_stay import NotedStay
from manager.domain.dispatch.demand import Demand, DemandReport, Progress
from manager.domain.records.cable_session import CableIntroduction
from manager.domain.records.logged_entry import LoggedEntry, ReadEntry
from manager.domain.records.transfer import StoredTransfer
from manager.domain.trust.site import RegisteredSite
from manager.domain.trust.site_block import SiteBlock

AreaPrice = tuple[str, Period, Price]
"""Area, period and what a kWh costs there then."""


class StoreFull(Exception):
    """The store cannot take more: nothing of the transaction was stored."""


class StoreUnavailable(Exception):
    """The store does not answer: nothing of the transaction is known to be stored."""


class PeerUnavailable(Exception):
    """The market or the utility did not do what was asked.

    Args:
        peer: Which.
        reason: A stable code.
        message: For a person.
    """

    def __init__(self, peer: str, reason: str, message: str) -> None:
        super().__init__(f"{peer}: {reason}: {message}")
        self.reason = reason


@dataclass(frozen=True, slots=True)
class ReceivedEntry:
    """An entry as it arrived, with what the log is sorted by.

    Args:
        offer: For the decision.
        kind: TRANSFER, OBSERVATION, EVENT, PROOF, UNKNOWN.
        period_start_s: Of the period it is about; 0 when it is about none.
        body: As it was signed.
        signature: As it came.
    """

    offer: Offer
    kind: str
    period_start_s: int
    body: bytes
    signature: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedSession:
    """A session that is stored.

    Args:
        opening: What was decided.
        cursor: Of the cable, as stored.
    """

    opening: Opening
    cursor: CableCursor


class Journals(Protocol):
    """The entry log, cables' cursors and sessions."""

    async def open(
        self, introduction: CableIntroduction, *, previous_alive: bool, now_s: int
    ) -> OpenedSession:
        """Open a session: fence off the ones before, note findings in the audit log."""
        ...

    async def close(self, cable_id: str, fence: int, *, reason: str, now_s: int) -> None:
        """Note that a session ended; nothing happens when it did before."""
        ...

    async def commit(self, entries: Sequence[ReceivedEntry], *, now_s: int) -> Folded:
        """Decide on a batch and make it durable; acknowledge after this returned."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteSituation:
    """What limits sites now.

    Args:
        blocks: Those in force, by site.
        loadings: Of the equipment above, by site.
    """

    blocks: Mapping[str, Sequence[SiteBlock]]
    loadings: Mapping[str, Sequence[AssetLoading]]


class SiteRules(Protocol):
    """What limits sites, from the store."""

    async def situation(self, site_ids: Sequence[str]) -> SiteSituation:
        """What limits these sites now."""
        ...


class Projection(Protocol):
    """What is derived from the entry log."""

    async def pending(self, limit: int) -> list[LoggedEntry]:
        """The next entries that were not projected yet, in order."""
        ...

    async def apply(self, entries: Sequence[ReadEntry], *, now_s: int) -> None:
        """Derive what follows from entries, in order, and move on behind the last."""
        ...


class Settlement(Protocol):
    """The ledger: what follows from records, readings and verdicts in money."""

    async def settle(self, *, now_s: int, limit: int) -> int:
        """Take up to `limit` new things of each kind into account, each once; how many."""
        ...


class Utility(Protocol):
    """What the utility knows, and what it must know. Every call may raise `PeerUnavailable`."""

    async def site(self, site_id: SiteId, found: Position | None) -> RegisteredSite | None:
        """What the utility tells of a site; None when it does not know it."""
        ...

    async def readings(self, site_id: SiteId, first: Period, count: int) -> list[SiteReading]:
        """The newest revision of each metered period, oldest first; count in [1, 1000]."""
        ...

    def watch_readings(self, cursor: str) -> AsyncIterator[tuple[SiteReading | None, str]]:
        """Readings as they are received, with the cursor behind each; None is a sign of life."""
        ...

    def watch_loadings(
        self, cursor: str
    ) -> AsyncIterator[tuple[AssetLoading | None, tuple[str, ...], str]]:
        """Loadings of equipment with the sites below it, and the cursor behind each."""
        ...

    async def report(self, transfers: Sequence[tuple[StoredTransfer, int]]) -> None:
        """Tell what cables transferred, with each one's revision; stored when this returns."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteToCheck:
    """A site that the manager must look at.

    Args:
        site_id: The site.
        cause: MISMATCH, SAMPLE, POSITION, or PERIOD when a period merely ended.
        position: Where the last cable there said it was; None without a fix.
        fetch_from: First period whose readings the manager lacks.
        fetch_count: How many from there on, >= 0.
        registered: What the utility told before; None when it was never asked, or long ago.
    """

    site_id: SiteId
    cause: str
    position: Position | None
    fetch_from: Period
    fetch_count: int
    registered: RegisteredSite | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedSite:
    """What came of it.

    Args:
        site_id: The site.
        match: The last conclusion; None without one.
        blocks: New ones.
        suspect: Its readings raise a suspicion that an active proof would settle.
        appealable: A block is in force that an active proof would lift.
    """

    site_id: SiteId
    match: StatedMatch | None
    blocks: tuple[SiteBlock, ...]
    suspect: bool
    appealable: bool = False


class SiteChecks(Protocol):
    """What is known of sites, and what is concluded of them."""

    async def due(self, *, now_s: int, limit: int) -> list[SiteToCheck]:
        """Sites to look at now: mismatches first."""
        ...

    async def learn(self, readings: Sequence[SiteReading], *, now_s: int) -> None:
        """Add readings of the utility."""
        ...

    async def conclude(
        self, site: SiteToCheck, registered: RegisteredSite | None, *, now_s: int
    ) -> CheckedSite:
        """Judge a site by everything known, and block it when that demands it."""
        ...

    async def put_off(self, site: SiteToCheck, *, until_s: int) -> None:
        """The utility does not answer: look again later."""
        ...


class Market(Protocol):
    """What the market takes and asks. Every call may raise `PeerUnavailable`."""

    async def terms(self, market_id: str) -> MarketTerms | None:
        """What a market takes; None when there is none of that id with a gate."""
        ...

    async def submit(self, bids: Sequence[Bid]) -> dict[str, str]:
        """Send bids; the reason of each that was refused, by id."""
        ...

    def watch_day_ahead(self, cursor: str) -> AsyncIterator[tuple[AreaPrice | None, str]]:
        """Day-ahead prices as they are published, with the cursor behind each."""
        ...

    def watch_demand(self, cursor: str) -> AsyncIterator[tuple[Demand | None, str]]:
        """Demand as it changes, with the cursor behind each; None is a sign of life."""
        ...


class MarketFacts(Protocol):
    """What the market told that money follows from."""

    async def cursor(self, stream: str) -> str:
        """How far a stream of the market was followed."""
        ...

    async def take(self, news: MarketNews, stream: str, cursor: str) -> None:
        """Keep what was told and the cursor behind it; told again it changes nothing."""
        ...


class Bids(Protocol):
    """What was decided to bid, and the prices it is decided by."""

    async def decided(self, market_id: str, area_id: str, gate_first: Period) -> bool:
        """Whether it was decided what to bid for the periods of a gate."""
        ...

    async def decide(
        self, market_id: str, area_id: str, gate_first: Period, bids: Sequence[Bid], *, now_s: int
    ) -> None:
        """Store what to bid; what was decided before stands."""
        ...

    async def unsent(self, market_id: str) -> list[Bid]:
        """Bids that the market is not known to have, by period."""
        ...

    async def sent(self, bids: Sequence[Bid], refused: Mapping[str, str]) -> None:
        """Note what the market answered: the reason of each that was refused, by id."""
        ...

    async def contracted_wh(self, area_id: str, start_s: int) -> Mapping[int, int]:
        """What stands in contracts from a time on, by start of period, Wh, + charging."""
        ...

    async def price_cursor(self) -> str:
        """How far day-ahead prices were followed."""
        ...

    async def take_price(self, area_id: str, period: Period, price: Price, cursor: str) -> None:
        """Keep a day-ahead price and the cursor behind it."""
        ...

    async def prices(self, area_id: str, start_s: int) -> Mapping[int, int]:
        """Day-ahead prices from a time on, micros per kWh, by start of period."""
        ...


class Stays(Protocol):
    """Who was on an outlet when, as far as it was seen."""

    async def note(self, seen: Sequence[NotedStay], *, now_s: int, gap_s: int) -> None:
        """Note who is on an outlet now; who was not seen for longer than a gap comes anew."""
        ...

    async def since(self, area_id: str, start_s: int) -> list[NotedStay]:
        """Stays in an area that were seen since a time, by their begin."""
        ...


class Demands(Protocol):
    """What is asked of the fleet, and what came of it."""

    async def cursor(self) -> str:
        """How far the market's stream was followed."""
        ...

    async def take(self, demand: Demand, cursor: str) -> None:
        """Keep a demand and the cursor behind it; an older revision changes nothing."""
        ...

    async def of_period(self, period: Period) -> list[Demand]:
        """What is asked in a period, one an area."""
        ...

    async def note(self, area_id: str, period: Period, progress: Progress) -> None:
        """Note what setpoints and telemetry said of a period until now."""
        ...

    async def progress(self, area_id: str, period: Period) -> Progress:
        """What was noted of a period last; zeros when nothing was."""
        ...

    async def reports(
        self, *, start_s: int | None, end_s: int | None, area_id: str, after: str, limit: int
    ) -> list[DemandReport]:
        """What was asked and what came of it, oldest first, behind a place in that order."""
        ...


class Expectations(Protocol):
    """What cables were counted on for, period by period."""

    async def keep(self, expectations: Sequence[Expectation]) -> None:
        """Keep what was not said before of a cable and period; what was said first stays."""
        ...


class Resources(Protocol):
    """Resources that were ever connected."""

    async def open(self, introduction: ResourceIntroduction, *, now_s: int) -> int:
        """Note a session; returns its fence, above all before."""
        ...
