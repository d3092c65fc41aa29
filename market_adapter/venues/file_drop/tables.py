"""The canonical tables, as CSV (RFC 4180, UTF-8, with a header) or JSON lines."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple, TypeVar
from uuid import UUID

from gridcord.units import Period, Price
from market_adapter.domain.bids import Bid

T = TypeVar("T")
Row = Mapping[str, str]

BID_COLUMNS = (
    "action",
    "bid_id",
    "market_id",
    "area_id",
    "period_start",
    "period_length_s",
    "side",
    "energy_wh",
    "currency",
    "limit_price_per_kwh",
)
ACKNOWLEDGEMENT_COLUMNS = ("bid_id", "result", "venue_bid_id", "detail")
CONTRACT_COLUMNS = ("contract_id", "bid_id", "energy_wh", "currency", "price_per_kwh", "made_at")
PRICE_COLUMNS = ("area_id", "period_start", "period_length_s", "currency", "price_per_kwh")


class TableError(ValueError):
    """A file is not the table its name says."""


class Action(StrEnum):
    """What a row of the bid table asks for."""

    PLACE = "PLACE"
    WITHDRAW = "WITHDRAW"


class AcknowledgementResult(StrEnum):
    """What a row of the acknowledgement table says; later files overrule earlier ones."""

    TAKEN = "TAKEN"  # the market has the bid
    REFUSED = "REFUSED"  # the market will not take it
    WITHDRAWN = "WITHDRAWN"  # the market no longer has it
    NOT_WITHDRAWN = "NOT_WITHDRAWN"  # too late: it stands
    CLOSED = "CLOSED"  # no further contract will come of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledgement:
    """What the market says of a bid."""

    bid_id: UUID
    result: AcknowledgementResult
    venue_bid_id: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractRow:
    """What the market took of a bid."""

    contract_id: str
    bid_id: UUID
    energy_wh: int
    price: Price
    at_s: int


class PriceRow(NamedTuple):
    """A price the market made known."""

    area_id: str
    period: Period
    price: Price


def write_table(columns: Sequence[str], rows: Sequence[Row], *, form: str) -> str:
    """A table as text; `form` is "csv" or "jsonl"."""
    if form == "jsonl":
        return "".join(json.dumps(dict(row), ensure_ascii=False) + "\n" for row in rows)
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def read_table(
    text: str, *, form: str, columns: Sequence[str], parse: Callable[[Row], T]
) -> list[T]:
    """Read a table; columns that are not known are ignored.

    Raises:
        TableError: A column is missing or a value is none.
    """
    try:
        rows = _json_rows(text) if form == "jsonl" else list(csv.DictReader(io.StringIO(text)))
    except (ValueError, csv.Error) as error:
        message = f"no {form}: {error}"
        raise TableError(message) from None
    values = []
    for number, row in enumerate(rows, start=1):
        if any(not isinstance(row.get(column), str) for column in columns):
            message = f"row {number} lacks one of the columns {', '.join(columns)}"
            raise TableError(message)
        try:
            values.append(parse(row))
        except ValueError as error:
            message = f"row {number}: {error}"
            raise TableError(message) from None
    return values


def bid_row(action: Action, bid: Bid) -> Row:
    """A row of the bid table; a market order has no limit price."""
    price = bid.limit_price
    return {
        "action": action.value,
        "bid_id": str(bid.bid_id),
        "market_id": bid.market_id,
        "area_id": bid.area_id,
        "period_start": str(bid.period),
        "period_length_s": str(bid.period.length_s),
        "side": bid.side.value,
        "energy_wh": str(bid.energy_wh),
        "currency": price.currency if price else "",
        "limit_price_per_kwh": amount_text(price) if price else "",
    }


def amount_text(price: Price) -> str:
    """A price as a decimal number of its currency, exact."""
    return f"{Decimal(price.micros_per_kwh).scaleb(-6).normalize():f}"


def parse_bid_key(row: Row) -> tuple[Action, UUID]:
    """What a row of the bid table is about."""
    return Action(row["action"]), UUID(row["bid_id"])


def parse_acknowledgement(row: Row) -> Acknowledgement:
    """A row of the acknowledgement table."""
    return Acknowledgement(
        bid_id=UUID(row["bid_id"]),
        result=AcknowledgementResult(row["result"]),
        venue_bid_id=row["venue_bid_id"],
        detail=row["detail"],
    )


def parse_contract(row: Row) -> ContractRow:
    """A row of the contract table."""
    energy_wh = int(row["energy_wh"])
    if energy_wh <= 0 or not row["contract_id"]:
        message = f"a contract has an id and more than 0 Wh: {dict(row)}"
        raise ValueError(message)
    return ContractRow(
        contract_id=row["contract_id"],
        bid_id=UUID(row["bid_id"]),
        energy_wh=energy_wh,
        price=Price.per_kwh(row["currency"], row["price_per_kwh"]),
        at_s=_instant_s(row["made_at"]),
    )


def parse_price(row: Row) -> PriceRow:
    """A row of the price table."""
    period = Period(_instant_s(row["period_start"]), int(row["period_length_s"]))
    return PriceRow(row["area_id"], period, Price.per_kwh(row["currency"], row["price_per_kwh"]))


def _instant_s(text: str) -> int:
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        message = f"a time without a zone says nothing: {text}"
        raise ValueError(message)
    return int(instant.astimezone(UTC).timestamp())


def _json_rows(text: str) -> list[Row]:
    rows = [json.loads(line) for line in text.splitlines() if line.strip()]
    if not all(isinstance(row, dict) for row in rows):
        message = "a line is no object"
        raise ValueError(message)
    return rows
