"""Results and notices of the market itself: prices, suspensions, the board of open offers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from gridcord.protocols.jepx import fields
from gridcord.protocols.jepx.fields import ErrorCode, MessageError
from gridcord.protocols.jepx.offers import optional_price

AREA_GROUPS: Mapping[str, tuple[str, ...]] = {
    "A1": ("1",),
    "A2": ("2", "3"),
    "A4": ("4", "5", "6"),
    "A7": ("7", "8"),
    "A9": ("9",),
}
"""areaGroupCd -> areaCds whose offers are shown together (JEPX 903 5.7)."""

_CHANGE_LOW_W = -fields.MAX_VOLUME_W


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketResult:
    """Outcome of one half hour of the day-ahead auction (DAH1050).

    Args:
        time_cd: Half hour.
        system_price_jpy_per_mwh: Price as if no line were full; None when not known.
        contract_volume_w: What was traded, W; None when not known.
        area_prices_jpy_per_mwh: Price per areaCd; areas without one are left out.
    """

    time_cd: str
    system_price_jpy_per_mwh: int | None
    contract_volume_w: int | None
    area_prices_jpy_per_mwh: Mapping[str, int]

    @classmethod
    def parse(cls, body: Mapping[str, Any]) -> MarketResult:
        """Read it."""
        prices = {
            fields.area(area): optional_price(area, "areaPrice")
            for area in fields.items(body, "areaResults")
        }
        total = body.get("contractVolume")
        return cls(
            time_cd=fields.time_code(body),
            system_price_jpy_per_mwh=optional_price(body, "systemPrice"),
            contract_volume_w=None if total is None else fields.volume(body, "contractVolume"),
            area_prices_jpy_per_mwh={k: v for k, v in prices.items() if v is not None},
        )

    def json(self) -> dict[str, Any]:
        """The object."""
        total = self.contract_volume_w
        return {
            "timeCd": self.time_cd,
            "systemPrice": self.system_price_jpy_per_mwh,
            "contractVolume": None if total is None else fields.volume_mw(total),
            "areaResults": [
                {"areaCd": code, "areaPrice": price}
                for code, price in self.area_prices_jpy_per_mwh.items()
            ],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """Whether trade of one half hour is suspended (ITD1005).

    Args:
        delivery_date: Day of the period in Japan.
        time_cd: Half hour.
        is_suspended: Trade is suspended now.
    """

    delivery_date: date
    time_cd: str
    is_suspended: bool

    @classmethod
    def parse(cls, body: Mapping[str, Any]) -> Product:
        """Read it."""
        code = fields.text(body, "suspendCd")
        if code not in {"0", "1"}:
            raise MessageError(ErrorCode.CODE, "suspendCd")
        return cls(
            delivery_date=fields.day(body),
            time_cd=fields.time_code(body),
            is_suspended=code == "1",
        )

    def json(self) -> dict[str, Any]:
        """The object."""
        return {
            "deliveryDate": self.delivery_date.isoformat(),
            "timeCd": self.time_cd,
            "suspendCd": "1" if self.is_suspended else "0",
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeNotice:
    """Somebody's contract in the intraday market (ITN1001, CONTRACT).

    Args:
        timestamp: When it was told, by the exchange's wall clock.
        delivery_date: Day of the period in Japan.
        time_cd: Half hour.
        price_jpy_per_mwh: Price.
        volume_w: Volume, W, > 0.
    """

    timestamp: datetime
    delivery_date: date
    time_cd: str
    price_jpy_per_mwh: int
    volume_w: int

    def json(self) -> dict[str, Any]:
        """The object."""
        return {
            "noticeTypeCd": "CONTRACT",
            "timestamp": fields.stamp_text(self.timestamp),
            "deliveryDate": self.delivery_date.isoformat(),
            "timeCd": self.time_cd,
            "contractPrice": self.price_jpy_per_mwh,
            "contractVolume": fields.volume_mw(self.volume_w),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardNotice:
    """A change of the volume on offer at one price (ITN1001, BID-BOARD).

    Args:
        timestamp: When, by the exchange's wall clock.
        delivery_date: Day of the period in Japan.
        time_cd: Half hour.
        area_group_cd: Key of `AREA_GROUPS`; groups of later editions are kept as they come.
        is_buy: Side of the offers.
        price_jpy_per_mwh: Price of the offers.
        change_w: Volume more (+) or less (-) than before, W.
    """

    timestamp: datetime
    delivery_date: date
    time_cd: str
    area_group_cd: str
    is_buy: bool
    price_jpy_per_mwh: int
    change_w: int

    def json(self) -> dict[str, Any]:
        """The object."""
        sign = -1 if self.change_w < 0 else 1
        return {
            "noticeTypeCd": "BID-BOARD",
            "timestamp": fields.stamp_text(self.timestamp),
            "deliveryDate": self.delivery_date.isoformat(),
            "timeCd": self.time_cd,
            "areaGroupCd": self.area_group_cd,
            "buySellCd": "BUY" if self.is_buy else "SELL",
            "price": self.price_jpy_per_mwh,
            "volume": sign * fields.volume_mw(abs(self.change_w)),
        }


Notice = TradeNotice | BoardNotice


def parse_notice(body: Mapping[str, Any]) -> Notice | None:
    """Read a notice; None for a kind that was invented later."""
    kind = fields.text(body, "noticeTypeCd")
    if kind == "CONTRACT":
        return TradeNotice(
            timestamp=fields.stamp(body),
            delivery_date=fields.day(body),
            time_cd=fields.time_code(body),
            price_jpy_per_mwh=fields.price(body, "contractPrice"),
            volume_w=fields.volume(body, "contractVolume"),
        )
    return _board_notice(body) if kind == "BID-BOARD" else None


def _board_notice(body: Mapping[str, Any]) -> BoardNotice:
    side = fields.text(body, "buySellCd")
    if side not in {"BUY", "SELL"}:
        raise MessageError(ErrorCode.CODE, "buySellCd")
    return BoardNotice(
        timestamp=fields.stamp(body),
        delivery_date=fields.day(body),
        time_cd=fields.time_code(body),
        area_group_cd=fields.text(body, "areaGroupCd"),
        is_buy=side == "BUY",
        price_jpy_per_mwh=fields.price(body),
        change_w=fields.volume(body, "volume", low_w=_CHANGE_LOW_W),
    )
