"""Offers: from connected resources and past prices to bids that keep every promise."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest

from gridcord.metering.reading import Permission
from gridcord.units import Period, Price
from manager.domain.bidding.bid import Bid, MarketTerms
from manager.domain.bidding.noted_stay import DAY_S, NotedStay
from manager.domain.bidding.offers import OfferRules, Situation, offers
from manager.domain.records.resource import ResourceState
from tests.unit.manager.test_noted_stay import seen
from tests.unit.manager.test_steering import car

NOW_S = 1_000 * DAY_S + 10 * 3600
FIRST = Period(1_001 * DAY_S, 1_800)
TERMS = MarketTerms(
    market_id="jepx.dayahead",
    area_ids=("3",),
    currency="JPY",
    lot_wh=100,
    tick_micros_per_kwh=10_000,
    gate_s=float(NOW_S),
    gate_first=FIRST,
    gate_count=48,
)
RULES = OfferRules(
    confidence=0.8,
    sell_micros_per_kwh=18_000_000,
    buy_micros_per_kwh=10_000_000,
    wear_micros_per_kwh=2_000_000,
    deviation_micros_per_kwh=18_000_000,
    efficiency_permille=920,
    price_days=5,
)


def battery(**changes: object) -> ResourceState:
    return car("battery", **{"soc_percent": 60.0, **changes})


def past(*, days: int = 10) -> dict[int, int]:
    """Cheap at night, dear in the evening."""
    prices = {}
    for day in range(1_000 - days, 1_001):
        for number in range(48):
            price = 5 if number < 12 else 30 if 34 <= number < 42 else 15
            prices[day * DAY_S + number * 1_800] = (price + day % 3) * 1_000_000
    return prices


def made(
    *fleet: ResourceState,
    prices: Mapping[int, int] | None = None,
    contracted: Mapping[int, int] | None = None,
    rules: OfferRules = RULES,
    stays: Sequence[NotedStay] = (),
) -> tuple[Bid, ...]:
    situation = Situation(
        now_s=float(NOW_S),
        fleet=fleet,
        prices=prices or {},
        contracted_wh=contracted or {},
        stays=stays,
    )
    return offers(situation, terms=TERMS, area_id="3", rules=rules)


def taken(bids: tuple[Bid, ...], prices: Mapping[int, int]) -> dict[int, int]:
    """What is contracted of each period at the prices, Wh, + bought."""
    contracted: dict[int, int] = defaultdict(int)
    for bid in bids:
        price, limit = prices[bid.period.start_s], bid.limit_price
        if bid.buys and (limit is None or price <= limit.micros_per_kwh):
            contracted[bid.period.start_s] += bid.energy_wh
        if not bid.buys and (limit is None or price >= limit.micros_per_kwh):
            contracted[bid.period.start_s] -= bid.energy_wh
    return contracted


def tomorrow(factor: float = 1.0) -> dict[int, int]:
    shape = past()
    return {
        FIRST.start_s + n * 1_800: int(shape[1_000 * DAY_S + n * 1_800] * factor) for n in range(48)
    }


def test_a_battery_buys_at_night_and_sells_in_the_evening_what_it_can_hold() -> None:
    contracted = taken(made(battery(), prices=past()), tomorrow())
    night = sum(contracted[FIRST.start_s + n * 1_800] for n in range(12))
    evening = sum(contracted[FIRST.start_s + n * 1_800] for n in range(34, 42))
    assert night > 8_000
    assert evening < -8_000
    assert evening >= -3_000 * 4
    assert all(abs(energy) <= 1_500 for energy in contracted.values())


def test_after_prices_jumped_it_still_buys_when_it_is_cheap_and_sells_when_it_is_dear() -> None:
    """Today is five times as dear as any day before, and so will tomorrow be."""
    known = {start: price * (5 if start >= 1_000 * DAY_S else 1) for start, price in past().items()}
    contracted = taken(made(battery(), prices=known), tomorrow(5.0))
    assert sum(contracted[FIRST.start_s + n * 1_800] for n in range(12)) > 8_000
    assert sum(contracted[FIRST.start_s + n * 1_800] for n in range(34, 42)) < -8_000


@pytest.mark.parametrize("factor", [0.3, 1.0, 3.0])
def test_what_is_contracted_can_be_delivered_with_every_promise(factor: float) -> None:
    """Played through at other prices: energy within the battery, ready at the departure."""
    leaving = car(
        "leaving",
        departure_s=FIRST.start_s + 8 * 3600.0,
        departure_percent=90.0,
        soc_percent=40.0,
    )
    contracted = taken(made(leaving, prices=past()), tomorrow(factor))
    assert all(start < FIRST.start_s + 8 * 3600 for start, energy in contracted.items() if energy)
    assert all(abs(energy) <= 1_500 for energy in contracted.values())


def test_who_may_not_or_will_not_is_not_bid_with() -> None:
    assert made(prices=past()) == ()
    assert made(battery(permission=Permission.NONE), prices=past()) == ()
    assert made(battery(transfer_permitted=False), prices=past()) == ()
    only = made(battery(permission=Permission.CHARGE_ONLY), prices=past())
    assert only
    assert all(bid.buys for bid in only)


def test_bids_are_whole_lots_with_limits_on_the_tick_and_ids_of_their_own() -> None:
    bids = made(battery(), car("b"), prices=past())
    assert len({bid.bid_id for bid in bids}) == len(bids)
    assert bids == made(car("b"), battery(), prices=past())  # whatever the order
    for bid in bids:
        assert bid.energy_wh % TERMS.lot_wh == 0
        assert bid.limit_price is None or bid.limit_price.micros_per_kwh % 10_000 == 0


def test_without_past_prices_energy_is_offered_evenly_between_the_operators_limits() -> None:
    bids = made(battery())
    sold = [bid for bid in bids if not bid.buys]
    bought = [bid for bid in bids if bid.buys]
    assert len(sold) == len(bought) == 48
    assert {bid.limit_price for bid in sold} == {Price("JPY", 18_000_000)}
    assert {bid.limit_price for bid in bought} == {Price("JPY", 10_000_000)}
    assert len({bid.energy_wh for bid in sold}) == 1
    above_wh = 40_000 * 0.4 * 0.92
    assert 0.8 * above_wh - 48 * 100 <= sum(bid.energy_wh for bid in sold) <= above_wh


def test_of_many_resources_only_the_confidence_is_offered() -> None:
    ten = [car(f"car-{n}", soc_percent=100.0, reserve_percent=0.0) for n in range(10)]
    sold = [bid.energy_wh for bid in made(*ten) if not bid.buys]
    every = 10 * 40_000 * 0.92 / 48
    assert max(sold) <= 0.8 * every + 1
    assert max(sold) >= 0.8 * every - 100 - 10


def test_what_stands_in_contracts_is_not_offered_twice() -> None:
    bids = made(battery(), prices=past())
    stands = {start: energy for start, energy in taken(bids, tomorrow()).items() if energy}
    more = taken(made(battery(), prices=past(), contracted=stands), tomorrow())
    assert np.abs(list(more.values())).sum() < 0.4 * np.abs(list(stands.values())).sum()


def test_rules_can_be_other_than_these() -> None:
    dear = made(battery(), rules=replace(RULES, sell_micros_per_kwh=40_000_000))
    assert {bid.limit_price for bid in dear if not bid.buys} == {Price("JPY", 40_000_000)}


def evenings(cars: Sequence[int]) -> list[NotedStay]:
    """So many cars on each of the last working days, newest first: at six, until seven."""
    stays = [seen("first", 970 * DAY_S)]  # from the day after on, days are known
    working_days = [day for day in range(999, 970, -1) if (day + 3) % 7 < 5]
    for day, count in zip(working_days, cars, strict=False):
        stays += [
            seen(
                f"car-{number}",
                day * DAY_S + 18 * 3600,
                departure_s=(day + 1) * DAY_S + 7 * 3600,
                energy_wh=16_000,
            )
            for number in range(count)
        ]
    return stays


@pytest.mark.parametrize(("days_with_few", "counted_on"), [(0, 10), (2, 10), (3, 5), (10, 5)])
def test_cars_that_are_away_are_counted_on_as_far_as_they_came(
    days_with_few: int, counted_on: int
) -> None:
    """At a confidence of 80 %, on two of ten past days fewer may have come, not on three.

    Nobody is connected at ten. They charge in tomorrow's night, leave at seven, come at six and
    give in the evening what they charge again at night.
    """
    counts = [5] * days_with_few + [10] * (10 - days_with_few)
    contracted = taken(made(prices=past(), stays=evenings(counts)), tomorrow())
    by_number = {
        (start - FIRST.start_s) // 1_800: energy for start, energy in contracted.items() if energy
    }
    assert max(by_number.values()) == counted_on * 1_500
    assert -counted_on * 1_500 <= min(by_number.values()) <= -0.9 * counted_on * 1_500
    assert all(number < 14 or number >= 36 for number in by_number)


def test_days_that_are_not_known_are_days_on_which_nobody_came() -> None:
    """A confidence of 80 % is of five days: of four known ones it holds, of three it does not."""
    known = evenings([10] * 10)
    since = {
        days: [each for each in known if each.start_s >= day * DAY_S]
        for days, day in ((4, 993), (3, 994))
    }
    assert made(prices=past(), stays=since[4])
    assert made(prices=past(), stays=since[3]) == ()


def test_who_is_connected_is_not_counted_again_as_one_who_may_come() -> None:
    alone = made(battery(), prices=past())
    stays = [
        replace(seen("battery", start_s), departure_s=start_s + 13 * 3600)
        for start_s in (day * DAY_S + 18 * 3600 for day in range(980, 1_000))
    ]
    assert made(battery(), prices=past(), stays=stays) == alone
