"""Doubts of readings: a false one is dropped, a real jump gets through, power has a sign."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cable_node.drivers.register_guard import RegisterGuard, net_wh
from cable_node.ports import ImplausibleReading, InstrumentRefused
from gridcord.metering.reading import Registers

GUARD = RegisterGuard(max_power_w=7_400)


def reading(at_s: float, import_wh: int, export_wh: int = 0, power_w: int = 0) -> Registers:
    return Registers(at_s=at_s, import_wh=import_wh, export_wh=export_wh, power_w=power_w)


def judge(*readings: Registers) -> list[bool]:
    """Which of the readings are used."""
    guard, used = GUARD, []
    for each in readings:
        guard, doubt = guard.check(each)
        used.append(doubt is None)
    return used


def test_one_false_reading_costs_nothing() -> None:
    steady = [reading(s, 1000) for s in range(5)]
    false = reading(2.5, 222_000)
    assert judge(*steady[:3], false, *steady[3:]) == [True, True, True, False, True, True]


def test_register_that_falls_is_doubted_once() -> None:
    assert judge(reading(0, 1000), reading(1, 10), reading(2, 10)) == [True, False, True]


def test_real_jump_gets_through_when_confirmed() -> None:
    jumped = [reading(s, 51_000) for s in (1, 2, 3)]
    assert judge(reading(0, 1000), *jumped) == [True, False, True, True]


def test_export_is_watched_too() -> None:
    assert judge(reading(0, 0, 1000), reading(1, 0, 999)) == [True, False]


def test_power_beyond_the_cable_is_doubted() -> None:
    assert judge(reading(0, 0), reading(1, 0, power_w=8000)) == [True, False]
    assert judge(reading(0, 0), reading(1, 0, power_w=-8000)) == [True, False]


def test_unsigned_power_is_refused() -> None:
    guard, used = GUARD, 0
    with pytest.raises(InstrumentRefused, match="no sign"):
        for second in range(30):
            guard, doubt = guard.check(reading(second, 0, second, power_w=3600))
            used += doubt is None
    assert used <= 2


def test_energy_without_power_is_doubted() -> None:
    used = judge(*(reading(s, s, power_w=0) for s in range(10)))
    assert used.count(False) >= 1


def test_long_gaps_say_nothing_about_power() -> None:
    assert all(judge(*(reading(60.0 * s, 100 * s, power_w=0) for s in range(10))))


def test_clock_that_goes_back_begins_anew() -> None:
    assert all(judge(reading(100, 5), reading(40, 6, power_w=100), reading(41, 6, power_w=100)))


@given(st.lists(st.tuples(st.floats(0.5, 4.0), st.integers(-7_400, 7_400)), max_size=200))
def test_an_honest_meter_is_never_doubted(steps: list[tuple[float, int]]) -> None:
    """Power that changes once between two readings, registers that truncate to 1 Wh."""
    guard, at_s, imported, exported, last_w = GUARD, 0.0, 0.0, 0.0, 0
    for gap_s, power_w in steps:
        at_s += gap_s
        for part_w, part_s in ((last_w, gap_s / 3), (power_w, 2 * gap_s / 3)):
            imported += max(0, part_w) * part_s / 3600
            exported += max(0, -part_w) * part_s / 3600
        last_w = power_w
        guard, doubt = guard.check(reading(at_s, int(imported), int(exported), power_w))
        assert doubt is None


def test_net_is_import_less_export() -> None:
    assert net_wh(reading(0, 5, 7)) == -2
    assert net_wh(Registers(at_s=0, import_wh=5, export_wh=None)) == 5


def test_doubts_say_why() -> None:
    guard, _ = GUARD.check(reading(0, 1000))
    _, doubt = guard.check(reading(1, 10))
    assert isinstance(doubt, ImplausibleReading)
    assert "fell by 990 Wh" in str(doubt)


def test_a_late_answer_spoils_no_reading() -> None:
    """Asked 4 s before it was answered, at 7.2 kW: 2 Wh a second that the stamp may be off."""
    on_time = [reading(10.0 * s, 20 * s, power_w=7_200) for s in range(3)]
    late = replace(reading(22.0, 48, power_w=7_200), time_error_s=2.0)
    assert judge(*on_time, late) == [True, True, True, True]
    assert judge(*on_time, replace(late, time_error_s=0.0)) == [True, True, True, False]
