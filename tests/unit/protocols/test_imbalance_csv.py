"""Japan's public table of imbalance prices: read as published, refused with line and reason."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import pytest

from gridcord.protocols.imbalance_csv import (
    ImbalanceCsvError,
    is_imbalance_table,
    parse_imbalance,
)
from gridcord.protocols.jepx_csv import decoded
from gridcord.simulation.exchange.imbalance import imbalance_table
from gridcord.units import Period, Price
from tests.reference_data import reference

TABLE = """\
"H","インバランス料金単価(円/kWh)"
"H","ファイル更新日","ファイル更新時刻","対象年月"
"H","20261124","09:16:45","202611","","余剰インバランス料金単価","","","","不足インバランス料金単価"
"T","日付","時間帯コマ","時間帯_自","時間帯_至","東京","変更S","沖縄","変更S","東京","変更S","沖縄","変更S"
"D","20261124","1","00:00","00:30","8.91","0","7.50","1","8.91","0","7.50","1"
"D","20261124","48","23:30","24:00","-0.01","0","","","-0.01","0","",""
"""
MIDNIGHT_S = int(datetime(2026, 11, 23, 15, tzinfo=UTC).timestamp())


def test_prices_by_area_and_half_hour_of_japan() -> None:
    table = parse_imbalance(TABLE)
    assert table.published_s == int(datetime(2026, 11, 24, 0, 16, 45, tzinfo=UTC).timestamp())
    assert table.prices == {
        ("tokyo", Period(MIDNIGHT_S, 1800)): Price.per_kwh("JPY", "8.91"),
        ("okinawa", Period(MIDNIGHT_S, 1800)): Price.per_kwh("JPY", "7.50"),
        ("tokyo", Period(MIDNIGHT_S + 47 * 1800, 1800)): Price.per_kwh("JPY", "-0.01"),
    }
    assert is_imbalance_table(TABLE)
    assert not is_imbalance_table("area_id,period_start\n")


def test_what_the_simulated_operators_publish_is_read_as_it_was_meant() -> None:
    first = Period(MIDNIGHT_S, 1800)
    meant = {first.next(n): 10 * n - 50 for n in range(48)}
    text = imbalance_table(meant, areas=["tokyo", "kansai"], published_s=MIDNIGHT_S + 86_400)
    table = parse_imbalance(text)
    assert is_imbalance_table(text)
    assert table.published_s == MIDNIGHT_S + 86_400
    assert table.prices == {
        (area, period): Price("JPY", jpy_per_mwh * 1000)
        for area in ("tokyo", "kansai")
        for period, jpy_per_mwh in meant.items()
    }


def test_a_published_file() -> None:
    text = decoded(
        reference("formats/synthetic/jp_imbalance_price_202603_okinawa_excerpt.csv").read_bytes()
    )
    first = Period(int(datetime(2026, 2, 28, 15, tzinfo=UTC).timestamp()), 1800)
    assert parse_imbalance(text).prices == {
        ("okinawa", first): Price.per_kwh("JPY", "8.91"),
        ("okinawa", first.next()): Price.per_kwh("JPY", "8.42"),
        ("okinawa", first.next(2)): Price.per_kwh("JPY", "8.29"),
    }


@pytest.mark.parametrize(
    ("told", "instead", "said"),
    [
        ('"8.91","0","7.50","1","8.91"', '"8.91","0","7.50","1","8.92"', "line 5: tokyo: .*differ"),
        ('"8.91"', '"free"', "line 5: no price"),
        ('"8.91"', '"NaN"', "line 5: no price"),
        ('"00:30","8.91","0"', '"00:30"', "line 5: fewer values"),
        ('"48"', '"49"', "line 6: .*periods 1 to 48, not 49"),
        ('"20261124","48"', '"20261131","48"', "line 6: "),
        ('"48"', '"1"', "line 6: .*comes twice"),
        ('"T"', '"X"', "line 4: no line H, T or D"),
        ('"T","日付"', '"H","日付"', "line 5: no line T"),
        ('"東京","変更S","沖縄"', '"江戸","変更S","沖縄"', "line 4: no area: '江戸'"),
        ('"沖縄","変更S"\n', "\n", "line 4: okinawa: a column of surplus and one of shortage"),
        ('"H","20261124"', '"H","soon"', "no line H with date"),
        ('"09:16:45"', '"25:00:00"', "line 3: no date and time"),
        ('"23:30"', '"23:30', "line 6"),
    ],
)
def test_what_is_broken_is_refused_with_its_line(told: str, instead: str, said: str) -> None:
    assert told in TABLE
    with pytest.raises(ImbalanceCsvError, match=said):
        parse_imbalance(TABLE.replace(told, instead, 1))


def test_mutated_tables_are_read_or_refused() -> None:
    dice = random.Random(7)
    refused = 0
    for _ in range(3_000):
        text = list(TABLE)
        for _ in range(dice.randint(1, 3)):
            at = dice.randrange(len(text))
            text[at : at + dice.randint(0, 2)] = dice.choice(['"', ",", "\n", "D", "9", "\0", "é"])
        try:
            parse_imbalance("".join(text))
        except ImbalanceCsvError:
            refused += 1
    assert refused > 500
