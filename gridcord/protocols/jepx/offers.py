"""Offers and what became of them: the records inside the calls' lists."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from gridcord.protocols.jepx import fields
from gridcord.protocols.jepx.fields import ErrorCode, MessageError


class BidType(StrEnum):
    """Kind of an offer (JEPX 902 4.2, 903 5.2)."""

    SELL_LIMIT = "SELL-LIMIT"
    BUY_LIMIT = "BUY-LIMIT"
    SELL_MARKET = "SELL-MARKET"
    BUY_MARKET = "BUY-MARKET"
    SELL_FIT = "SELL-FIT"
    SELL_APPROVAL = "SELL-APPROVAL"
    DELETE = "DEL"

    @property
    def is_limit(self) -> bool:
        """Whether the price means anything."""
        return self in {BidType.SELL_LIMIT, BidType.BUY_LIMIT}

    @property
    def is_buy(self) -> bool:
        """Whether the member takes energy."""
        return self in {BidType.BUY_LIMIT, BidType.BUY_MARKET}


NORMAL = "NORM"
_BLOCK_TYPES = frozenset({NORMAL, "STANDARD", "LINK-P", "LINK-C", "LOOP-A", "LOOP-B"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One bid as it is sent: an element of DAH1001, the whole of ITD1001.

    Args:
        delivery_date: Day of the period in Japan.
        area_cd: Area, "1" to "9".
        time_cd: Half hour, "01" to "48".
        bid_type: Kind.
        price_jpy_per_mwh: Limit, a multiple of 10; None when the kind has none.
        volume_w: Volume, W, a multiple of 0.1 MW, > 0.
        delivery_contract_cd: Code of the plan submitter or balancing group.
        note: Free text of at most 100 characters; comes back in every answer.
    """

    delivery_date: date
    area_cd: str
    time_cd: str
    bid_type: BidType
    price_jpy_per_mwh: int | None
    volume_w: int
    delivery_contract_cd: str
    note: str = ""

    @classmethod
    def parse(cls, body: Mapping[str, Any], *, truncate: bool = False) -> Offer:
        """Read it; `truncate` cuts finer volumes off as the exchange does."""
        bid_type = _bid_type(body)
        return cls(
            delivery_date=fields.day(body),
            area_cd=fields.area(body),
            time_cd=fields.time_code(body),
            bid_type=bid_type,
            price_jpy_per_mwh=fields.price(body) if bid_type.is_limit else None,
            volume_w=fields.volume(body, "volume", truncate=truncate, low_w=fields.VOLUME_STEP_W),
            delivery_contract_cd=fields.contract_code(body),
            note=fields.note(body),
        )

    def json(self) -> dict[str, Any]:
        """The object, as an answer shows it: a price only where it means something."""
        return {
            "deliveryDate": self.delivery_date.isoformat(),
            "areaCd": self.area_cd,
            "timeCd": self.time_cd,
            "bidTypeCd": self.bid_type.value,
            "price": self.price_jpy_per_mwh,
            "volume": fields.volume_mw(self.volume_w),
            "deliveryContractCd": self.delivery_contract_cd,
            "note": self.note,
        }

    def request_json(self) -> dict[str, Any]:
        """The object, as a call sends it: the price is required even where it is ignored."""
        return {**self.json(), "price": self.price_jpy_per_mwh or 0}


def _bid_type(body: Mapping[str, Any]) -> BidType:
    value = fields.text(body, "bidTypeCd")
    if value not in set(BidType) or value == BidType.DELETE:
        raise MessageError(ErrorCode.CODE, "bidTypeCd")
    return BidType(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredBid:
    """A day-ahead bid as the exchange has it (DAH1002).

    Args:
        bid_no: The exchange's number.
        offer: What was sent.
    """

    bid_no: str
    offer: Offer

    @classmethod
    def parse(cls, body: Mapping[str, Any]) -> StoredBid:
        """Read it."""
        return cls(bid_no=fields.serial_number(body, "bidNo"), offer=Offer.parse(body))

    def json(self) -> dict[str, Any]:
        """The object."""
        return {"bidNo": self.bid_no, **self.offer.json()}


@dataclass(frozen=True, slots=True, kw_only=True)
class BidResult:
    """A day-ahead bid with what it contracted (DAH1004, DAH1030).

    Args:
        bid_no: The exchange's number.
        offer: What was sent; of a block, its part in this half hour.
        contract_price_jpy_per_mwh: Price of the area and half hour; None while there is none.
        contract_volume_w: What was taken, W; 0 when nothing.
        block_type_cd: "NORM", or the kind of block this half hour belongs to.
    """

    bid_no: str
    offer: Offer
    contract_price_jpy_per_mwh: int | None
    contract_volume_w: int
    block_type_cd: str = NORMAL

    @classmethod
    def parse(cls, body: Mapping[str, Any]) -> BidResult:
        """Read it."""
        block = body.get("blockTypeCd", NORMAL)
        if not isinstance(block, str) or block not in _BLOCK_TYPES:
            raise MessageError(ErrorCode.CODE, "blockTypeCd")
        return cls(
            bid_no=fields.serial_number(body, "bidNo"),
            offer=Offer.parse(body),
            contract_price_jpy_per_mwh=optional_price(body, "contractPrice"),
            contract_volume_w=fields.volume(body, "contractVolume"),
            block_type_cd=block,
        )

    def json(self) -> dict[str, Any]:
        """The object."""
        return {
            "bidNo": self.bid_no,
            "blockTypeCd": self.block_type_cd,
            **self.offer.json(),
            "contractPrice": self.contract_price_jpy_per_mwh,
            "contractVolume": fields.volume_mw(self.contract_volume_w),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class IntradayBid:
    """An intraday bid, or the request to delete one, as the exchange has it (ITD1003).

    Args:
        bid_no: The exchange's number.
        timestamp: When it came, by the exchange's wall clock.
        delivery_date: Day of the period in Japan.
        time_cd: Half hour.
        offer: What was sent; None for a request to delete.
        contract_volume_w: What was taken so far, W.
        target_bid_no: The bid that a request to delete is about; None for a bid.
        is_deleted: The bid is deleted, or the request to delete is done.
    """

    bid_no: str
    timestamp: datetime
    delivery_date: date
    time_cd: str
    offer: Offer | None
    contract_volume_w: int
    target_bid_no: str | None
    is_deleted: bool

    @classmethod
    def parse(cls, body: Mapping[str, Any]) -> IntradayBid:
        """Read it."""
        deletes = body.get("bidTypeCd") == BidType.DELETE
        code = body.get("deleteCd")
        if not isinstance(code, str) or code not in {"0", "1"}:
            raise MessageError(ErrorCode.CODE, "deleteCd")
        return cls(
            bid_no=fields.serial_number(body, "bidNo"),
            timestamp=fields.stamp(body),
            delivery_date=fields.day(body),
            time_cd=fields.time_code(body),
            offer=None if deletes else Offer.parse(body),
            contract_volume_w=0 if deletes else fields.volume(body, "contractVolume"),
            target_bid_no=fields.serial_number(body, "targetBidNo") if deletes else None,
            is_deleted=code == "1",
        )

    def json(self) -> dict[str, Any]:
        """The object; a request to delete has nulls where a bid has values (JEPX 903 2.3.2)."""
        offer = self.offer.json() if self.offer else dict.fromkeys(_OFFER_KEYS)
        contracted = fields.volume_mw(self.contract_volume_w) if self.offer else None
        return {
            "bidNo": self.bid_no,
            "timestamp": fields.stamp_text(self.timestamp),
            **offer,
            "deliveryDate": self.delivery_date.isoformat(),
            "timeCd": self.time_cd,
            "bidTypeCd": self.offer.bid_type.value if self.offer else BidType.DELETE.value,
            "contractVolume": contracted,
            "targetBidNo": self.target_bid_no,
            "deleteCd": "1" if self.is_deleted else "0",
        }


_OFFER_KEYS = ("areaCd", "price", "volume", "deliveryContractCd", "note")


@dataclass(frozen=True, slots=True, kw_only=True)
class IntradayContract:
    """One contract of an intraday bid, which may have several (ITD1004).

    Args:
        contract_no: The exchange's number of it.
        timestamp: When, by the exchange's wall clock.
        bid_no: The exchange's number of the bid.
        delivery_date: Day of the period in Japan.
        time_cd: Half hour.
        area_cd: Area.
        bid_type: Kind of the bid.
        delivery_contract_cd: Code of the plan submitter or balancing group.
        note: The bid's note.
        price_jpy_per_mwh: Price, a multiple of 10.
        volume_w: What was taken, W, > 0.
    """

    contract_no: str
    timestamp: datetime
    bid_no: str
    delivery_date: date
    time_cd: str
    area_cd: str
    bid_type: BidType
    delivery_contract_cd: str
    note: str
    price_jpy_per_mwh: int
    volume_w: int

    @classmethod
    def parse(cls, body: Mapping[str, Any]) -> IntradayContract:
        """Read it."""
        return cls(
            contract_no=fields.serial_number(body, "contractNo"),
            timestamp=fields.stamp(body),
            bid_no=fields.serial_number(body, "bidNo"),
            delivery_date=fields.day(body),
            time_cd=fields.time_code(body),
            area_cd=fields.area(body),
            bid_type=_bid_type(body),
            delivery_contract_cd=fields.contract_code(body),
            note=fields.note(body),
            price_jpy_per_mwh=fields.price(body, "contractPrice"),
            volume_w=fields.volume(body, "contractVolume", low_w=fields.VOLUME_STEP_W),
        )

    def json(self) -> dict[str, Any]:
        """The object."""
        return {
            "contractNo": self.contract_no,
            "timestamp": fields.stamp_text(self.timestamp),
            "bidNo": self.bid_no,
            "deliveryDate": self.delivery_date.isoformat(),
            "timeCd": self.time_cd,
            "areaCd": self.area_cd,
            "bidTypeCd": self.bid_type.value,
            "deliveryContractCd": self.delivery_contract_cd,
            "note": self.note,
            "contractPrice": self.price_jpy_per_mwh,
            "contractVolume": fields.volume_mw(self.volume_w),
        }


def optional_price(body: Mapping[str, Any], key: str) -> int | None:
    """Read a price that may be absent, JPY/MWh."""
    return None if body.get(key) is None else fields.price(body, key)
