"""Files of prices and sessions: both forms are read as they are, and a bad one says where."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest

from manager.backtest.failures import InputError
from manager.backtest.prices import read_prices
from manager.backtest.sessions import read_sessions
from tests.unit.manager.backtest.made import (
    HEADER,
    MONDAY,
    evenings,
    residential_file,
    spot_file,
    spot_prices,
    workplace_file,
)


@pytest.mark.parametrize("encoding", ["cp932", "utf-8", "utf-8-sig"])
def test_prices_are_read_to_the_hundredth_in_both_encodings(tmp_path: Path, encoding: str) -> None:
    table = read_prices(
        spot_file(tmp_path / "spot.csv", days=3, encoding=encoding), area_id="tokyo"
    )
    assert table.first_day == MONDAY
    assert table.days == 3
    assert table.micros_per_kwh.tolist() == [
        price * 10_000 for price in spot_prices(days=3, seed=1)
    ]


def test_tables_of_earlier_years_and_a_leap_day_are_read(tmp_path: Path) -> None:
    """Until 2021 the first column was named otherwise and columns followed that are now gone."""
    header = (
        "年月日",
        *HEADER[1:],
        "スポット・時間前平均価格(円/kWh)",
        "回避可能原価全国値(円/kWh)",
    )
    path = spot_file(tmp_path / "old.csv", days=4, start=date(2020, 2, 27), header=header)
    table = read_prices(path, area_id="tokyo")
    assert (table.first_day, table.last_day) == (date(2020, 2, 27), date(2020, 3, 1))
    assert table.micros_per_kwh[0] == spot_prices(days=4, seed=1)[0] * 10_000


def test_some_days_of_a_table_are_its_part(tmp_path: Path) -> None:
    path = spot_file(tmp_path / "spot.csv", days=5)
    whole = read_prices(path, area_id="system")
    second, third = MONDAY + timedelta(days=1), MONDAY + timedelta(days=2)
    part = read_prices(path, area_id="system", start=second, end=third)
    assert part.micros_per_kwh.tolist() == whole.micros_per_kwh[48 : 3 * 48].tolist()
    assert part.excerpt(None) == (0, 2)
    with pytest.raises(InputError, match="is not between"):
        part.excerpt(MONDAY)


def test_a_bad_table_says_what_is_wrong_and_where(tmp_path: Path) -> None:
    path = spot_file(tmp_path / "spot.csv", days=2)
    with pytest.raises(InputError, match="no area 'mars'"):
        read_prices(path, area_id="mars")
    with pytest.raises(InputError, match="no prices of area kyushu"):
        read_prices(path, area_id="kyushu")
    with pytest.raises(InputError, match="before the first"):
        read_prices(path, area_id="tokyo", start=MONDAY, end=MONDAY - timedelta(days=1))
    with pytest.raises(InputError, match="No such file"):
        read_prices(tmp_path / "absent.csv", area_id="tokyo")
    lines = path.read_bytes().split(b"\r\n")
    (tmp_path / "gap.csv").write_bytes(b"\r\n".join([*lines[:20], *lines[21:]]))
    with pytest.raises(InputError, match="no price of 2030-01-07, time code 20"):
        read_prices(tmp_path / "gap.csv", area_id="tokyo")
    (tmp_path / "word.csv").write_bytes(
        b"\r\n".join([*lines[:5], b"2030/01/07,5,1,x,x", *lines[6:]])
    )
    with pytest.raises(InputError, match="line 6"):
        read_prices(tmp_path / "word.csv", area_id="tokyo")


def test_residential_sessions_are_read_without_those_never_unplugged(tmp_path: Path) -> None:
    made = evenings(homes=6, weeks=6, seed=2)
    read = read_sessions(residential_file(tmp_path / "homes.csv"))
    assert [(s.series, s.plug_in, s.unplug, s.energy_wh) for s in read] == [
        (who, start, end, round(kwh * 1000)) for who, start, end, kwh in made
    ]


def test_workplace_sessions_keep_their_time_of_day(tmp_path: Path) -> None:
    made = evenings(homes=6, weeks=6, seed=3)
    read = read_sessions(workplace_file(tmp_path / "stations.csv.gz"))
    assert [(s.series, s.plug_in, s.energy_wh) for s in read] == [
        (who, start, round(kwh * 1000)) for who, start, _, kwh in made
    ]
    assert all(s.plug_in.tzinfo is None for s in read)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "neither the residential form"),
        ("a,b\n1,2\n", "neither the residential form"),
        ("User_ID;Start_plugin;End_plugout;El_kWh\n", "no sessions"),
        ("User_ID;Start_plugin;End_plugout;El_kWh\nA;1;2;3\n", "line 2"),
        ("User_ID;Start_plugin;End_plugout;El_kWh\nA;01.01.2030 10:00\n", "line 2"),
        (
            "User_ID;Start_plugin;End_plugout;El_kWh\nA;01.01.2030 10:00;01.01.2030 11:00;many\n",
            "no energy in kWh",
        ),
        (
            "User_ID;Start_plugin;End_plugout;El_kWh\nA;01.01.2030 10:00;01.01.2030 11:00;-3\n",
            "no energy of one session",
        ),
        ("arrival,departure,delivered_energy (kWh),station_id\n2030,x,1,s\n", "line 2"),
    ],
)
def test_a_bad_file_of_sessions_says_what_is_wrong(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "sessions.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        read_sessions(path)


def test_what_cannot_be_unpacked_is_no_file_of_sessions(tmp_path: Path) -> None:
    whole = workplace_file(tmp_path / "stations.csv.gz").read_bytes()
    bent = whole[:40] + bytes(byte ^ 255 for byte in whole[40:80]) + whole[80:]
    broken = {"cut.gz": whole[: len(whole) // 2], "noise.gz": b"\x1f\x8bnoise", "bent.gz": bent}
    for name, data in broken.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(InputError, match=name):
            read_sessions(tmp_path / name)
