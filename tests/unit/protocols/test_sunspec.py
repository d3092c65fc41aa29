"""SunSpec points: values in registers, marks of what is not implemented, scale factors."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridcord.protocols import sunspec
from gridcord.protocols.sunspec import (
    CAPACITY,
    CHARGE_RATE,
    CHARGE_RATING,
    MEASUREMENT,
    POWER,
    REVERT_TIME,
    SET_POWER,
    STATE,
    STORAGE,
    STORAGE_STATE,
    DeviceState,
    Point,
    SunSpecError,
    Type,
    encode,
    read_state,
    value_of,
)

NONE, NONE_SIGNED = 0xFFFF, 0x8000
Models = dict[int, list[int]]


def model(number: int, registers: dict[int, int]) -> list[int]:
    found = [NONE] * sunspec.READ_THROUGH[number]
    for at, register in ({0: number} | registers).items():
        found[at] = register
    return found


def models(**changed: dict[int, int]) -> Models:
    """A device of 5 kW at 1.2 kW of discharge and 61.5 %, with registers changed by model."""
    registers = {
        MEASUREMENT: {3: 1, 5: 1, 10: 120, 116: 1},
        CAPACITY: {10: 500, 11: 400, 34: NONE, 35: 300, 45: 1},
        STORAGE: {4: 615, 6: 0, 8: 0xFFFF},
    }
    return {
        number: model(number, given_registers | changed.get(f"m{number}", {}))
        for number, given_registers in registers.items()
    }


def test_what_a_device_says() -> None:
    assert read_state(models()) == DeviceState(
        is_ready=True,
        power_w=-1200,  # the standard counts towards the grid, we count charging
        charge_limit_w=5000,  # its setting is not implemented: the rating holds
        discharge_limit_w=3000,
        soc_percent=61.5,
    )


def test_without_storage_the_state_of_charge_is_not_known() -> None:
    found = models()
    del found[STORAGE]
    assert read_state(found).soc_percent is None
    assert read_state(models(m713={4: NONE})).soc_percent is None


@pytest.mark.parametrize(
    "changed",
    [
        {"m701": {STATE.offset: 0}},
        {"m701": {5: 0}},
        {"m713": {STORAGE_STATE.offset: 2}},
    ],
)
def test_what_makes_it_not_ready(changed: dict[str, dict[int, int]]) -> None:
    assert not read_state(models(**changed)).is_ready


def test_a_state_that_is_not_told_is_a_good_one() -> None:
    changed = {"m701": {STATE.offset: NONE, 5: NONE}, "m713": {STORAGE_STATE.offset: NONE}}
    assert read_state(models(**changed)).is_ready


def test_a_device_that_tells_no_limit_cannot() -> None:
    changed = {CHARGE_RATE.offset: NONE, CHARGE_RATING.offset: NONE}
    assert read_state(models(m702=changed)).charge_limit_w == 0


@pytest.mark.parametrize(
    ("broken", "complaint"),
    [
        (lambda found: found[MEASUREMENT].__setitem__(10, NONE_SIGNED), "the power"),
        (lambda found: found[MEASUREMENT].__setitem__(116, NONE_SIGNED), "scale factor"),
        (lambda found: found[MEASUREMENT].__setitem__(116, 11), "scale factor 11"),
        (lambda found: found[STORAGE].__setitem__(4, 1001), "a state of charge of 100.1 %"),
        (lambda found: found[CAPACITY].__delitem__(slice(45, None)), "ends before its scale"),
        (lambda found: found[MEASUREMENT].__delitem__(slice(10, None)), "ends before register 10"),
    ],
)
def test_registers_that_cannot_be_are_refused(
    broken: Callable[[Models], None], complaint: str
) -> None:
    found = models()
    broken(found)
    with pytest.raises(SunSpecError, match=complaint):
        read_state(found)


def test_a_setpoint_is_one_write_and_silence_ends_at_nothing() -> None:
    controls = model(sunspec.CONTROLS, {55: 1})
    assert sunspec.setpoint_registers(1239, controls=controls) == [1, 1, 0xFFFF, 0xFF85]
    assert sunspec.setpoint_registers(-1239, controls=controls) == [1, 1, 0, 123]
    assert sunspec.reversion_registers(70_000, controls=controls) == [1, 1, 4464]


@given(
    kind=st.sampled_from(list(Type)),
    number=st.integers(-(2**31) + 1, 2**32 - 2),
    scale=st.integers(-10, 0),
)
def test_what_fits_comes_back_and_the_rest_is_refused(kind: Type, number: int, scale: int) -> None:
    bits = 16 * kind.registers
    least, most = (1 - 2 ** (bits - 1), 2 ** (bits - 1) - 1) if kind.is_signed else (0, 2**bits - 2)
    point = Point(1, kind, 3)
    registers = [704, 0, 0, scale & 0xFFFF]
    if not least <= number * 10**-scale <= most:
        with pytest.raises(SunSpecError, match="does not fit"):
            encode(point, number, registers)
        return
    registers[1 : 1 + kind.registers] = encode(point, number, registers)
    assert value_of(point, registers) == number


@pytest.mark.parametrize("point", [POWER, CHARGE_RATE, SET_POWER, REVERT_TIME])
def test_a_value_never_becomes_the_mark_of_none(point: Point) -> None:
    registers = [0] * 130
    lowest = -(2 ** (16 * point.type.registers - 1)) if point.type.is_signed else None
    mark = lowest if lowest is not None else 2 ** (16 * point.type.registers) - 1
    with pytest.raises(SunSpecError, match="does not fit"):
        encode(point, mark, registers)
