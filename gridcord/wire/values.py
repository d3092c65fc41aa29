"""Times, periods, positions, money and prices between messages and values."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

from gridcord.api.types.v1 import types_pb2
from gridcord.units import IdentifierError, Money, Period, Position, Price, SiteId, parse_site_id
from gridcord.units.period import HALF_HOUR_S

EARLIEST_S = 946_684_800  # 2000-01-01: clocks before it are not set
LATEST_S = 7_258_118_400  # 2200-01-01
MAX_LENGTH_S = 86_400
MAX_NUMBER = 2**63 - 1


_FIELD = re.compile(r"([a-z][a-z0-9_.]*): ")


class WireError(ValueError):
    """A message says something that cannot be; the text names the field and what is wrong."""

    @property
    def metadata(self) -> dict[str, str]:
        """The field that the text names, for a `BadRequest` to the caller."""
        named = _FIELD.match(str(self))
        return {"field": named[1]} if named else {}


def is_number(text: str) -> bool:
    """Whether a cursor or page token is a number that a database can hold."""
    short = len(text) <= len(str(MAX_NUMBER))
    return short and text.isascii() and text.isdecimal() and int(text) <= MAX_NUMBER


def check_text(text: str, *, most: int, field: str) -> None:
    """Refuse a text that no database takes.

    Raises:
        WireError: More than `most` characters, or NUL, which PostgreSQL cannot store: one record
            with it would stop all that are stored after it.
    """
    if len(text) > most or "\x00" in text:
        message = f"{field}: more than {most} characters, or NUL in it"
        raise WireError(message)


def time_from_proto(message: Timestamp, *, field: str) -> float:
    """Seconds since 1970 UTC of a set timestamp between 2000 and 2200.

    Raises:
        WireError: Outside.
    """
    if not EARLIEST_S <= message.seconds < LATEST_S or not 0 <= message.nanos < 1_000_000_000:
        text = f"{field}: {message.seconds} s is no time between 2000 and 2200"
        raise WireError(text)
    return message.seconds + message.nanos / 1e9 if message.nanos else float(message.seconds)


def seconds_from_proto(message: Timestamp, *, field: str) -> int:
    """Whole seconds since 1970 UTC; WireError for a fraction or a time out of bounds."""
    if message.nanos:
        text = f"{field}: whole seconds expected"
        raise WireError(text)
    return int(time_from_proto(message, field=field))


def time_to_proto(seconds: float) -> Timestamp:
    """A timestamp, to the microsecond."""
    if isinstance(seconds, int):
        return Timestamp(seconds=seconds)
    micros = round(seconds * 1_000_000)
    return Timestamp(seconds=micros // 1_000_000, nanos=micros % 1_000_000 * 1000)


def datetime_to_proto(instant: datetime) -> Timestamp:
    """A timestamp of an aware datetime."""
    return time_to_proto(instant.astimezone(UTC).timestamp())


def period_from_proto(message: types_pb2.SettlementPeriod, *, field: str = "period") -> Period:
    """A period.

    Raises:
        WireError: Not aligned, too long, or out of bounds.
    """
    length_s = message.length_s or HALF_HOUR_S
    start_s = seconds_from_proto(message.start_time, field=f"{field}.start_time")
    if not 0 < length_s <= MAX_LENGTH_S or start_s % length_s:
        text = f"{field}: no period of {length_s} s starts at {start_s}"
        raise WireError(text)
    return Period(start_s, length_s)


def period_to_proto(period: Period) -> types_pb2.SettlementPeriod:
    """The message of a period."""
    return types_pb2.SettlementPeriod(
        start_time=Timestamp(seconds=period.start_s), length_s=period.length_s
    )


def position_from_proto(message: types_pb2.Position, *, field: str = "position") -> Position:
    """A position; WireError when out of bounds or not finite."""
    try:
        return Position(
            message.latitude_deg,
            message.longitude_deg,
            message.accuracy_m if message.HasField("accuracy_m") else None,
            time_from_proto(message.fix_time, field=f"{field}.fix_time")
            if message.HasField("fix_time")
            else None,
        )
    except WireError:
        raise
    except ValueError as error:
        text = f"{field}: {error}"
        raise WireError(text) from None


def position_to_proto(position: Position) -> types_pb2.Position:
    """The message of a position."""
    return types_pb2.Position(
        latitude_deg=position.latitude_deg,
        longitude_deg=position.longitude_deg,
        accuracy_m=position.accuracy_m,
        fix_time=None if position.fix_time_s is None else time_to_proto(position.fix_time_s),
    )


def money_to_proto(money: Money) -> types_pb2.Money:
    """The message of an amount."""
    return types_pb2.Money(currency_code=money.currency, amount_micros=money.micros)


def money_from_proto(message: types_pb2.Money, *, field: str) -> Money:
    """An amount; WireError when the currency is none."""
    try:
        return Money(message.currency_code, message.amount_micros)
    except ValueError as error:
        text = f"{field}: {error}"
        raise WireError(text) from None


def price_to_proto(price: Price) -> types_pb2.Price:
    """The message of a price."""
    return types_pb2.Price(currency_code=price.currency, price_micros_per_kwh=price.micros_per_kwh)


def price_from_proto(message: types_pb2.Price, *, field: str) -> Price:
    """A price; WireError when the currency is none."""
    try:
        return Price(message.currency_code, message.price_micros_per_kwh)
    except ValueError as error:
        text = f"{field}: {error}"
        raise WireError(text) from None


def site_id_from_proto(text: str, *, field: str = "site_id") -> SiteId:
    """A site id; WireError when it is none."""
    try:
        return parse_site_id(text)
    except IdentifierError as error:
        message = f"{field}: {error}"
        raise WireError(message) from None
