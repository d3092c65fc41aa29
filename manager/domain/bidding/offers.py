"""From what is connected and what prices were to the bids for the next gate.

The fleet that is planned is the one that is connected, and the one that may come: batteries and
stations stay, a vehicle stays until its driver leaves, and those come who came on a past day of the
same kind. That some of it will not be there is a scenario of its own: in each, another part of the
connected fleet is missing, and another past day brings the arrivals. Prices are those of past days;
while too few are known, energy is offered evenly over the gate's periods between the two limits of
the operator.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from gridcord.units import Period
from manager.domain.bidding.bid import Bid, MarketTerms, market_bid
from manager.domain.bidding.clusters import clustered
from manager.domain.bidding.curves import BidRules, curves, imagine
from manager.domain.bidding.forecast import (
    DAYS_A_WEEK,
    after_newest,
    one_place_each,
    usual_day,
)
from manager.domain.bidding.horizon import Obligation, Outlook
from manager.domain.bidding.noted_stay import DAY_S, Habits, NotedStay, noted
from manager.domain.bidding.stay import Window, window
from manager.domain.dispatch.fleet_state import Floats
from manager.domain.records.resource import ResourceState

_LATE_DAYS = 2  # the newest days' prices may not be known yet
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
        zone: IANA name of the drivers' time zone.
        fleet_days: How many past days of the same kind are scenarios of arrivals.
        most_clusters: More resources than that are planned in clusters.
    """

    confidence: float
    sell_micros_per_kwh: int
    buy_micros_per_kwh: int
    wear_micros_per_kwh: int
    deviation_micros_per_kwh: int
    efficiency_permille: int
    price_days: int = 20
    zone: str = "UTC"
    fleet_days: int = 10
    most_clusters: int = 200

    @property
    def past_s(self) -> int:
        """How far back stays are looked at: weekends are the rarer kind of day."""
        return (self.fleet_days // 2 + 2) * DAYS_A_WEEK * DAY_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What is known at the gate.

    Args:
        now_s: Seconds since 1970 UTC.
        fleet: Resources of the area that are connected.
        prices: Day-ahead prices of the area by start of period, micros per kWh.
        contracted_wh: What is contracted of coming periods, by start, Wh, + charging.
        stays: What was noted of the area's resources on past days and today.
    """

    now_s: float
    fleet: Sequence[ResourceState]
    prices: Mapping[int, int]
    contracted_wh: Mapping[int, int]
    stays: Sequence[NotedStay] = ()


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
    connected = _connected(situation, span, length_s, rules)
    coming = _coming(situation, terms, rules)
    fleets = _fleets(connected, [one_place_each(connected, each) for each in coming], rules)
    if not any(fleets) or day < 0:
        return ()
    outlooks = _outlooks(situation, terms, span, rules)
    if len(outlooks) < min(FEWEST_DAYS, rules.price_days):
        outlooks = _prior(situation, first, day, terms, span, rules)
        fleets = [
            [_evenly(each, first + day, terms.gate_count) for each in fleet] for fleet in fleets
        ]
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


def _connected(situation: Situation, span: int, length_s: int, rules: OfferRules) -> list[Window]:
    """What each connected resource can do until it leaves, or beyond what is looked at."""
    now_s = int(situation.now_s)
    beyond_s = (now_s // length_s + span + 1) * length_s
    found = []
    for each in sorted(situation.fleet, key=lambda each: each.resource_id):
        seen = noted(each, now_s=now_s)
        if seen is not None:
            leaves_s = beyond_s if seen.departure_s is None else min(seen.departure_s, beyond_s)
            stay = seen.stay(departure_s=leaves_s, efficiency_permille=rules.efficiency_permille)
            found.append(window(stay, length_s=length_s))
    return found


def _coming(situation: Situation, terms: MarketTerms, rules: OfferRules) -> list[list[Window]]:
    """Who may come until the gate's last day ends, as on past days of the same kind."""
    now_s, length_s = situation.now_s, terms.gate_first.length_s
    habits = Habits(
        zone=rules.zone,
        days=rules.past_s // DAY_S,
        length_s=length_s,
        efficiency_permille=rules.efficiency_permille,
    )
    past = habits.past_days(situation.stays, now_s=now_s)
    end_s = terms.gate_first.start_s + terms.gate_count * length_s
    return past.arrivals(
        now=int(now_s) // length_s,
        until=past.today + habits.day_of(end_s, now_s=now_s),
        most_days=rules.fleet_days,
    )


def _outlooks(
    situation: Situation, terms: MarketTerms, span: int, rules: OfferRules
) -> list[Outlook]:
    """What is known, then each past day as the gate's day, then the usual day again and again."""
    length_s = terms.gate_first.length_s
    first, a_day = int(situation.now_s) // length_s, DAY_S // length_s
    past = _past_prices(situation.prices, terms.gate_first, rules.price_days + 1)
    if not len(past):
        return []
    usual = usual_day(past.ravel(), periods_a_day=a_day)
    starts = [(first + n) * length_s for n in range(span)]
    places = [(start - terms.gate_first.start_s) // length_s for start in starts]
    found = []
    for day in after_newest(past.ravel(), periods_a_day=a_day, days=rules.price_days):
        believed = [
            (day if 0 <= place < terms.gate_count else usual)[place % a_day] for place in places
        ]
        prices = [
            situation.prices.get(start, price)
            for start, price in zip(starts, believed, strict=True)
        ]
        found.append(_outlook(situation, first, np.array(prices, np.float64), length_s, rules))
    return found


def _past_prices(known: Mapping[int, int], gate_first: Period, days: int) -> Floats:
    """Whole days before a gate's first period, oldest first; days with a gap are left out."""
    a_day = DAY_S // gate_first.length_s
    rows = []
    for back in range(days + _LATE_DAYS, 0, -1):
        start_s = gate_first.start_s - back * DAY_S
        row = [known.get(start_s + n * gate_first.length_s) for n in range(a_day)]
        if None not in row:
            rows.append(row)
    return np.array(rows[-days:], np.float64)


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


def _fleets(
    connected: Sequence[Window], coming: Sequence[Sequence[Window]], rules: OfferRules
) -> list[list[Window]]:
    """At least as many fleets as the confidence asks for, each connected one missing as often.

    In each another part of what is connected is missing, and another past day brings the arrivals;
    while too few such days are known, the days that lack are taken as ones on which nobody came.
    """
    parts = max(1, round(1 / (1 - rules.confidence)))
    days = [*coming, *[()] * (parts - len(coming))]
    fleets = [
        [
            *[each for n, each in enumerate(connected) if n % parts != number % parts],
            *days[number % len(days)],
        ]
        for number in range(-(-len(days) // parts) * parts)
    ]
    return [
        [each.window for each in clustered(fleet, most=rules.most_clusters)] for fleet in fleets
    ]
