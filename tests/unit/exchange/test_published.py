"""The exchange's published price file, ours in its shape and its own."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from gridcord.simulation.exchange.published import PublishedFileError, read_published_prices
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
    prices = read_published_prices(f"{HEADER}\r\n{ROWS}".encode(encoding))
    assert prices.table == {("3", DAY, 1): 9_020, ("9", DAY, 1): 7_150, ("3", DAY, 48): 100_000}
    assert prices.price_jpy_per_mwh(area_cd="9", day=DAY, number=48) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a,b,c\n1,2,3",
        HEADER.replace("東京", "沖縄"),
        f"{HEADER}\n2024/02/30,1,1,1,1,1,1",
        f"{HEADER}\n2024/04/01,49,1,1,1,1,1",
        f"{HEADER}\n2024/04/01,1,1,1,nine,1,1",
        f"{HEADER}\n2024/04/01,1,1,1,9.021,1,1",
        f"{HEADER}\n2024/04/01,1,1,1,-1,1,1",
        f"{HEADER}\n2024/04/01,1,1",
    ],
)
def test_what_is_no_price_file_is_refused_with_its_line(text: str) -> None:
    with pytest.raises(PublishedFileError, match="line"):
        read_published_prices(text.encode())


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(PublishedFileError):
        read_published_prices(b"\x80\xff\x00\xfd")


def test_a_venue_reads_its_areas_and_periods(tmp_path: Path) -> None:
    profile = built_in_profile("jepx.dayahead")
    (tmp_path / "prices.csv").write_text(f"{HEADER}\n{ROWS}", "utf-8")
    prices = read_price_file(tmp_path / "prices.csv", profile=profile)
    assert prices["tokyo", profile.calendar.period(DAY, 1)] == Price.per_kwh("JPY", "9.02")
    assert len(prices) == 3


def test_a_year_of_the_exchanges_own_file() -> None:
    table = read_published_prices(reference("market/jepx_spot_summary_2023.csv").read_bytes()).table
    assert len(table) == 366 * 48 * 9
    assert table["3", date(2023, 4, 1), 1] == 14_680
    assert min(table.values()) == 10
    assert {number for _, _, number in table} == set(range(1, 49))
