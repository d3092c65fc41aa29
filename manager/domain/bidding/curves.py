"""Bids: how much of the fleet's energy to offer at which price, before the price is known.

Before the gate closes neither tomorrow's prices nor tomorrow's cars are known. So the fleet's plan
(`horizon`) is made for a number of scenarios, each a price curve with a set of arrivals taken from
the past. For every period the pairs (price, net energy) of the scenarios are then joined to one
falling curve: the higher the price, the less is bought and the more is sold. Offered as limit
orders, the curve makes what is contracted adapt to the price that will be cleared.

Sign: + bought (the fleet charges), - sold (it discharges).
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from manager.domain.bidding.horizon import Outlook, Program
from manager.domain.bidding.lots import in_lots
from manager.domain.bidding.stay import Window
from manager.domain.dispatch.fleet_state import Floats

_MEDIAN = 0.5
_ROUNDING = 1e-9  # of a confidence in binary: 1 - 0.8 is a little less than 0.2


class Side(StrEnum):
    """Side of a bid, seen from the aggregator."""

    BUY = "BUY"
    SELL = "SELL"


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitBid:
    """A limit order for one period.

    Args:
        side: Buy or sell.
        energy_wh: Wh, > 0, whole lots.
        limit_micros_per_kwh: Most to pay, or least to get; None takes any price.
    """

    side: Side
    energy_wh: int
    limit_micros_per_kwh: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One way tomorrow may turn out.

    Args:
        price_micros_per_kwh: By period.
        net_wh: What the fleet would do then, Wh, + charging, by period.
    """

    price_micros_per_kwh: Floats
    net_wh: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """What is wanted of one period at each price.

    Args:
        limit_micros_per_kwh: Rising prices at which the next step begins.
        energy_wh: Wanted below the first limit, between limits, and above the last: falling, whole
            lots, Wh; one more than limits.
    """

    limit_micros_per_kwh: tuple[int, ...]
    energy_wh: tuple[int, ...]

    def contracted_wh(self, price_micros_per_kwh: int) -> int:
        """What the market takes of it at a cleared price, as far as it takes all that fits."""
        passed = sum(limit < price_micros_per_kwh for limit in self.limit_micros_per_kwh)
        return self.energy_wh[passed]

    def bids(self, *, tick_micros: int) -> tuple[LimitBid, ...]:
        """The orders that make it: each step down is bought up to its limit, or sold above it.

        Args:
            tick_micros: Step of the market's prices, > 0.
        """
        bids = [_bid(Side.BUY, self.energy_wh[-1], None), _bid(Side.SELL, -self.energy_wh[0], None)]
        steps = zip(self.limit_micros_per_kwh, self.energy_wh[:-1], self.energy_wh[1:], strict=True)
        for limit, before, after in steps:
            bids.append(_bid(Side.BUY, max(before, 0) - max(after, 0), limit))
            bids.append(_bid(Side.SELL, min(before, 0) - min(after, 0), limit + tick_micros))
        return tuple(bid for bid in bids if bid.energy_wh > 0)


def _bid(side: Side, energy_wh: int, limit: int | None) -> LimitBid:
    return LimitBid(side=side, energy_wh=energy_wh, limit_micros_per_kwh=limit)


@dataclass(frozen=True, slots=True, kw_only=True)
class BidRules:
    """How scenarios become bids.

    Args:
        lot_wh: Energy of one lot, Wh.
        tick_micros: Step of prices, micros per kWh.
        confidence: Share of the scenarios in which a volume must be possible, in [0.5, 1). At 0.5
            the volume is the median, to the nearest lot, which makes the expected deviation least;
            above, lots are rounded towards zero.
    """

    lot_wh: int
    tick_micros: int
    confidence: float = 0.5

    def __post_init__(self) -> None:
        if not 0.5 <= self.confidence < 1 or self.lot_wh <= 0 or self.tick_micros <= 0:
            message = "confidence is in [0.5, 1), lot and tick are above 0"
            raise ValueError(message)


def imagine(
    *,
    fleets: Sequence[Sequence[Window]],
    outlooks: Sequence[Outlook],
    first: int,
    periods: int,
) -> tuple[Scenario, ...]:
    """What the fleet would do if things turned out so.

    Args:
        fleets: Fleets that may be there, at least one.
        outlooks: Prices that may come, all of the same periods; the i-th meets the i-th fleet,
            fleets being taken in turn.
        first: Index of the first period of the market's day.
        periods: Its number of periods.
    """
    programs: dict[int, Program] = {}
    found = []
    for number, outlook in enumerate(outlooks):
        index = number % len(fleets)
        if fleets[index] and index not in programs:
            programs[index] = Program(fleets[index], outlook)
        net_wh = np.zeros(len(outlook.price_micros_per_kwh))
        planned = programs[index].solved(outlook).net_wh if fleets[index] else ()
        for window, each in zip(fleets[index], planned, strict=True):
            net_wh[window.first - outlook.first :][: len(each)] += each
        day = slice(first - outlook.first, first - outlook.first + periods)
        found.append(
            Scenario(price_micros_per_kwh=outlook.price_micros_per_kwh[day], net_wh=net_wh[day])
        )
    return tuple(found)


def curves(*, scenarios: Sequence[Scenario], rules: BidRules) -> tuple[Curve, ...]:
    """One falling curve for each period of the market's day.

    Args:
        scenarios: How the day may turn out; with none nothing is offered.
        rules: How they become bids.
    """
    if not scenarios:
        return ()
    prices = np.array([each.price_micros_per_kwh for each in scenarios])
    net = np.array([each.net_wh for each in scenarios])
    return tuple(
        _curve(prices[:, period].tolist(), net[:, period].tolist(), rules)
        for period in range(prices.shape[1])
    )


@dataclass(slots=True)
class _Step:
    """Neighbouring prices at which the same is wanted."""

    lowest: float
    highest: float
    volumes: list[float]

    @property
    def level(self) -> float:
        return statistics.median(self.volumes)


def _curve(prices: list[float], volumes: list[float], rules: BidRules) -> Curve:
    steps = _falling(prices, volumes)
    traded = _traded([_sure(step.volumes, rules.confidence) for step in steps], rules)
    limits: list[int] = []
    energy = [traded[0]]
    for before, after, wanted in zip(steps, steps[1:], traded[1:], strict=False):
        middle = (before.highest + after.lowest) / 2
        limit = math.floor(middle / rules.tick_micros) * rules.tick_micros
        if limits and limit == limits[-1]:  # closer than a tick: one step
            energy[-1] = wanted
        elif wanted < energy[-1]:
            limits.append(limit)
            energy.append(wanted)
    return Curve(limit_micros_per_kwh=tuple(limits), energy_wh=tuple(energy))


def _traded(levels: list[float], rules: BidRules) -> list[int]:
    """Whole lots that fall from step to step, each no further from zero than its level."""
    nearest = rules.confidence == _MEDIAN
    lots = [in_lots(each, lot_wh=rules.lot_wh, nearest=nearest).traded_wh for each in levels]
    bought = np.minimum.accumulate(np.maximum(lots, 0))
    sold = np.maximum.accumulate(np.minimum(lots, 0)[::-1])[::-1]
    return [int(each) for each in bought + sold]


def _falling(prices: list[float], volumes: list[float]) -> list[_Step]:
    """Least absolute deviations under a falling constraint (pool adjacent violators)."""
    steps: list[_Step] = []
    for price, volume in sorted(zip(prices, volumes, strict=True)):
        if steps and steps[-1].highest == price:
            steps[-1].volumes.append(volume)
        else:
            steps.append(_Step(price, price, [volume]))
        while len(steps) > 1 and steps[-2].level <= steps[-1].level:
            last = steps.pop()
            steps[-1].highest = last.highest
            steps[-1].volumes += last.volumes
    return steps


def _sure(volumes: list[float], confidence: float) -> float:
    """The volume, towards zero from the median, that is possible in a share of the scenarios."""
    ordered = sorted(volumes)
    if confidence == _MEDIAN:
        return statistics.median(ordered)
    index = math.floor((1 - confidence) * len(ordered) + _ROUNDING)
    least, most = ordered[index], ordered[-1 - index]
    return max(least, 0.0) or min(most, 0.0)
