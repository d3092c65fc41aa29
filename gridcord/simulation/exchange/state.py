"""What the exchange must not forget: bids, contracts, cleared days, in one SQLite file.

A restart of the exchange, in the middle of a test too, finds everything that it answered for.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from gridcord.protocols.jepx.offers import BidType, Offer

DAY_AHEAD, INTRADAY = "DAH", "ITD"

_FIRST_NUMBER = 1_000_000_000
_SCHEMA = """
CREATE TABLE IF NOT EXISTS bid (
  bid_no INTEGER PRIMARY KEY AUTOINCREMENT,
  market TEXT NOT NULL, member TEXT NOT NULL, at_s REAL NOT NULL,
  day TEXT NOT NULL, time_cd TEXT NOT NULL, area_cd TEXT NOT NULL,
  bid_type TEXT NOT NULL, price INTEGER, volume_w INTEGER NOT NULL,
  contract_cd TEXT NOT NULL, note TEXT NOT NULL,
  target_bid_no INTEGER, deleted INTEGER NOT NULL DEFAULT 0,
  contracted_w INTEGER NOT NULL DEFAULT 0);
CREATE INDEX IF NOT EXISTS bid_of_product ON bid (market, day, time_cd, area_cd);
CREATE TABLE IF NOT EXISTS contract (
  contract_no INTEGER PRIMARY KEY AUTOINCREMENT,
  bid_no INTEGER NOT NULL REFERENCES bid, at_s REAL NOT NULL,
  price INTEGER NOT NULL, volume_w INTEGER NOT NULL, is_incoming INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS cleared (day TEXT PRIMARY KEY, at_s REAL NOT NULL);
CREATE TABLE IF NOT EXISTS area_price (
  day TEXT NOT NULL, time_cd TEXT NOT NULL, area_cd TEXT NOT NULL,
  price INTEGER, volume_w INTEGER NOT NULL, PRIMARY KEY (day, time_cd, area_cd));
CREATE TABLE IF NOT EXISTS opened (
  day TEXT NOT NULL, time_cd TEXT NOT NULL, area_cd TEXT NOT NULL,
  PRIMARY KEY (day, time_cd, area_cd));
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class BidRow:
    """A bid as it is kept.

    Args:
        bid_no: Number.
        member: Whose; the background has a member of its own.
        at_s: When it came, seconds since 1970 UTC.
        offer: What was sent; for a request to delete, see `target_bid_no`.
        target_bid_no: The bid that a request to delete is about; None for a bid.
        is_deleted: Deleted, or the request to delete is done.
        contracted_w: What was taken, W.
    """

    bid_no: int
    member: str
    at_s: float
    offer: Offer
    target_bid_no: int | None
    is_deleted: bool
    contracted_w: int

    @property
    def open_w(self) -> int:
        """What may still be taken, W."""
        return 0 if self.is_deleted else self.offer.volume_w - self.contracted_w


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractRow:
    """A contract as it is kept.

    Args:
        contract_no: Number.
        bid: The bid it is of.
        at_s: When, seconds since 1970 UTC.
        price_jpy_per_mwh: Price.
        volume_w: Volume, W.
        is_incoming: The bid was the one that came, not the one that rested: of the two contracts
            of one trade, this one.
    """

    contract_no: int
    bid: BidRow
    at_s: float
    price_jpy_per_mwh: int
    volume_w: int
    is_incoming: bool


class State:
    """The exchange's file.

    Args:
        path: The file; None keeps it in memory.
    """

    def __init__(self, path: Path | None) -> None:
        self._db = sqlite3.connect(path or ":memory:", isolation_level=None)
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.executescript(_SCHEMA)
        if not self._db.execute("SELECT 1 FROM sqlite_sequence").fetchone():
            self._db.executemany(
                "INSERT INTO sqlite_sequence VALUES (?, ?)",
                [("bid", _FIRST_NUMBER), ("contract", 2 * _FIRST_NUMBER)],
            )

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything inside happens, or nothing."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def add_bid(
        self, *, market: str, member: str, at_s: float, offer: Offer, target: int | None = None
    ) -> int:
        """Keep a bid, or with `target` a request to delete one; returns its number."""
        bid_type = BidType.DELETE if target is not None else offer.bid_type
        cursor = self._db.execute(
            "INSERT INTO bid (market, member, at_s, day, time_cd, area_cd, bid_type, price, "
            "volume_w, contract_cd, note, target_bid_no) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
            (
                *(market, member, at_s, offer.delivery_date.isoformat(), offer.time_cd),
                *(offer.area_cd, bid_type.value, offer.price_jpy_per_mwh, offer.volume_w),
                *(offer.delivery_contract_cd, offer.note, target),
            ),
        )
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def bids(self, *, market: str, day: date, **where: str) -> list[BidRow]:
        """Bids of a day, oldest first.

        Args:
            market: `DAY_AHEAD` or `INTRADAY`.
            day: Delivery day.
            where: Columns that must have a value: member, time_cd, area_cd.
        """
        return self._select({"market": market, "day": day.isoformat(), **where})

    def bid(self, *, market: str, member: str, bid_no: str) -> BidRow | None:
        """One bid of a member."""
        rows = self._select({"market": market, "member": member, "bid_no": int(bid_no)})
        return rows[0] if rows else None

    def _select(self, where: dict[str, Any]) -> list[BidRow]:
        condition = " AND ".join(f"{column} = ?" for column in where)
        query = f"SELECT * FROM bid WHERE {condition} ORDER BY bid_no"  # noqa: S608 - own names
        return [_bid_row(row) for row in self._db.execute(query, tuple(where.values()))]

    def mark_deleted(self, bid_no: int) -> None:
        """A bid is deleted, or a request to delete is done."""
        self._db.execute("UPDATE bid SET deleted = 1 WHERE bid_no = ?", (bid_no,))

    def add_contract(
        self,
        *,
        bid_no: int,
        at_s: float,
        price_jpy_per_mwh: int,
        volume_w: int,
        is_incoming: bool = True,
    ) -> None:
        """Something of a bid is taken."""
        self._db.execute(
            "INSERT INTO contract (bid_no, at_s, price, volume_w, is_incoming) VALUES (?,?,?,?,?)",
            (bid_no, at_s, price_jpy_per_mwh, volume_w, is_incoming),
        )
        self._db.execute(
            "UPDATE bid SET contracted_w = contracted_w + ? WHERE bid_no = ?", (volume_w, bid_no)
        )

    def contracts(self, *, market: str, day: date) -> list[ContractRow]:
        """Contracts of a day, oldest first, those of the background among them."""
        query = (
            "SELECT bid.*, contract_no, contract.at_s AS made_s, contract.price AS made_price, "
            "contract.volume_w AS made_w, is_incoming FROM contract JOIN bid USING (bid_no) "
            "WHERE market = ? AND day = ? ORDER BY contract_no"
        )
        return [
            ContractRow(
                contract_no=row["contract_no"],
                bid=_bid_row(row),
                at_s=row["made_s"],
                price_jpy_per_mwh=row["made_price"],
                volume_w=row["made_w"],
                is_incoming=bool(row["is_incoming"]),
            )
            for row in self._db.execute(query, (market, day.isoformat()))
        ]

    def days_to_clear(self) -> list[date]:
        """Days with day-ahead bids that have not been cleared."""
        query = (
            "SELECT DISTINCT day FROM bid WHERE market = 'DAH' "
            "AND day NOT IN (SELECT day FROM cleared) ORDER BY day"
        )
        return [date.fromisoformat(row["day"]) for row in self._db.execute(query)]

    def is_cleared(self, day: date) -> bool:
        """Whether the auction of a day was held."""
        query = "SELECT 1 FROM cleared WHERE day = ?"
        return self._db.execute(query, (day.isoformat(),)).fetchone() is not None

    def mark_cleared(self, day: date, at_s: float) -> None:
        """The auction of a day was held."""
        self._db.execute("INSERT INTO cleared VALUES (?, ?)", (day.isoformat(), at_s))

    def keep_area_price(
        self, *, day: date, time_cd: str, area_cd: str, price_jpy_per_mwh: int | None, volume_w: int
    ) -> None:
        """Keep the outcome of one auction."""
        self._db.execute(
            "INSERT INTO area_price VALUES (?,?,?,?,?)",
            (day.isoformat(), time_cd, area_cd, price_jpy_per_mwh, volume_w),
        )

    def area_prices(self, day: date) -> dict[tuple[str, str], tuple[int | None, int]]:
        """(timeCd, areaCd) -> (price in JPY/MWh, volume in W) of the auctions held."""
        query = "SELECT * FROM area_price WHERE day = ?"
        return {
            (row["time_cd"], row["area_cd"]): (row["price"], row["volume_w"])
            for row in self._db.execute(query, (day.isoformat(),))
        }

    def open_product(self, *, day: date, time_cd: str, area_cd: str) -> bool:
        """Note that continuous trade began; False when it had already."""
        cursor = self._db.execute(
            "INSERT OR IGNORE INTO opened VALUES (?,?,?)", (day.isoformat(), time_cd, area_cd)
        )
        return cursor.rowcount == 1


def _bid_row(row: sqlite3.Row) -> BidRow:
    return BidRow(
        bid_no=row["bid_no"],
        member=row["member"],
        at_s=row["at_s"],
        offer=Offer(
            delivery_date=date.fromisoformat(row["day"]),
            area_cd=row["area_cd"],
            time_cd=row["time_cd"],
            bid_type=BidType(row["bid_type"]),
            price_jpy_per_mwh=row["price"],
            volume_w=row["volume_w"],
            delivery_contract_cd=row["contract_cd"],
            note=row["note"],
        ),
        target_bid_no=row["target_bid_no"],
        is_deleted=bool(row["deleted"]),
        contracted_w=row["contracted_w"],
    )
