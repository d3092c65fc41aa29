"""Tariffs: which version and which price counts for a half hour."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from typing import Any

import pytest

from gridcord.settlement.schedule import Band, Prices, Schedule, Window
from gridcord.settlement.tariff import NoTariff, TariffBook
from gridcord.units import Money, Period, Price
from tests.unit.settlement.cases import PERIOD, tariff, usd


def at(text: str) -> Period:
    return Period.containing(datetime.fromisoformat(text).replace(tzinfo=UTC))


def one(amount: str) -> Prices:
    return Prices.same(Price.per_kwh("JPY", amount))


AFTERNOON = Window(from_min=16 * 60, to_min=22 * 60, weekdays=frozenset(range(5)))
EVENING = Band(window=AFTERNOON, prices=one("40"))
NIGHT = Band(
    window=Window(from_min=23 * 60, to_min=7 * 60, weekdays=frozenset({4})), prices=one("12")
)
TOKYO = Schedule(zone="Asia/Tokyo", base=one("25"), bands=(EVENING, NIGHT))


@pytest.mark.parametrize(
    ("utc", "expected"),
    [
        ("2026-11-23T06:30", "25"),  # Monday 15:30 in Tokyo
        ("2026-11-23T07:00", "40"),  # 16:00
        ("2026-11-23T12:30", "40"),  # 21:30
        ("2026-11-23T13:00", "25"),  # 22:00
        ("2026-11-28T08:00", "25"),  # Saturday 17:00
        ("2026-11-27T13:30", "25"),  # Friday 22:30
        ("2026-11-27T14:00", "12"),  # Friday 23:00
        ("2026-11-27T21:30", "12"),  # Saturday 06:30, the night that began on Friday
        ("2026-11-27T22:00", "25"),  # Saturday 07:00
        ("2026-11-26T21:30", "25"),  # Friday 06:30: that night began on Thursday
    ],
)
def test_the_band_of_the_local_hour_counts(utc: str, expected: str) -> None:
    assert TOKYO.at(at(utc)) == one(expected)


def test_the_local_hour_follows_summer_time() -> None:
    evening = Band(window=Window(from_min=17 * 60, to_min=19 * 60), prices=one("40"))
    london = Schedule(zone="Europe/London", base=one("25"), bands=(evening,))
    assert london.at(at("2026-07-01T16:00")) == one("40")
    assert london.at(at("2026-12-01T16:00")) == one("25")


def test_the_highest_version_that_holds_counts() -> None:
    first, second = tariff("0.2"), tariff("0.3", version=2)
    later = dataclasses.replace(second, valid_from_s=PERIOD.end_s)
    book = TariffBook([first, later])
    assert book.tariff(area="tokyo", period=PERIOD) is first
    assert book.tariff(area="tokyo", period=PERIOD.next()) is later
    assert TariffBook([second, first]).tariff(area="", period=PERIOD) is second


def test_an_area_of_its_own_goes_before_everywhere() -> None:
    everywhere = tariff("0.2", version=9)
    kansai = dataclasses.replace(tariff("0.1"), tariff_id="kansai", area="kansai")
    book = TariffBook([everywhere, kansai])
    assert book.tariff(area="kansai", period=PERIOD) is kansai
    assert book.tariff(area="tokyo", period=PERIOD) is everywhere


def test_no_version_is_said_so() -> None:
    ended = dataclasses.replace(tariff(), valid_to_s=PERIOD.start_s)
    with pytest.raises(NoTariff, match="tokyo"):
        TariffBook([ended]).tariff(area="tokyo", period=PERIOD)


def test_one_name_is_one_version() -> None:
    with pytest.raises(ValueError, match="two tariffs"):
        TariffBook([tariff("0.2"), tariff("0.3")])


@pytest.mark.parametrize(
    "change",
    [
        {"version": 0},
        {"tariff_id": ""},
        {"valid_from_s": 10, "valid_to_s": 10},
        {"availability": usd("-1")},
        {"availability": Money.of("JPY", "1")},
    ],
)
def test_a_tariff_cannot_be_wrong(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"tariff|availability"):
        dataclasses.replace(tariff(), **change)


@pytest.mark.parametrize(
    "change",
    [
        {"from_min": -1},
        {"from_min": 1440},
        {"to_min": 0},
        {"to_min": 1441},
        {"weekdays": frozenset({7})},
        {"weekdays": frozenset()},
    ],
)
def test_a_window_cannot_be_wrong(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"no such part|weekdays"):
        dataclasses.replace(AFTERNOON, **change)


def test_a_schedule_cannot_be_wrong() -> None:
    dollars = Prices.same(Price.per_kwh("USD", "1"))
    with pytest.raises(ValueError, match="one currency"):
        Schedule(zone="UTC", base=one("1"), bands=(dataclasses.replace(EVENING, prices=dollars),))
    with pytest.raises(ValueError, match="zone"):
        Schedule(zone="Atlantis", base=one("1"))
    with pytest.raises(ValueError, match="mix"):
        Prices(taken=dollars.taken, given=one("1").taken)
