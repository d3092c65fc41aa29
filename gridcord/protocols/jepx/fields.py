"""Fields of messages: the exchange's units and codes, exactly as ours and back.

Prices are JPY/MWh in tens, which is 0.01 JPY/kWh; volumes are MW with one decimal, which over a
half hour is lots of 50 kWh (JEPX 902 2.1.1; trading rules Art. 15).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from gridcord.protocols.jepx.frames import ProtocolError

AREA_CODES: Mapping[str, str] = {
    "hokkaido": "1",
    "tohoku": "2",
    "tokyo": "3",
    "chubu": "4",
    "hokuriku": "5",
    "kansai": "6",
    "chugoku": "7",
    "shikoku": "8",
    "kyushu": "9",
}
"""Area id -> areaCd (JEPX 902 4.1)."""

PRICE_STEP_JPY_PER_MWH = 10
VOLUME_STEP_W = 100_000
MICROS_PER_KWH_OF_JPY_PER_MWH = 1000
MAX_PRICE_JPY_PER_MWH = 999_990  # 999.99 JPY/kWh
MAX_VOLUME_W = 100_000_000_000
MAX_NOTE_CHARACTERS = 100
PERIODS_A_DAY = 48  # Japan has no clock changes
PERIOD_S = 1800

_MAX_DIGITS = 20  # within the 28 that Decimal computes without rounding

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_STAMP = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}")
_NUMBER = re.compile(r"[0-9]{1,20}")
_CONTRACT_CODE = re.compile(r"[A-Za-z0-9]{1,16}")


class ErrorCode(StrEnum):
    """Why a call was refused (JEPX 902 5, 903 6)."""

    REQUIRED = "required"
    FORMAT = "format"
    INCONSISTENCY = "inconsistency"
    SIZE = "size"
    UNIT = "unit"
    RANGE = "range"
    CODE = "code"
    MEMBER = "member"
    SCHEDULE = "schedule"
    NONE = "none"


class MessageError(ProtocolError):
    """A message breaks a rule of its fields.

    Args:
        code: What a server answers to it.
        field: The field's key.
    """

    def __init__(self, code: ErrorCode, field: str) -> None:
        super().__init__(f"{field}: {code.value}")
        self.code = code
        self.field = field


def energy_wh(volume_w: int) -> int:
    """Energy of a volume over one period, Wh."""
    return volume_w * PERIOD_S // 3600


def volume_w(wh: int) -> int:
    """Volume that gives an energy in one period, W.

    Raises:
        ValueError: Not a multiple of the lot of 50 kWh.
    """
    if wh * 3600 % (PERIOD_S * VOLUME_STEP_W):
        message = f"{wh} Wh is no multiple of 50 kWh"
        raise ValueError(message)
    return wh * 3600 // PERIOD_S


def price_jpy_per_mwh(micros_per_kwh: int) -> int:
    """Price as the exchange writes it, from millionths of JPY per kWh.

    Raises:
        ValueError: Not a multiple of 0.01 JPY/kWh.
    """
    if micros_per_kwh % (MICROS_PER_KWH_OF_JPY_PER_MWH * PRICE_STEP_JPY_PER_MWH):
        message = f"{micros_per_kwh} micros/kWh is no multiple of 0.01 JPY/kWh"
        raise ValueError(message)
    return micros_per_kwh // MICROS_PER_KWH_OF_JPY_PER_MWH


def price_micros_per_kwh(jpy_per_mwh: int) -> int:
    """Millionths of JPY per kWh, from JPY/MWh."""
    return jpy_per_mwh * MICROS_PER_KWH_OF_JPY_PER_MWH


def time_cd(number: int) -> str:
    """Code of the n-th half hour of the day, n from 1 to 48.

    Raises:
        ValueError: There is none.
    """
    if not 1 <= number <= PERIODS_A_DAY:
        message = f"a day has half hours 1 to {PERIODS_A_DAY}, not {number}"
        raise ValueError(message)
    return f"{number:02d}"


def volume_mw(w: int) -> float:
    """Volume as a JSON number with one decimal: the shortest float of it is exact as text."""
    return w // VOLUME_STEP_W / 10


def text(body: Mapping[str, Any], key: str) -> str:
    """Read a text that must not be empty."""
    value = body.get(key)
    if value is None or value == "":
        raise MessageError(ErrorCode.REQUIRED, key)
    if not isinstance(value, str):
        raise MessageError(ErrorCode.FORMAT, key)
    return value


def note(body: Mapping[str, Any]) -> str:
    """Read the member's note, "" when there is none."""
    value = body.get("note")
    if value is None:
        return ""
    if not isinstance(value, str):
        raise MessageError(ErrorCode.FORMAT, "note")
    if len(value) > MAX_NOTE_CHARACTERS:
        raise MessageError(ErrorCode.RANGE, "note")
    return value


def coded(body: Mapping[str, Any], key: str, pattern: re.Pattern[str]) -> str:
    """Read a text of one form."""
    value = text(body, key)
    if not pattern.fullmatch(value):
        raise MessageError(ErrorCode.CODE, key)
    return value


def serial_number(body: Mapping[str, Any], key: str) -> str:
    """Read a number that the exchange gave, kept as text."""
    return coded(body, key, _NUMBER)


def contract_code(body: Mapping[str, Any]) -> str:
    """Read the plan submitter's or balancing group's code."""
    return coded(body, "deliveryContractCd", _CONTRACT_CODE)


def area(body: Mapping[str, Any]) -> str:
    """Read an areaCd."""
    value = text(body, "areaCd")
    if value not in AREA_CODES.values():
        raise MessageError(ErrorCode.CODE, "areaCd")
    return value


def time_code(body: Mapping[str, Any]) -> str:
    """Read a timeCd, "01" to "48"."""
    value = text(body, "timeCd")
    if len(value) != 2 or not value.isascii() or not value.isdigit():
        raise MessageError(ErrorCode.CODE, "timeCd")
    if not 1 <= int(value) <= PERIODS_A_DAY:
        raise MessageError(ErrorCode.CODE, "timeCd")
    return value


def day(body: Mapping[str, Any], key: str = "deliveryDate") -> date:
    """Read a day, YYYY-MM-DD."""
    value = text(body, key)
    try:
        if _DATE.fullmatch(value):
            return date.fromisoformat(value)
    except ValueError:
        pass
    raise MessageError(ErrorCode.FORMAT, key)


def stamp(body: Mapping[str, Any]) -> datetime:
    """Read a time of the exchange's wall clock, without a zone because it names none."""
    value = text(body, "timestamp")
    try:
        if _STAMP.fullmatch(value):
            return datetime.fromisoformat(value)
    except ValueError:
        pass
    raise MessageError(ErrorCode.FORMAT, "timestamp")


def stamp_text(value: datetime) -> str:
    """Write a time of the exchange's wall clock, with milliseconds."""
    return value.isoformat(timespec="milliseconds")


def number(body: Mapping[str, Any], key: str) -> Decimal:
    """Read a number, exact."""
    value = body.get(key)
    if value is None:
        raise MessageError(ErrorCode.REQUIRED, key)
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise MessageError(ErrorCode.FORMAT, key)
    exact = Decimal(value)
    if len(exact.as_tuple().digits) > _MAX_DIGITS or abs(exact.adjusted()) > _MAX_DIGITS:
        raise MessageError(ErrorCode.RANGE, key)
    return exact


def price(body: Mapping[str, Any], key: str = "price") -> int:
    """Read a price, JPY/MWh, >= 0 and a multiple of 10."""
    value = number(body, key)
    if not 0 <= value <= MAX_PRICE_JPY_PER_MWH:
        raise MessageError(ErrorCode.RANGE, key)
    if value % PRICE_STEP_JPY_PER_MWH:
        raise MessageError(ErrorCode.UNIT, key)
    return int(value)


def volume(body: Mapping[str, Any], key: str, *, truncate: bool = False, low_w: int = 0) -> int:
    """Read a volume, W, a multiple of 0.1 MW.

    Args:
        body: The message.
        key: The field.
        truncate: Cut finer decimals off, as the exchange does with an offer's, instead of
            refusing them.
        low_w: Least that is allowed, W; negative where a change of volume may be.
    """
    value = number(body, key) * 1_000_000
    if not low_w <= value <= MAX_VOLUME_W:
        raise MessageError(ErrorCode.RANGE, key)
    watts = int(value / VOLUME_STEP_W) * VOLUME_STEP_W
    if watts != value and not truncate:
        raise MessageError(ErrorCode.UNIT, key)
    if watts < low_w:
        raise MessageError(ErrorCode.RANGE, key)
    return watts


def items(body: Mapping[str, Any], key: str) -> Sequence[Mapping[str, Any]]:
    """Read a list of objects."""
    value = body.get(key)
    if value is None:
        raise MessageError(ErrorCode.REQUIRED, key)
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise MessageError(ErrorCode.FORMAT, key)
    return value
