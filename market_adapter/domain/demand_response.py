"""Demand response: from what an event says of stretches of time to signals of market periods.

Both editions of OpenADR end here. Power is a change of consumption against what would have been:
+ is more consumption (the fleet charges), - is less (the fleet discharges). "Up" and "down" are
not used, because the words mean opposite things in Japan and Europe.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from itertools import pairwise

from gridcord.units import Period
from market_adapter.domain.demand import DemandSignal, SignalKind

LOWEST_PRIORITY = 2**31


class SetpointKind(StrEnum):
    """What a setpoint asks for."""

    POWER_CHANGE = "POWER_CHANGE"  # W, + more consumption, - less
    LEVEL = "LEVEL"  # steps of consumption, + less, - more (OpenADR CONTROL_LEVEL_OFFSET)
    IMPORT_LIMIT = "IMPORT_LIMIT"  # W
    EXPORT_LIMIT = "EXPORT_LIMIT"  # W
    PRICE = "PRICE"  # micros of a currency per kWh


_STEERING = frozenset({SetpointKind.POWER_CHANGE, SetpointKind.LEVEL})
_LIMITS = {
    SetpointKind.IMPORT_LIMIT: SignalKind.IMPORT_LIMIT,
    SetpointKind.EXPORT_LIMIT: SignalKind.EXPORT_LIMIT,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Setpoint:
    """What one event says of one stretch of time.

    Args:
        source: The event, such as "openadr3:event-17".
        kind: What it asks for.
        value: How much, in the kind's unit.
        start_s: First second, since 1970 UTC.
        end_s: First second after it; `math.inf` when it has no end.
        priority: 0 is the highest (OpenADR 3.1 event.priority).
        unit: Unit of a price, such as "JPY micros/kWh"; "" for the others.
    """

    source: str
    kind: SetpointKind
    value: Decimal
    start_s: float
    end_s: float = math.inf
    priority: int = LOWEST_PRIORITY
    unit: str = ""


def signals_of(
    setpoints: Sequence[Setpoint],
    *,
    area_id: str,
    periods: Sequence[Period],
    watts_per_level: int,
) -> list[DemandSignal]:
    """Say what setpoints mean for each period.

    Where several events ask for a power at one instant, the one with the highest priority is
    heard, among equals the one with the lowest name. Of limits the tightest holds, for a whole
    period even if only a part of it is bound.

    Args:
        setpoints: Everything that the source's events say now.
        area_id: The area the events are about.
        periods: The periods wanted.
        watts_per_level: Change of consumption of one level, W, > 0.
    """
    signals = []
    for period in periods:
        here = [s for s in setpoints if s.start_s < period.end_s and s.end_s > period.start_s]
        signals += _activations(here, area_id, period, watts_per_level)
        signals += _limits(here, area_id, period)
        signals += _prices(here, area_id, period)
    return signals


def _activations(
    setpoints: Iterable[Setpoint], area_id: str, period: Period, watts_per_level: int
) -> list[DemandSignal]:
    steering = [s for s in setpoints if s.kind in _STEERING]
    joules: defaultdict[str, Fraction] = defaultdict(Fraction)
    for start, end in _segments(steering, period):
        heard = _heard(steering, start)
        if heard is not None:
            joules[heard.source] += _watts(heard, watts_per_level) * (end - start)
    return [
        DemandSignal(
            kind=SignalKind.ACTIVATION,
            area_id=area_id,
            period=period,
            value=Decimal(round(energy / 3600)),
            unit="Wh",
            source=source,
        )
        for source, energy in sorted(joules.items())
    ]


def _segments(setpoints: Iterable[Setpoint], period: Period) -> list[tuple[Fraction, Fraction]]:
    """The stretches of a period in which no setpoint starts or ends."""
    edges = {Fraction(period.start_s), Fraction(period.end_s)}
    for setpoint in setpoints:
        for edge_s in (setpoint.start_s, setpoint.end_s):
            if period.start_s < edge_s < period.end_s:
                edges.add(Fraction(edge_s))
    ordered = sorted(edges)
    return list(pairwise(ordered))


def _heard(setpoints: Iterable[Setpoint], instant_s: Fraction) -> Setpoint | None:
    now = [s for s in setpoints if s.start_s <= instant_s < s.end_s]
    return min(now, key=lambda s: (s.priority, s.source, -s.start_s), default=None)


def _watts(setpoint: Setpoint, watts_per_level: int) -> Fraction:
    if setpoint.kind is SetpointKind.LEVEL:
        return -Fraction(setpoint.value) * watts_per_level
    return Fraction(setpoint.value)


def _limits(setpoints: Iterable[Setpoint], area_id: str, period: Period) -> list[DemandSignal]:
    return [
        DemandSignal(
            kind=_LIMITS[setpoint.kind],
            area_id=area_id,
            period=period,
            value=Decimal(math.floor(setpoint.value)),
            unit="W",
            source=setpoint.source,
        )
        for setpoint in setpoints
        if setpoint.kind in _LIMITS
    ]


def _prices(setpoints: Iterable[Setpoint], area_id: str, period: Period) -> list[DemandSignal]:
    prices = [s for s in setpoints if s.kind is SetpointKind.PRICE]
    heard = _heard(prices, Fraction(period.start_s))
    if heard is None:
        return []
    return [
        DemandSignal(
            kind=SignalKind.PRICE,
            area_id=area_id,
            period=period,
            value=heard.value,
            unit=heard.unit,
            source=heard.source,
        )
    ]
