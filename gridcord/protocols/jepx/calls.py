"""Calls: what is asked and what is answered, one pair of values for each code.

A call's body is a value of `Call`; `parse_call` reads it at the server. An answer starts with
`status` and `statusInfo` and then has the call's list; `parse_answer` reads it at the member.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

from gridcord.protocols.jepx import fields
from gridcord.protocols.jepx.board import MarketResult, Product, parse_notice
from gridcord.protocols.jepx.fields import ErrorCode, MessageError
from gridcord.protocols.jepx.offers import (
    BidResult,
    IntradayBid,
    IntradayContract,
    Offer,
    StoredBid,
)

DAY_AHEAD_OFFER: Final = "DAH1001"
DAY_AHEAD_BIDS: Final = "DAH1002"
DAY_AHEAD_DELETE: Final = "DAH1003"
DAY_AHEAD_RESULTS: Final = "DAH1004"
DAY_AHEAD_CONTRACTS: Final = "DAH1030"
DAY_AHEAD_MARKET: Final = "DAH1050"
INTRADAY_OFFER: Final = "ITD1001"
INTRADAY_DELETE: Final = "ITD1002"
INTRADAY_BIDS: Final = "ITD1003"
INTRADAY_CONTRACTS: Final = "ITD1004"
INTRADAY_PRODUCTS: Final = "ITD1005"
INTRADAY_STREAM: Final = "ITN1001"
KEEP_ALIVE: Final = "SYS1001"

KEEP_ALIVE_INFO = "Socket Expiration Time Extension"
MAX_OFFERS = 10_000


class UnknownCallError(fields.MessageError):
    """A call whose code is not known here."""

    def __init__(self, api: str) -> None:
        super().__init__(ErrorCode.CODE, api)


@dataclass(frozen=True, slots=True, kw_only=True)
class Offers:
    """Day-ahead bids (DAH1001): all of them are taken, or none."""

    offers: Sequence[Offer]

    def json(self) -> dict[str, Any]:
        """The object."""
        return {"bidOffers": [offer.request_json() for offer in self.offers]}


@dataclass(frozen=True, slots=True, kw_only=True)
class OneOffer:
    """An intraday bid (ITD1001)."""

    offer: Offer

    def json(self) -> dict[str, Any]:
        """The object."""
        return self.offer.request_json()


@dataclass(frozen=True, slots=True, kw_only=True)
class OfDay:
    """Everything of a delivery day (DAH1002, DAH1004, DAH1030, DAH1050)."""

    delivery_date: date

    def json(self) -> dict[str, Any]:
        """The object."""
        return {"deliveryDate": self.delivery_date.isoformat()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletions:
    """Day-ahead bids to delete (DAH1003).

    Args:
        delivery_date: Their day.
        bid_nos: Which; None deletes the whole day, an empty list is refused.
    """

    delivery_date: date
    bid_nos: Sequence[str] | None

    def json(self) -> dict[str, Any]:
        """The object."""
        body: dict[str, Any] = {"deliveryDate": self.delivery_date.isoformat()}
        if self.bid_nos is not None:
            body["bidDels"] = [{"bidNo": number} for number in self.bid_nos]
        return body


@dataclass(frozen=True, slots=True, kw_only=True)
class OfProduct:
    """Everything of one half hour (ITD1003, ITD1004)."""

    delivery_date: date
    time_cd: str

    def json(self) -> dict[str, Any]:
        """The object."""
        return {"deliveryDate": self.delivery_date.isoformat(), "timeCd": self.time_cd}


@dataclass(frozen=True, slots=True, kw_only=True)
class OneDeletion:
    """An intraday bid to delete (ITD1002)."""

    delivery_date: date
    time_cd: str
    target_bid_no: str

    def json(self) -> dict[str, Any]:
        """The object."""
        return {
            "deliveryDate": self.delivery_date.isoformat(),
            "timeCd": self.time_cd,
            "targetBidNo": self.target_bid_no,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Nothing:
    """No question (ITD1005, ITN1001, SYS1001)."""

    def json(self) -> dict[str, Any]:
        """The object."""
        return {}


Call = Offers | OneOffer | OfDay | Deletions | OfProduct | OneDeletion | Nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a call answered.

    Args:
        status: "200", "400" for an error of ours, "500" for one of the exchange.
        info: `statusInfo`: a count, an `ErrorCode`, or nothing.
        bid_no: Number of the new bid (ITD1001, ITD1002); None elsewhere.
        rows: The list of the call.
    """

    status: str
    info: str
    bid_no: str | None = None
    rows: Sequence[Any] = field(default=())


def parse_call(api: str, body: Mapping[str, Any]) -> Call:
    """Read the body of a call at the server; finer volumes are cut off as JEPX does.

    Raises:
        MessageError: A field is wrong; its code is the answer.
        UnknownCallError: There is no such call.
    """
    if api not in _CALLS:
        raise UnknownCallError(api)
    return _CALLS[api](body)


def parse_answer(api: str, body: Mapping[str, Any]) -> Answer:
    """Read the answer to a call at the member.

    Raises:
        MessageError: A field is wrong.
    """
    status = fields.text(body, "status")
    info = body.get("statusInfo") or ""
    if not isinstance(info, str):
        raise MessageError(ErrorCode.FORMAT, "statusInfo")
    if status != "200":
        return Answer(status=status, info=info)
    number = fields.serial_number(body, "bidNo") if api in _NUMBERED else None
    return Answer(status=status, info=info, bid_no=number, rows=_rows(api, body))


def answer_json(api: str, *, info: str = "", rows: Sequence[Any] = ()) -> dict[str, Any]:
    """Write a good answer, with the list of the call where it has one."""
    body: dict[str, Any] = {"status": "200", "statusInfo": info}
    if api in _LISTS:
        body[_LISTS[api][0]] = [row.json() for row in rows]
    return body


def _rows(api: str, body: Mapping[str, Any]) -> Sequence[Any]:
    if api not in _LISTS:
        return ()
    key, parse = _LISTS[api]
    rows = [parse(item) for item in fields.items(body, key)]
    return [row for row in rows if row is not None]


def _offers(body: Mapping[str, Any]) -> Offers:
    items = fields.items(body, "bidOffers")
    if not items:
        raise MessageError(ErrorCode.REQUIRED, "bidOffers")
    if len(items) > MAX_OFFERS:
        raise MessageError(ErrorCode.RANGE, "bidOffers")
    return Offers(offers=[Offer.parse(item, truncate=True) for item in items])


def _deletions(body: Mapping[str, Any]) -> Deletions:
    numbers = None
    if body.get("bidDels") is not None:
        numbers = [fields.serial_number(i, "bidNo") for i in fields.items(body, "bidDels")]
        if not numbers:
            raise MessageError(ErrorCode.REQUIRED, "bidDels")
    return Deletions(delivery_date=fields.day(body), bid_nos=numbers)


def _one_deletion(body: Mapping[str, Any]) -> OneDeletion:
    return OneDeletion(
        delivery_date=fields.day(body),
        time_cd=fields.time_code(body),
        target_bid_no=fields.serial_number(body, "targetBidNo"),
    )


def _of_day(body: Mapping[str, Any]) -> OfDay:
    return OfDay(delivery_date=fields.day(body))


def _of_product(body: Mapping[str, Any]) -> OfProduct:
    return OfProduct(delivery_date=fields.day(body), time_cd=fields.time_code(body))


def _one_offer(body: Mapping[str, Any]) -> OneOffer:
    return OneOffer(offer=Offer.parse(body, truncate=True))


def _nothing(_body: Mapping[str, Any]) -> Nothing:
    return Nothing()


_CALLS: Mapping[str, Callable[[Mapping[str, Any]], Call]] = {
    DAY_AHEAD_OFFER: _offers,
    DAY_AHEAD_BIDS: _of_day,
    DAY_AHEAD_DELETE: _deletions,
    DAY_AHEAD_RESULTS: _of_day,
    DAY_AHEAD_CONTRACTS: _of_day,
    DAY_AHEAD_MARKET: _of_day,
    INTRADAY_OFFER: _one_offer,
    INTRADAY_DELETE: _one_deletion,
    INTRADAY_BIDS: _of_product,
    INTRADAY_CONTRACTS: _of_product,
    INTRADAY_PRODUCTS: _nothing,
    INTRADAY_STREAM: _nothing,
    KEEP_ALIVE: _nothing,
}

_LISTS: Mapping[str, tuple[str, Callable[[Mapping[str, Any]], Any]]] = {
    DAY_AHEAD_BIDS: ("bids", StoredBid.parse),
    DAY_AHEAD_RESULTS: ("bidResults", BidResult.parse),
    DAY_AHEAD_CONTRACTS: ("contractResults", BidResult.parse),
    DAY_AHEAD_MARKET: ("marketResults", MarketResult.parse),
    INTRADAY_BIDS: ("bids", IntradayBid.parse),
    INTRADAY_CONTRACTS: ("contractResults", IntradayContract.parse),
    INTRADAY_PRODUCTS: ("products", Product.parse),
    INTRADAY_STREAM: ("notices", parse_notice),
}

_NUMBERED = frozenset({INTRADAY_OFFER, INTRADAY_DELETE})
