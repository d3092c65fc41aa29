"""From what is connected and what prices were to the bids for the next gate.

The fleet that is planned is the one that is connected: batteries and stations stay, a vehicle
stays until its driver leaves. That some of it will not be there is a scenario of its own: in each,
another part of the fleet is missing. Prices are those of past days; while too few are known,
energy is offered evenly over the gate's periods between the two limits of the operator.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from gridcord.metering.reading import Permission
from manager.domain.bidding.bid import Bid, MarketTerms, market_bid
from manager.domain.bidding.clusters import clustered
from manager.domain.bidding.curves import BidRules, curves, imagine
from manager.domain.bidding.horizon import Obligation, Outlook
from manager.domain.bidding.stay import Battery, Stay, Window, window
from manager.domain.dispatch.fleet_state import Floats
from manager.domain.records.resource import ResourceState

DAY_S = 86_400
FEWEST_DAYS = 5
"""Of past prices: a curve of fewer says too little of what a price may be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferRules:
    """What the operator decided.

    Args:
        confidence: Share of the scenarios in which a volume must be possible, in [0.5, 1).
        sell_micros_per_kwh: Least to get while too few past prices are known.
        buy_micros_per_kwh: Most to pay then.
        wear_micros_per_kwh: Of what is discharged.
        deviation_micros_per_kwh: What missing a contract that stands is taken to cost.
        efficiency_permille: Between cable and battery, one way.
        price_days: How many past days are scenarios of prices.
        most_clusters: More resources than that are planned in clusters.
    """

    confidence: float
    sell_micros_per_kwh: int
    buy_micros_per_kwh: int
    wear_micros_per_kwh: int
    deviation_micros_per_kwh: int
    efficiency_permille: int
    price_days: int = 20
    most_clusters: int = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What is known at the gate.

    Args:
        now_s: Seconds since 1970 UTC.
        fleet: Resources of the area that are connected.
        prices: Day-ahead prices of the area by start of period, micros per kWh.
        contracted_wh: What is contracted of coming periods, by start, Wh, + charging.
    """

    now_s: float
    fleet: Sequence[ResourceState]
    prices: Mapping[int, int]
    contracted_wh: Mapping[int, int]


def offers(
    situation: Situation, *, terms: MarketTerms, area_id: str, rules: OfferRules
) -> tuple[Bid, ...]:
    """Bids for the periods of the next gate.

    Args:
        situation: What is known.
        terms: Of the market.
        area_id: In which area.
        rules: What the operator decided.
    """
    length_s = terms.gate_first.length_s
    first = int(situation.now_s) // length_s
    day = terms.gate_first.start_s // length_s - first
    span = day + terms.gate_count + DAY_S // length_s  # what is left after the day has a use
    windows = [
        _window(each, situation.now_s, span, length_s, rules)
        for each in sorted(situation.fleet, key=lambda each: each.resource_id)
        if each.transfer_permitted and each.permission is not Permission.NONE
    ]
    if not windows or day < 0:
        return ()
    outlooks = _outlooks(situation, first, span, length_s, rules)
    if len(outlooks) < min(FEWEST_DAYS, rules.price_days):
        outlooks = _prior(situation, first, day, terms, span, rules)
        windows = [_evenly(each, first + day, terms.gate_count) for each in windows]
    fleets = _fleets(windows, rules)
    scenarios = imagine(
        fleets=fleets,
        outlooks=[each for each in outlooks for _ in fleets],
        first=first + day,
        periods=terms.gate_count,
    )
    stands_wh = np.array(
        [
            situation.contracted_wh.get(terms.gate_first.next(n).start_s, 0)
            for n in range(terms.gate_count)
        ]
    )
    scenarios = tuple(replace(each, net_wh=each.net_wh - stands_wh) for each in scenarios)
    bidding = BidRules(
        lot_wh=terms.lot_wh, tick_micros=terms.tick_micros_per_kwh, confidence=rules.confidence
    )
    return tuple(
        market_bid(
            order, terms=terms, area_id=area_id, period=terms.gate_first.next(count), step=step
        )
        for count, curve in enumerate(curves(scenarios=scenarios, rules=bidding))
        for step, order in enumerate(curve.bids(tick_micros=terms.tick_micros_per_kwh))
    )


def _window(
    resource: ResourceState, now_s: float, span: int, length_s: int, rules: OfferRules
) -> Window:
    """What a resource can do until it leaves, or beyond what is looked at."""
    start_s = int(now_s)
    beyond_s = (start_s // length_s + span + 1) * length_s
    leaves_s = beyond_s if resource.departure_s is None else int(resource.departure_s)
    ceiling_wh = resource.capacity_wh
    if resource.permission is Permission.CHARGE_TO_SOC and resource.charge_to_percent is not None:
        ceiling_wh = int(ceiling_wh * resource.charge_to_percent / 100)
    gives = resource.permission is Permission.BIDIRECTIONAL
    battery = Battery(
        ceiling_wh=ceiling_wh,
        reserve_wh=min(ceiling_wh, int(resource.capacity_wh * resource.reserve_percent / 100)),
        charge_w=resource.charge_limit_w,
        discharge_w=resource.discharge_limit_w if gives else 0,
        charge_permille=rules.efficiency_permille,
        discharge_permille=rules.efficiency_permille,
    )
    stay = Stay(
        battery=battery,
        start_s=start_s,
        departure_s=max(min(leaves_s, beyond_s), start_s + 1),
        energy_wh=int(resource.capacity_wh * resource.soc_percent / 100),
        target_wh=int(resource.capacity_wh * resource.departure_percent / 100),
    )
    return window(stay, length_s=length_s)


def _outlooks(
    situation: Situation, first: int, span: int, length_s: int, rules: OfferRules
) -> list[Outlook]:
    """Coming prices as they were some days ago, where they are not known; whole days only."""
    found = []
    for days in range(1, rules.price_days + 1):
        prices = [_price(situation.prices, (first + n) * length_s, days) for n in range(span)]
        if None not in prices:
            found.append(_outlook(situation, first, np.array(prices, np.float64), length_s, rules))
    return found


def _price(known: Mapping[int, int], start_s: int, days: int) -> int | None:
    """Of a period: known, or of the same time so many days ago, or one more day before, ..."""
    if start_s in known:
        return known[start_s]
    return next(
        (
            known[start_s - back * DAY_S]
            for back in range(days, days + 3)
            if start_s - back * DAY_S in known
        ),
        None,
    )


def _prior(
    situation: Situation, first: int, day: int, terms: MarketTerms, span: int, rules: OfferRules
) -> list[Outlook]:
    """Without a past: a cheap day, a dear one and one between the operator's limits."""
    sell, buy = rules.sell_micros_per_kwh, rules.buy_micros_per_kwh
    between = (sell + buy) / 2
    tick = terms.tick_micros_per_kwh
    free = replace(rules, wear_micros_per_kwh=0)  # the limits include it
    found = []
    for price in (max(2 * buy - between, tick), between, 2 * (sell - tick) - between):
        prices = np.full(span, between)
        prices[day : day + terms.gate_count] = price
        found.append(_outlook(situation, first, prices, terms.gate_first.length_s, free))
    return [replace(each, left_micros_per_kwh=between) for each in found]


def _outlook(
    situation: Situation, first: int, prices: Floats, length_s: int, rules: OfferRules
) -> Outlook:
    contracted = [situation.contracted_wh.get((first + n) * length_s) for n in range(len(prices))]
    stands = max((n + 1 for n, each in enumerate(contracted) if each is not None), default=0)
    obligation = None
    if stands:
        obligation = Obligation(
            net_wh=np.array([each or 0 for each in contracted[:stands]], np.float64),
            deviation_micros_per_kwh=np.array(
                [
                    0 if each is None else rules.deviation_micros_per_kwh
                    for each in contracted[:stands]
                ],
                np.float64,
            ),
        )
    return Outlook(
        first=first,
        price_micros_per_kwh=prices,
        wear_micros_per_kwh=rules.wear_micros_per_kwh,
        obligation=obligation,
    )


def _evenly(one: Window, first: int, count: int) -> Window:
    """With a share of its energy for each of the gate's periods, so that no price decides when."""
    periods = range(one.first, one.end)
    inside = np.array([first <= period < first + count for period in periods])
    spare_wh = max(0, one.energy_wh - one.kept_wh)
    given_wh = one.battery.outcome_wh(spare_wh) // max(1, int(inside.sum()))
    taken_wh = one.battery.room_wh(one.energy_wh) // max(1, int(inside.sum()))
    must_charge = one.promise_wh > one.energy_wh
    return replace(
        one,
        discharge_wh=np.where(inside, np.minimum(one.discharge_wh, given_wh), 0),
        charge_wh=one.charge_wh
        if must_charge
        else np.where(inside, np.minimum(one.charge_wh, taken_wh), one.charge_wh),
    )


def _fleets(windows: Sequence[Window], rules: OfferRules) -> list[list[Window]]:
    """As many fleets as the confidence asks for, in each of which another part is missing."""
    parts = max(1, round(1 / (1 - rules.confidence)))
    fleets = [
        [each for n, each in enumerate(windows) if n % parts != part] for part in range(parts)
    ]
    return [
        [each.window for each in clustered(fleet, most=rules.most_clusters)] for fleet in fleets
    ]
