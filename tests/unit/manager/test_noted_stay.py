"""Noted stays: where one ends and the next begins, and which days they make."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gridcord.metering.reading import Permission
from manager.domain.bidding.noted_stay import DAY_S, Habits, NotedStay, continued, noted
from tests.unit.manager.test_steering import car

NOW_S = 1_000 * DAY_S + 10 * 3600
GAP_S = 1_800


def seen(resource_id: str, now_s: int, *, until: int = 0, **changes: object) -> NotedStay:
    """A stay that was seen from a time on for so many seconds."""
    values = {
        "resource_id": resource_id,
        "area_id": "3",
        "start_s": now_s,
        "seen_s": now_s + until,
        "departure_s": None,
        "energy_wh": 20_000,
        "target_wh": 36_000,
        "ceiling_wh": 40_000,
        "reserve_wh": 8_000,
        "charge_w": 3_000,
        "discharge_w": 3_000,
    }
    return NotedStay(**{**values, **changes})  # type: ignore[arg-type]


def test_what_energy_cannot_be_traded_with_is_not_noted() -> None:
    assert noted(car("a", transfer_permitted=False), now_s=NOW_S) is None
    assert noted(car("a", permission=Permission.NONE), now_s=NOW_S) is None
    one = noted(car("a", permission=Permission.CHARGE_ONLY, departure_s=NOW_S + 0.5), now_s=NOW_S)
    assert one is not None
    assert (one.discharge_w, one.energy_wh, one.reserve_wh) == (0, 20_000, 8_000)
    assert one.departure_s == NOW_S


@pytest.mark.parametrize(
    ("before", "now", "goes_on"),
    [
        (seen("a", NOW_S), seen("a", NOW_S + GAP_S), True),
        (seen("a", NOW_S), seen("a", NOW_S + GAP_S + 1), False),
        (
            seen("a", NOW_S, departure_s=NOW_S + 90_000),
            seen("a", NOW_S + 9 * GAP_S, departure_s=NOW_S + 90_000),
            True,
        ),
        (
            seen("a", NOW_S, departure_s=NOW_S + 90_000),
            seen("a", NOW_S + 9 * GAP_S, departure_s=NOW_S + 95_000),
            False,
        ),
        (seen("a", NOW_S, until=5 * GAP_S), seen("a", NOW_S + 6 * GAP_S), True),
    ],
)
def test_a_stay_goes_on_while_it_is_seen_or_its_plan_is_the_same(
    before: NotedStay, now: NotedStay, goes_on: bool
) -> None:
    found = continued(before, replace(now, energy_wh=30_000, charge_w=0), gap_s=GAP_S)
    assert found.seen_s == now.seen_s
    assert found.departure_s == now.departure_s
    if goes_on:
        assert (found.start_s, found.energy_wh, found.charge_w) == (NOW_S, 20_000, 3_000)
    else:
        assert found == replace(now, energy_wh=30_000, charge_w=0)


def _habits(zone: str = "UTC", days: int = 10) -> Habits:
    return Habits(zone=zone, days=days, length_s=1_800, efficiency_permille=920)


def test_days_are_those_of_the_drivers_zone_and_the_first_one_does_not_count() -> None:
    """Day 1,000 of 1970's calendar is a Wednesday in UTC; at 10:00 it is 19:00 in Japan."""
    evenings = [seen("a", day * DAY_S + 15 * 3600 + 60, until=100) for day in range(995, 1_000)]
    utc = _habits().past_days(evenings, now_s=NOW_S)
    assert [len(day) for day in utc.stays] == [1, 1, 1, 1, 0]
    assert (utc.weekday, utc.today) == (5, 4)  # from Saturday to Wednesday
    japan = _habits("Asia/Tokyo").past_days(evenings, now_s=NOW_S)
    assert [len(day) for day in japan.stays] == [1, 1, 1, 1]  # each a minute past midnight
    assert (japan.weekday, japan.today) == (6, 3)
    assert _habits().day_of(1_002 * DAY_S, now_s=NOW_S) == 1
    assert _habits("Asia/Tokyo").day_of(1_001 * DAY_S + 15 * 3600, now_s=NOW_S) == 1


def test_a_stay_without_a_plan_lasted_as_long_as_it_was_seen() -> None:
    stays = [seen("first", NOW_S - 9 * DAY_S), seen("a", NOW_S - DAY_S, until=7_200)]
    past = _habits().past_days(stays, now_s=NOW_S)
    (one,) = past.stays[-2]
    assert (len(one), one.resource_id, one.promise_wh) == (4, "a", 20_000 + 5_520)


def test_nothing_noted_is_no_day() -> None:
    past = _habits().past_days([], now_s=NOW_S)
    assert past.today == 0
    assert past.arrivals(now=0, until=1, most_days=8) == []


def test_arrivals_are_those_of_past_days_of_the_kind_that_would_still_come() -> None:
    """On a Wednesday: Tuesday's and Monday's cars, not Sunday's; those of the morning are over."""
    stays = [seen("first", 990 * DAY_S)]
    for day in range(991, 1_000):
        stays += [seen(f"at-{hour}", day * DAY_S + hour * 3600, until=3_600) for hour in (8, 18)]
    past = _habits().past_days(stays, now_s=NOW_S)
    now = NOW_S // 1_800
    (newest, *_) = ways = past.arrivals(now=now, until=past.today + 1, most_days=4)
    assert len(ways) == 4
    assert [(each.resource_id, each.first - now) for each in newest] == [
        ("at-18", 16),
        ("at-8", 44),
        ("at-18", 64),
    ]
