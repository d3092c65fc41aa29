"""Route-B values: floats back to counts, Japanese time to UTC, registers that begin again."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from momonga.momonga_echonet_data import EchonetDataParser

from cable_node.drivers.route_b_values import (
    FIXED_EXPORT,
    FIXED_IMPORT,
    CountScale,
    HalfHour,
    HalfHourPairs,
    both_half_hours,
    day_values,
    half_hour,
    local_time,
    midnight_s,
    registers_after,
    utc_s,
)
from cable_node.ports import FrameError
from gridcord.protocols.echonet_energy import MAX_COUNT

UNITS_KWH = (1, 0.1, 0.01, 0.001, 0.0001, 10, 100, 1000, 10000)
TENTHS = CountScale(unit_kwh=0.1, digits=6)


@given(st.sampled_from(UNITS_KWH), st.sampled_from([1, 3, 20, 1000]), st.integers(0, MAX_COUNT))
def test_counts_come_back_exactly(unit_kwh: float, coefficient: int, count: int) -> None:
    scale = CountScale(unit_kwh=unit_kwh, coefficient=coefficient)
    as_momonga_gives_it = count * unit_kwh * coefficient
    assert scale.wh(as_momonga_gives_it) == int(count * scale.one_wh)
    assert scale.one_wh == Fraction(str(unit_kwh)) * 1000 * coefficient


def test_the_float_that_started_it() -> None:
    assert TENTHS.wh(17806 * 0.1) == 1_780_600
    assert TENTHS.step_wh == 100
    assert CountScale(unit_kwh=0.0001).step_wh == 1


@pytest.mark.parametrize("value", [-1, 0.15, float("nan"), float("inf"), "12", b"\x00", {}])
def test_what_is_no_count_is_refused(value: object) -> None:
    with pytest.raises(FrameError):
        TENTHS.wh(value)


def test_japanese_time_needs_no_host_clock() -> None:
    at_s = int(datetime(2026, 11, 23, 7, 30, tzinfo=UTC).timestamp())
    assert utc_s(datetime(2026, 11, 23, 16, 30)) == at_s  # noqa: DTZ001
    assert local_time(at_s) == datetime(2026, 11, 23, 16, 30)  # noqa: DTZ001
    assert midnight_s(date(2026, 11, 23)) == at_s - int(16.5 * 3600)


@pytest.mark.parametrize(
    "value",
    [
        None,
        "2026-11-23",
        datetime(2026, 11, 23, 16, 30, tzinfo=UTC),
        datetime(2026, 11, 23, 16, 30, 1),  # noqa: DTZ001
        datetime(2026, 11, 23, 16, 15),  # noqa: DTZ001
    ],
)
def test_time_of_no_half_hour_is_refused(value: object) -> None:
    with pytest.raises(FrameError):
        utc_s(value)


def test_import_and_export_are_paired_once_and_in_order() -> None:
    pairs = HalfHourPairs(TENTHS, measures_export=True)
    assert pairs.add(FIXED_IMPORT, HalfHour(at_s=3600, wh=500)) is None
    assert pairs.add(FIXED_EXPORT, HalfHour(at_s=1800, wh=0)) is None
    found = pairs.add(FIXED_EXPORT, HalfHour(at_s=3600, wh=100))
    assert found is not None
    assert (found.at_s, found.import_wh, found.export_wh, found.step_wh) == (3600, 500, 100, 100)
    assert pairs.add(FIXED_EXPORT, HalfHour(at_s=3600, wh=100)) is None
    assert pairs.add(FIXED_IMPORT, HalfHour(at_s=1800, wh=400)) is None
    assert pairs.last == found


def test_meter_without_export_needs_no_pair() -> None:
    pairs = HalfHourPairs(TENTHS, measures_export=False)
    found = pairs.add(FIXED_IMPORT, HalfHour(at_s=1800, wh=500))
    assert found is not None
    assert found.export_wh is None


def test_missing_value_is_not_zero() -> None:
    pairs = HalfHourPairs(TENTHS, measures_export=True)
    assert pairs.add(FIXED_IMPORT, HalfHour(at_s=1800, wh=None)) is None
    assert pairs.add(FIXED_EXPORT, HalfHour(at_s=1800, wh=0)) is None
    assert pairs.last is None


def test_register_that_begins_again_goes_on() -> None:
    range_wh = 10**6 * 100
    before = registers_after(
        None, at_s=0, import_wh=range_wh - 300, export_wh=range_wh - 100, scale=TENTHS
    )
    after = registers_after(before, at_s=1800, import_wh=200, export_wh=0, scale=TENTHS)
    assert after.import_wh - before.import_wh == 500
    assert after.export_wh is not None
    assert before.export_wh is not None
    assert after.export_wh - before.export_wh == 100
    later = registers_after(after, at_s=3600, import_wh=300, export_wh=0, scale=TENTHS)
    assert later.import_wh - after.import_wh == 100


def test_replaced_meter_is_not_taken_for_one_that_began_again() -> None:
    before = registers_after(None, at_s=0, import_wh=60_000_000, export_wh=0, scale=TENTHS)
    after = registers_after(before, at_s=1800, import_wh=500, export_wh=0, scale=TENTHS)
    assert after.import_wh == 500


def test_momongas_own_answers_are_read() -> None:
    edt = bytes.fromhex("07EA0B17101E00" + "0000458E")
    value = EchonetDataParser.parse_cumulative_energy_measured_at_fixed_time(edt, 0.1, 1)
    assert half_hour(value, TENTHS) == HalfHour(
        at_s=utc_s(datetime(2026, 11, 23, 16, 30)),  # noqa: DTZ001
        wh=1_780_600,
    )
    edt = bytes.fromhex("07EA0B17101E" + "02" + "0000458E00000015" + "0000458DFFFFFFFE")
    entries = EchonetDataParser.parse_historical_cumulative_energy_2(edt, 0.1, 1)
    newest, oldest = (both_half_hours(entry, TENTHS) for entry in entries)
    assert [side.wh for side in newest] == [1_780_600, 2_100]
    assert [side.wh for side in oldest] == [1_780_500, None]
    assert newest[0].at_s - oldest[0].at_s == 1800
    edt = bytes(2) + b"".join((17_000 + n).to_bytes(4, "big") for n in range(48))
    day = EchonetDataParser.parse_historical_cumulative_energy_1(edt, 0.1, 1)
    assert day_values(day, TENTHS) == [(17_000 + n) * 100 for n in range(48)]


@pytest.mark.parametrize("value", [None, b"\x00", {}, {"timestamp": None}, []])
def test_what_is_no_value_is_refused(value: object) -> None:
    with pytest.raises(FrameError):
        half_hour(value, TENTHS)
    with pytest.raises(FrameError):
        both_half_hours(value, TENTHS)
    if value != []:
        with pytest.raises(FrameError):
            day_values(value, TENTHS)


@given(st.integers(0, 2**31).map(lambda s: s // 1800 * 1800))
def test_local_and_universal_time_agree(at_s: int) -> None:
    assert utc_s(local_time(at_s)) == at_s
    assert local_time(at_s) - timedelta(hours=9) == datetime.fromtimestamp(at_s, UTC).replace(
        tzinfo=None
    )
