"""Stays in the store, and bids that count on who came on past days, on both databases."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import pytest

from manager.domain.bidding.noted_stay import DAY_S, NotedStay
from manager.domain.records.resource import ResourceState
from manager.storage.engine import Database
from manager.storage.market.bids import SqlBids
from manager.storage.market.stays import KEPT_DAYS, SqlStays
from manager.storage.schema import migrate
from manager.usecases.place_bids import Bidder
from tests.contract.storage.test_bids import PLACE, Exchange
from tests.unit.manager.test_noted_stay import seen
from tests.unit.manager.test_offers import NOW_S, RULES
from tests.unit.manager.test_steering import car

TODAY_S = NOW_S - NOW_S % DAY_S
GAP_S = 1_800
HOUR_S = 3_600


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = Database(database_url)
    migrate(opened)
    yield opened
    opened.close()


def _noted(database: Database, *looks: Sequence[NotedStay]) -> list[NotedStay]:
    stays = SqlStays(database)
    for look in looks:
        asyncio.run(stays.note(look, now_s=max(each.seen_s for each in look), gap_s=GAP_S))
    return asyncio.run(stays.since("3", 0))


def test_who_is_seen_again_and_again_has_one_stay_with_what_it_came_with(
    database: Database,
) -> None:
    found = _noted(
        database,
        [seen("car", NOW_S, energy_wh=10_000)],
        [seen("car", NOW_S + 300, energy_wh=11_000), seen("other", NOW_S + 300)],
        [seen("car", NOW_S + 600, energy_wh=12_000, departure_s=NOW_S + 9_000)],
    )
    assert [each.resource_id for each in found] == ["car", "other"]
    assert found[0] == seen("car", NOW_S, energy_wh=10_000, departure_s=NOW_S + 9_000, until=600)


def test_who_was_away_comes_anew_and_areas_are_kept_apart(database: Database) -> None:
    found = _noted(
        database,
        [seen("car", NOW_S), seen("elsewhere", NOW_S, area_id="6")],
        [seen("car", NOW_S + 2 * GAP_S)],
    )
    assert [each.start_s for each in found] == [NOW_S, NOW_S + 2 * GAP_S]


def test_who_was_not_seen_for_long_is_forgotten(database: Database) -> None:
    later_s = NOW_S + (KEPT_DAYS + 1) * DAY_S
    found = _noted(database, [seen("car", NOW_S)], [seen("other", later_s)])
    assert [each.resource_id for each in found] == ["other"]


def _bidder(
    database: Database, market: Exchange, fleet: Sequence[ResourceState], now: Callable[[], float]
) -> Bidder:
    """As after a start: it knows nothing but the store."""
    return Bidder(
        market=market,
        bids=SqlBids(database),
        stays=SqlStays(database),
        place=PLACE,
        rules=RULES,
        fleet=lambda: fleet,
        now=now,
        sleep=asyncio.sleep,
        every_s=60.0,
    )


def _evening(cars: int, day: int) -> list[ResourceState]:
    """Cars that came, and leave at seven the next morning with 20 kWh more."""
    return [
        car(
            f"car-{number}",
            soc_percent=40.0,
            departure_percent=90.0,
            departure_s=float((day + 1) * DAY_S + 7 * HOUR_S),
        )
        for number in range(cars)
    ]


def test_bids_count_on_the_cars_of_past_evenings_at_the_confidence(database: Database) -> None:
    """Nobody is connected at ten. On nine of ten working days ten cars came, on one five.

    Each look is by a manager that started anew, hours after the one before.
    """
    market, today = Exchange(), TODAY_S // DAY_S
    for day in range(today - 15, today):
        cars = 5 if day == today - 1 else 10
        for hour in (19, 23, 30):
            now_s = float(day * DAY_S + hour * HOUR_S)
            bidder = _bidder(database, market, _evening(cars, day), partial(float, now_s))
            asyncio.run(bidder.step())
    assert not market.bids
    stays = asyncio.run(SqlStays(database).since("3", 0))
    assert len(stays) == 14 * 10 + 5  # one an evening, however often it was looked at
    asyncio.run(_bidder(database, market, [], lambda: float(NOW_S)).step())
    after_s = TODAY_S + DAY_S
    bought = [bid for bid in market.bids.values() if bid.buys]
    assert bought
    assert all(
        bid.period.start_s < after_s + 7 * HOUR_S or bid.period.start_s >= after_s + 19 * HOUR_S
        for bid in bought
    )
    ten_wh = 10 * 40_000 * 0.5 / 0.92  # what ten cars need that come with 40 % and leave with 90 %
    assert 0.5 * ten_wh < sum(bid.energy_wh for bid in bought) < 2 * ten_wh


def test_after_a_start_it_waits_for_the_fleet_as_long_as_the_gate_allows(
    database: Database,
) -> None:
    market, now_s = Exchange(), float(NOW_S - 90)
    fleet: list[ResourceState] = [car("first")]
    bidder = _bidder(database, market, fleet, lambda: now_s)
    asyncio.run(bidder.step())
    assert not market.bids
    fleet.append(car("second"))
    now_s += 60
    asyncio.run(bidder.step())
    alone = max(bid.energy_wh for bid in market.bids.values())
    assert alone > 0
