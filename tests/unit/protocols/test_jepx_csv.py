"""JEPX's public table of day-ahead prices, ours in its shape and its own."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from gridcord.protocols.jepx_csv import (
    AREA_NAMES,
    PERIODS_A_DAY,
    SYSTEM,
    JepxCsvError,
    decoded,
    parse_spot,
)
from gridcord.simulation.exchange.prices import TablePrices
from gridcord.units import Price
from market_adapter.profiles.reader import built_in_profile
from market_adapter.venues.price_file import read_price_file
from tests.reference_data import reference

HEADER = (
    "受渡日,時刻コード,売り入札量(kWh),システムプライス(円/kWh),"
    "エリアプライス東京(円/kWh),エリアプライス九州(円/kWh),回避可能原価(円/kWh)"
)
ROWS = "2024/04/01,1,19499550,8.57,9.02,7.15,1.23\r\n2024-04-01,48,1,2,100.00,,\r\n"
DAY = date(2024, 4, 1)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp932"])
def test_columns_are_found_by_their_words_in_either_encoding(encoding: str) -> None:
    first, last = parse_spot(decoded(f"{HEADER}\r\n{ROWS}".encode(encoding)))
    assert (first.day, first.number, last.number) == (DAY, 1, 48)
    assert first.price_micros_per_kwh == {
        SYSTEM: 8_570_000,
        "tokyo": 9_020_000,
        "kyushu": 7_150_000,
    }
    assert last.price_micros_per_kwh == {SYSTEM: 2_000_000, "tokyo": 100_000_000}


def test_columns_may_move_and_others_may_come() -> None:
    text = (
        "エリアプライス東京(円/kWh),エリアプライス沖縄(円/kWh),年月日,時刻コード\n9,x,2024/4/1,7\n"
    )
    (row,) = parse_spot(text)
    assert (row.day, row.number, row.price_micros_per_kwh) == (DAY, 7, {"tokyo": 9_000_000})


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", 1),
        ("a,b,c\n1,2,3", 1),
        (HEADER.replace("受渡日", "日"), 1),
        (HEADER.replace("時刻コード", "時刻"), 1),
        (HEADER.replace("プライス", "価格"), 1),
        (f"{HEADER}\n2024/02/30,1,1,1,1,1,1", 2),
        (f"{HEADER}\n2024/04/01,0,1,1,1,1,1", 2),
        (f"{HEADER}\n2024/04/01,49,1,1,1,1,1", 2),
        (f"{HEADER}\n2024/04/01,1,1,1,nine,1,1", 2),
        (f"{HEADER}\n2024/04/01,1,1,1,NaN,1,1", 2),
        (f"{HEADER}\n2024/04/01,1,1,1,9.021,1,1", 2),
        (f"{HEADER}\n2024/04/01,1,1,1,-1,1,1", 2),
        (f"{HEADER}\n2024/04/01,1,1,1,1000,1,1", 2),
        (f"{HEADER}\n\n2024/04/01,1,1", 3),
        (f"{HEADER}\n{ROWS}2024/04/01,1,1,1,1,1,1", 4),
        (f'{HEADER}\n2024/04/01,1,"1"x,1,1,1,1', 2),
    ],
)
def test_what_is_no_such_table_is_refused_with_its_line(text: str, line: int) -> None:
    with pytest.raises(JepxCsvError) as refusal:
        parse_spot(text)
    assert refusal.value.line == line


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(JepxCsvError, match="neither UTF-8 nor"):
        decoded(b"\x81\xff")


def test_the_simulated_exchange_follows_the_table() -> None:
    prices = TablePrices.of_rows(parse_spot(f"{HEADER}\n{ROWS}"))
    assert prices.table == {("3", DAY, 1): 9_020, ("9", DAY, 1): 7_150, ("3", DAY, 48): 100_000}
    assert prices.price_jpy_per_mwh(area_cd="9", day=DAY, number=48) is None


def test_a_venue_reads_its_areas_and_periods(tmp_path: Path) -> None:
    profile = built_in_profile("jepx.dayahead")
    (tmp_path / "prices.csv").write_text(f"{HEADER}\n{ROWS}", "utf-8")
    prices = read_price_file(tmp_path / "prices.csv", profile=profile)
    assert prices["tokyo", profile.calendar.period(DAY, 1)] == Price.per_kwh("JPY", "9.02")
    assert len(prices) == 3


def test_a_year_of_the_exchanges_own_table() -> None:
    data = reference("market/jepx_spot_summary_2023.csv").read_bytes()
    rows = parse_spot(decoded(data))
    assert len(rows) == 366 * PERIODS_A_DAY
    assert all(row.price_micros_per_kwh.keys() == {SYSTEM, *AREA_NAMES} for row in rows)
    assert rows[0].price_micros_per_kwh["tokyo"] == 14_680_000
    assert min(min(row.price_micros_per_kwh.values()) for row in rows) == 10_000
    assert len(TablePrices.of_rows(rows).table) == 366 * PERIODS_A_DAY * 9
