"""Clocks: real, scaled, manual."""

from __future__ import annotations

import asyncio
import time

import pytest

from gridcord.chassis.clock import Clock, ScaledClock, SystemClock
from gridcord.testing.clock import ManualClock

NOON_S = 1_700_000_000.0


def test_the_system_clock_shows_the_machines_time() -> None:
    clock: Clock = SystemClock()

    assert clock.now() == pytest.approx(time.time(), abs=5)
    assert clock.monotonic() == pytest.approx(time.monotonic(), abs=5)


@pytest.mark.parametrize("clock", [SystemClock(), ScaledClock(60, time.time(), NOON_S)])
def test_waiting_for_the_past_takes_no_time(clock: Clock) -> None:
    async def scenario() -> None:
        await clock.sleep(-1)
        await clock.sleep_until(clock.now() - 1)

    asyncio.run(asyncio.wait_for(scenario(), 30))


@pytest.mark.parametrize("clock", [SystemClock(), ScaledClock(60, time.time(), NOON_S)])
def test_a_wait_lasts_as_long_as_it_says(clock: Clock) -> None:
    async def scenario() -> tuple[float, float]:
        begin_s = clock.monotonic()
        await clock.sleep(0.05)
        middle_s = clock.monotonic()
        instant_s = clock.now() + 0.05
        await clock.sleep_until(instant_s)
        return middle_s - begin_s, clock.now() - instant_s

    slept_s, late_s = asyncio.run(asyncio.wait_for(scenario(), 30))
    assert slept_s >= 0.049
    assert late_s >= 0


def test_scaled_clocks_of_one_origin_agree() -> None:
    begin_s = time.time()
    one, two = (ScaledClock(3600, begin_s, NOON_S) for _ in range(2))

    assert one.now() <= two.now() <= one.now()
    assert one.now() >= NOON_S


def test_a_scaled_clock_runs_at_its_speed() -> None:
    clock = ScaledClock(1000, time.time(), NOON_S)
    real_s, shown_s, passed_s = time.monotonic(), clock.now(), clock.monotonic()

    time.sleep(0.02)

    ran_s = clock.now() - shown_s
    assert ran_s >= 0.019 * 1000
    assert ran_s <= (time.monotonic() - real_s) * 1000 + 1
    assert clock.monotonic() - passed_s >= 0.019 * 1000


@pytest.mark.parametrize("speed", [0.0, -1.0, float("nan")])
def test_a_clock_does_not_stand_still_or_run_back(speed: float) -> None:
    with pytest.raises(ValueError, match="speed"):
        ScaledClock(speed, 0, 0)


def test_a_manual_clock_wakes_sleepers_in_order() -> None:
    clock = ManualClock(NOON_S)
    woken: list[tuple[str, float]] = []

    async def sleeper(name: str, seconds: float, then: float = 0) -> None:
        await clock.sleep(seconds)
        woken.append((name, clock.now() - NOON_S))
        if then:
            await sleeper(name, then)

    async def scenario() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(sleeper("late", 30))
            tasks.create_task(sleeper("twice", 10, then=10))
            await clock.advance(25)
            assert clock.sleepers == 1
            await clock.advance(5)

    asyncio.run(scenario())
    assert woken == [("twice", 10), ("twice", 20), ("late", 30)]
    assert clock.now() == NOON_S + 30
    assert clock.monotonic() == 30


def test_a_step_moves_the_wall_clock_only() -> None:
    clock = ManualClock(NOON_S)

    async def scenario() -> float:
        waiting = asyncio.create_task(clock.sleep_until(NOON_S + 100))
        await clock.settle()
        clock.step(60)
        await clock.advance(99)
        assert not waiting.done(), "it waits for the 100 s it saw at first"
        await clock.advance(1)
        await waiting
        return clock.monotonic()

    assert asyncio.run(scenario()) == 100
    assert clock.now() == NOON_S + 160


def test_a_step_back_makes_a_waiter_wait_longer() -> None:
    clock = ManualClock(NOON_S)

    async def scenario() -> None:
        waiting = asyncio.create_task(clock.sleep_until(NOON_S + 10))
        await clock.settle()
        clock.step(-5)
        await clock.advance(10)
        assert not waiting.done()
        await clock.advance(5)
        await waiting

    asyncio.run(scenario())
