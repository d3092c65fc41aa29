"""Markets to trade on in tests: each a venue, what stands behind it, and a clock to move."""

from __future__ import annotations

import asyncio
import ssl
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import date
from pathlib import Path
from uuid import UUID, uuid4

from gridcord.protocols.jepx import fields
from gridcord.simulation.exchange import auction, background, tls
from gridcord.simulation.exchange.faults import FaultPlan
from gridcord.simulation.exchange.prices import TablePrices
from gridcord.simulation.exchange.rules import Exchange
from gridcord.simulation.exchange.server import ExchangeServer, Timing
from gridcord.simulation.exchange.state import State
from gridcord.testing.clock import ManualClock
from gridcord.units import Period, Price
from market_adapter.domain.bids import Bid, Side
from market_adapter.domain.profile import MarketProfile
from market_adapter.ports import Venue
from market_adapter.profiles.reader import built_in_profile
from market_adapter.venues.file_drop import tables
from market_adapter.venues.file_drop.folder import Folder, write_whole
from market_adapter.venues.file_drop.venue import FileDrop
from market_adapter.venues.jepx.connection import Endpoint, Pool
from market_adapter.venues.jepx.day_ahead import JepxDayAhead
from market_adapter.venues.jepx.intraday import JepxIntraday
from market_adapter.venues.jepx.notes import bid_id_of
from market_adapter.venues.price_file import Journal, PriceFile

DAY = date(2026, 11, 24)
AREA = "tokyo"
PERIOD_NUMBER = 37  # 18:00 to 18:30
MARKET_PRICE = Price.per_kwh("JPY", "20.00")
MEMBER = "0841"
DEPTH = background.Depth(steps=5, step_wh=100_000)
PRICES = TablePrices(
    table={
        (area_cd, DAY, number): 20_000
        for area_cd in fields.AREA_CODES.values()
        for number in range(1, 49)
    }
)


class Floor(ABC):
    """A market to trade on.

    Args:
        folder: For files.
        profile: What the market takes.
        period: A period that can be traded when the clock starts.
        opens_s: When that is, seconds since 1970 UTC.
    """

    def __init__(
        self, *, folder: Path, profile: MarketProfile, period: Period, opens_s: float
    ) -> None:
        self.folder = folder
        self.profile = profile
        self.period = period
        self.clock = ManualClock(opens_s)
        self.turns = 0

    venue: Venue

    @abstractmethod
    async def open(self) -> None:
        """Start the market and the venue."""

    @abstractmethod
    async def close(self) -> None:
        """Stop both."""

    @abstractmethod
    def copies(self, bid_id: UUID) -> int:
        """How many live copies of a bid the market has."""

    async def restart(self) -> None:
        """Stop and start both: only what is on the disk remains."""
        await self.close()
        await self.open()

    async def turn(self) -> None:
        """Give the market the time to look at what it got."""
        self.turns += 1

    async def close_gate(self) -> None:
        """Move the clock behind the gate of the period, and let the market act."""
        self.clock.step(self.profile.gate_closes_s(self.period) - self.clock.now() + 1)
        await self.turn()

    def bid(
        self,
        *,
        side: Side = Side.SELL,
        lots: int = 1,
        limit: Price | None = None,
        period: Period | None = None,
    ) -> Bid:
        """A bid of some lots in the period; without a limit, at any price."""
        return Bid(
            bid_id=uuid4(),
            market_id=self.profile.market_id,
            area_id=AREA,
            period=period or self.period,
            side=side,
            energy_wh=lots * self.profile.lot_wh,
            limit_price=limit,
        )


def period_of(profile: MarketProfile) -> Period:
    """The period that the tests trade."""
    return profile.calendar.period(DAY, PERIOD_NUMBER)


class ExchangeFloor(Floor):
    """The simulated exchange over TLS, and the JEPX venue of one of its markets."""

    async def settled(self) -> None:
        """Wait until all that a member that ended has sent is processed (`venue.settle_s`)."""
        while self.server is not None and self.server.connections:  # noqa: ASYNC110 - another process ends
            await asyncio.sleep(0.001)

    def __init__(self, *, folder: Path, market_id: str, settle_s: float = 0.0) -> None:
        profile = built_in_profile(market_id)
        period = period_of(profile)
        # Day-ahead: the day before, 9:00; intraday: the day before, 18:00.
        before_s = 33 * 3600 if market_id == "jepx.dayahead" else 24 * 3600
        super().__init__(
            folder=folder, profile=profile, period=period, opens_s=period.start_s - before_s
        )
        self.faults = FaultPlan()
        self.settle_s = settle_s
        self.timeout_s = 30.0
        self.timing = Timing(slow_s=0.2)
        self.server: ExchangeServer | None = None

    async def open(self) -> None:
        self.state = State(self.folder / "exchange.sqlite")
        self.exchange = Exchange(
            state=self.state, prices=PRICES, members=frozenset({MEMBER}), depth=DEPTH
        )
        self.server = ExchangeServer(
            exchange=self.exchange, clock=self.clock, faults=self.faults, timing=self.timing
        )
        context = tls.server_context(self.folder / "tls")
        self.port = await self.server.start(host="127.0.0.1", port=0, tls=context)
        self.pool = self.make_pool()
        self.venue = self._venue()

    def make_pool(self, *, member: str = MEMBER) -> Pool:
        return Pool(endpoint=self.endpoint(member=member), clock=self.clock)

    def endpoint(self, *, member: str = MEMBER) -> Endpoint:
        trust = ssl.create_default_context(cafile=self.folder / "tls" / tls.CERTIFICATE)
        return Endpoint(
            host="127.0.0.1", port=self.port, tls=trust, member=member, timeout_s=self.timeout_s
        )

    def _venue(self) -> Venue:
        kind = JepxDayAhead if self.profile.market_id == "jepx.dayahead" else JepxIntraday
        return kind(
            profile=self.profile,
            pool=self.pool,
            contract_code="ABCD8",
            clock=self.clock,
            settle_s=self.settle_s,
        )

    async def close(self) -> None:
        await self.venue.close()
        assert self.server is not None
        await self.server.stop()
        self.state.close()

    def copies(self, bid_id: UUID) -> int:
        market = "DAH" if self.profile.market_id == "jepx.dayahead" else "ITD"
        return sum(
            bid_id_of(row.offer.note) == bid_id
            for row in self.state.bids(market=market, day=DAY, member=MEMBER)
            if not row.is_deleted and row.target_bid_no is None
        )


class PriceFileFloor(Floor):
    """The auction in this process."""

    def __init__(self, *, folder: Path) -> None:
        profile = built_in_profile("jepx.dayahead")
        period = period_of(profile)
        super().__init__(
            folder=folder, profile=profile, period=period, opens_s=period.start_s - 33 * 3600
        )

    async def open(self) -> None:
        self.journal = Journal(self.folder / "journal.jsonl")
        periods = self.profile.calendar.periods_of(DAY)
        self.venue = PriceFile(
            profile=self.profile,
            prices_of={(AREA, period): MARKET_PRICE for period in periods},
            journal=self.journal,
            clock=self.clock,
            depth=DEPTH,
        )

    async def close(self) -> None:
        await self.venue.close()

    def copies(self, bid_id: UUID) -> int:
        lines = (self.folder / "journal.jsonl").read_text().splitlines()
        placed = sum('"bid_id": "' + str(bid_id) in line for line in lines)
        return placed - sum(f'"withdrawn": "{bid_id}"' in line for line in lines)


class FileDropFloor(Floor):
    """Two folders, and an operator who looks into them when it is his turn."""

    def __init__(self, *, folder: Path, form: str) -> None:
        profile = built_in_profile("jepx.dayahead")
        period = period_of(profile)
        super().__init__(
            folder=folder, profile=profile, period=period, opens_s=period.start_s - 33 * 3600
        )
        self.form = form
        self._closed = False
        self._files = 0

    async def open(self) -> None:
        folder = Folder(root=self.folder, form=self.form)
        self.venue = FileDrop(profile=self.profile, folder=folder)

    async def close(self) -> None:
        await self.venue.close()

    def copies(self, bid_id: UUID) -> int:
        return sum(row["bid_id"] == str(bid_id) for row in self._rows("PLACE")) - sum(
            row["bid_id"] == str(bid_id) for row in self._rows("WITHDRAW")
        )

    async def turn(self) -> None:
        """Acknowledge every bid; after the gate, hold the auction once."""
        await super().turn()
        is_over = self.clock.now() >= self.profile.gate_closes_s(self.period)
        withdrawn = {row["bid_id"] for row in self._rows("WITHDRAW")}
        rows = [
            {
                "bid_id": row["bid_id"],
                "result": self._result(row["bid_id"] in withdrawn, is_over=is_over),
                "venue_bid_id": f"op-{row['bid_id'][:8]}",
                "detail": "",
            }
            for row in self._rows("PLACE")
        ]
        self._write("acknowledgements", tables.ACKNOWLEDGEMENT_COLUMNS, rows)
        if is_over and not self._closed:
            self._closed = True
            self._auction(withdrawn)

    @staticmethod
    def _result(withdrawn: bool, *, is_over: bool) -> str:
        if withdrawn:
            return "WITHDRAWN"
        return "CLOSED" if is_over else "TAKEN"

    def _auction(self, withdrawn: set[str]) -> None:
        orders = [
            auction.Order(
                order_id=row["bid_id"],
                is_buy=row["side"] == "BUY",
                limit_micros_per_kwh=Price.per_kwh("JPY", row["limit_price_per_kwh"]).micros_per_kwh
                if row["limit_price_per_kwh"]
                else None,
                energy_wh=int(row["energy_wh"]),
            )
            for row in self._rows("PLACE")
            if row["bid_id"] not in withdrawn
        ]
        low, high = 0, self.profile.max_price_micros_per_kwh
        others = background.auction_orders(
            price_micros_per_kwh=MARKET_PRICE.micros_per_kwh, low=low, high=high, depth=DEPTH
        )
        result = auction.clear(
            [*others, *orders],
            lot_wh=self.profile.lot_wh,
            min_price_micros_per_kwh=low,
            max_price_micros_per_kwh=high,
        )
        assert result.price_micros_per_kwh is not None
        price = tables.amount_text(Price("JPY", result.price_micros_per_kwh))
        ours = {order.order_id for order in orders}
        self._write(
            "contracts",
            tables.CONTRACT_COLUMNS,
            [
                {
                    "contract_id": f"c-{bid_id}",
                    "bid_id": bid_id,
                    "energy_wh": str(energy_wh),
                    "currency": "JPY",
                    "price_per_kwh": price,
                    "made_at": "2026-11-23T01:00:00Z",
                }
                for bid_id, energy_wh in result.filled_wh.items()
                if bid_id in ours
            ],
        )
        self._write(
            "prices",
            tables.PRICE_COLUMNS,
            [
                {
                    "area_id": AREA,
                    "period_start": str(self.period),
                    "period_length_s": "1800",
                    "currency": "JPY",
                    "price_per_kwh": price,
                }
            ],
        )

    def _rows(self, action: str) -> list[tables.Row]:
        return [
            row
            for form in ("csv", "jsonl")
            for path in sorted((self.folder / "out").glob(f"bids-*.{form}"))
            for row in tables.read_table(
                path.read_text("utf-8"), form=form, columns=tables.BID_COLUMNS, parse=dict
            )
            if row["action"] == action
        ]

    def _write(self, kind: str, columns: tuple[str, ...], rows: list[dict[str, str]]) -> None:
        self._files += 1
        text = tables.write_table(columns, rows, form=self.form)
        write_whole(
            self.folder / "in" / f"{kind}-{self._files:06d}.{self.form}", text.encode("utf-8")
        )


FLOORS: dict[str, Callable[[Path], Floor]] = {
    "jepx.dayahead": lambda folder: ExchangeFloor(folder=folder, market_id="jepx.dayahead"),
    "jepx.intraday": lambda folder: ExchangeFloor(folder=folder, market_id="jepx.intraday"),
    "price_file": lambda folder: PriceFileFloor(folder=folder),
    "file_drop.csv": lambda folder: FileDropFloor(folder=folder, form="csv"),
    "file_drop.jsonl": lambda folder: FileDropFloor(folder=folder, form="jsonl"),
}


AUCTIONS = sorted(FLOORS.keys() - {"jepx.intraday"})
"""Floors that make all contracts at once, after the gate."""
PROMPT = sorted(name for name in FLOORS if not name.startswith("file_drop"))
"""Floors whose market answers while it is asked."""


async def eventually(holds: Callable[[], bool], *, within_s: float = 30) -> None:
    """Wait for what another task will bring about; `within_s` is far more than it can take."""
    async with asyncio.timeout(within_s):
        while not holds():  # noqa: ASYNC110 - it is a fact of the server, not an event
            await asyncio.sleep(0.01)


@asynccontextmanager
async def open_floor(floor: Floor) -> AsyncIterator[Floor]:
    """Run a floor while a test trades on it."""
    await floor.open()
    try:
        yield floor
    finally:
        await floor.close()
