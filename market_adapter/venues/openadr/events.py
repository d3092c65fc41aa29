"""Events of OpenADR 3.1 as setpoints.

Read from the objects as they come, not from the library's models: those refuse the duration of an
event without end (P9999Y, User Guide) and so would lose every event beside it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from openadr3 import parse_datetime, parse_duration

from market_adapter.domain.demand_response import LOWEST_PRIORITY, Setpoint, SetpointKind

Json = Mapping[str, Any]

_FOREVER_S = 1000 * 365 * 86_400  # P9999Y "may indicate infinity"
_NOW_YEAR = 1  # a start of 0001-01-01 "may indicate now"
_MOST_ROUNDS = 10_000

_KINDS = {
    # Signed kW against what would have been: the one way to ask for a discharge that the schema
    # allows (User Guide 8.9.3).
    "CONTROL_SETPOINT": SetpointKind.POWER_CHANGE,
    # The schema bounds these at 0; a negative one is understood and never sent by us.
    "DISPATCH_SETPOINT": SetpointKind.POWER_CHANGE,
    "DISPATCH_SETPOINT_RELATIVE": SetpointKind.POWER_CHANGE,
    "CONTROL_LEVEL_OFFSET": SetpointKind.LEVEL,
    "SIMPLE": SetpointKind.LEVEL,
    "IMPORT_CAPACITY_LIMIT": SetpointKind.IMPORT_LIMIT,
    "EXPORT_CAPACITY_LIMIT": SetpointKind.EXPORT_LIMIT,
    "PRICE": SetpointKind.PRICE,
}
_WATTS = {"KW": Decimal(1000), "W": Decimal(1), "MW": Decimal(1_000_000)}
_POWERS = frozenset(
    {SetpointKind.POWER_CHANGE, SetpointKind.IMPORT_LIMIT, SetpointKind.EXPORT_LIMIT}
)
_MOST_LEVEL = 10


class EventError(ValueError):
    """An event that cannot be understood."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """A stretch of time of an event.

    Args:
        start_s: First second, since 1970 UTC; `-math.inf` for "now".
        end_s: First second after it; `math.inf` for ever.
        payloads: What it says.
    """

    start_s: float
    end_s: float
    payloads: Sequence[Json]


def setpoints_of(event: Json, *, program: Json) -> list[Setpoint]:
    """What an event asks for; payloads of kinds that are not for us are left out.

    Args:
        event: The object of `/events`.
        program: Its program, whose payload descriptors hold where the event has none.

    Raises:
        EventError: It cannot be understood as a whole; nothing of it is heard then.
    """
    try:
        name = f"openadr3:{event['id']}"
        priority = event.get("priority")
        units = {**_descriptors(program), **_descriptors(event)}
        return [
            setpoint
            for stretch in _stretches(event)
            for payload in stretch.payloads
            if (setpoint := _setpoint(name, priority, stretch, payload, units)) is not None
        ]
    except (KeyError, TypeError, ValueError, AttributeError, InvalidOperation) as error:
        message = f"event {event.get('id')!r}: {error!r}"
        raise EventError(message) from error


def _descriptors(holder: Json) -> dict[str, Json]:
    return {d["payloadType"]: d for d in holder.get("payloadDescriptors") or ()}


def _setpoint(
    name: str, priority: int | None, stretch: Stretch, payload: Json, units: Mapping[str, Json]
) -> Setpoint | None:
    kind = _KINDS.get(payload["type"])
    if kind is None:
        return None
    descriptor = units.get(payload["type"], {})
    value = _number(payload["values"])
    unit = ""
    if kind in _POWERS:
        value *= _WATTS[str(descriptor.get("units") or "KW").upper()]
        _whole_watts_or_limit(kind, value)
    elif kind is SetpointKind.PRICE:
        unit = f"{descriptor['currency']} micros/kWh"
        value = _micros(value, descriptor)
    elif value != int(value) or abs(value) > _MOST_LEVEL:
        message = f"no level: {value}"
        raise EventError(message)
    return Setpoint(
        source=name,
        kind=kind,
        value=value,
        start_s=stretch.start_s,
        end_s=stretch.end_s,
        priority=LOWEST_PRIORITY if priority is None else priority,
        unit=unit,
    )


def _whole_watts_or_limit(kind: SetpointKind, value: Decimal) -> None:
    if kind is not SetpointKind.POWER_CHANGE and value < 0:
        message = f"a limit is not negative: {value} W"
        raise EventError(message)


def _micros(value: Decimal, descriptor: Json) -> Decimal:
    if str(descriptor.get("units") or "KWH").upper() != "KWH":
        message = f"a price is per KWH, not per {descriptor['units']}"
        raise EventError(message)
    return value * 1_000_000


def _number(values: Sequence[Any]) -> Decimal:
    [value] = values
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        message = f"no number: {value!r}"
        raise EventError(message)
    number = Decimal(str(value))
    if not number.is_finite():
        message = f"no number: {value!r}"
        raise EventError(message)
    return number


def _stretches(event: Json) -> Iterator[Stretch]:
    """Intervals with their times; repeated while the event's own duration lasts."""
    first = list(_once(event, event.get("intervalPeriod") or {}))
    yield from first
    lasts_s = _seconds(event.get("duration"))
    if lasts_s is None or not first or not math.isfinite(first[-1].end_s):
        return
    begin_s = first[0].start_s
    round_s = first[-1].end_s - begin_s
    if round_s <= 0 or not math.isfinite(round_s):
        return
    for turn in range(1, _MOST_ROUNDS):
        if turn * round_s >= lasts_s:
            return
        for stretch in first:
            shift_s = turn * round_s
            yield Stretch(
                start_s=stretch.start_s + shift_s,
                end_s=min(stretch.end_s + shift_s, begin_s + lasts_s),
                payloads=stretch.payloads,
            )


def _once(event: Json, default: Json) -> Iterator[Stretch]:
    """Each interval starts where it says, else where the one before it ended (Definition 3.1)."""
    now_s = _instant_s(event.get("createdDateTime"), now_s=-math.inf)
    now_s = -math.inf if now_s is None else now_s
    next_s = _instant_s(default.get("start"), now_s=now_s)
    for interval in event.get("intervals") or ():
        own = interval.get("intervalPeriod") or {}
        own_start_s = _instant_s(own.get("start"), now_s=now_s)
        start_s = own_start_s if own_start_s is not None else next_s
        duration_s = _seconds(own.get("duration"))
        if duration_s is None:
            duration_s = _seconds(default.get("duration"))
        if start_s is None:
            message = "an interval without a start"
            raise EventError(message)
        next_s = end_s = _end_s(start_s, duration_s)
        yield Stretch(start_s=start_s, end_s=end_s, payloads=interval["payloads"])


def _end_s(start_s: float, duration_s: float | None) -> float:
    if duration_s is None or math.isinf(duration_s):
        return math.inf
    if math.isinf(start_s):
        message = "it starts now and ends, but nothing says when now was"
        raise EventError(message)
    return start_s + duration_s


def _instant_s(text: str | None, *, now_s: float) -> float | None:
    """An instant; "now" is when the VTN made the event."""
    instant = parse_datetime(text)
    if instant is None:
        return None
    return now_s if instant.year == _NOW_YEAR else float(instant.timestamp())


def _seconds(text: str | None) -> float | None:
    duration = parse_duration(text)
    if duration is None:
        return None
    seconds = float(duration.total_seconds())
    return math.inf if seconds > _FOREVER_S else seconds
