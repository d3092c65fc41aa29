"""What every positioning promises (`cable_node.ports.Positioning`), on the simulated receiver."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from cable_node.drivers.nmea_gps import GpsSettings, NmeaGps
from cable_node.ports import InstrumentUnavailable
from gridcord.units import Position
from tests.contract.instruments.rigs import STRICT, PositioningRig, listening, run

pytestmark = STRICT

Told = asyncio.Queue[Position | Exception]


@pytest.fixture
def rig(tmp_path: Path) -> PositioningRig:
    return PositioningRig(tmp_path)


async def first(rig: PositioningRig, told: Told) -> Position:
    """The next position told while time passes."""
    while told.empty():
        await rig.clock.advance(1)
        await asyncio.sleep(0.02)
    position = told.get_nowait()
    assert isinstance(position, Position), position
    return position


async def seconds(rig: PositioningRig, number: int) -> None:
    for _ in range(number):
        await rig.clock.advance(1)
        await asyncio.sleep(0.02)


def test_position_with_accuracy_and_time(rig: PositioningRig) -> None:
    async def scenario() -> None:
        async with rig, listening(rig.driver.fixes()) as told:
            position = await first(rig, told)
            assert rig.source.place is not None
            assert position.distance_m(rig.source.place) < 1
            assert position.accuracy_m == pytest.approx(9)
            assert position.fix_time_s is not None
            assert abs(position.fix_time_s - rig.clock.now()) <= 1

    run(scenario())


@pytest.mark.parametrize("trouble", ["no fix", "lost", "zero", "dilution"])
def test_what_is_not_believed_is_not_told(rig: PositioningRig, trouble: str) -> None:
    async def scenario() -> None:
        place = rig.source.place
        if trouble == "no fix":
            rig.source.place = None
        rig.twin.lost = trouble == "lost"
        rig.twin.at_zero = trouble == "zero"
        rig.twin.hdop = 9.9 if trouble == "dilution" else 0.9
        async with rig, listening(rig.driver.fixes()) as told:
            await seconds(rig, 6)
            assert told.empty()
            rig.source.place, rig.twin.hdop = place, 0.9
            rig.twin.at_zero = rig.twin.lost = False
            assert place is not None
            assert (await first(rig, told)).distance_m(place) < 1

    run(scenario())


def test_date_of_the_receiver_does_not_matter(rig: PositioningRig) -> None:
    async def scenario() -> None:
        rig.twin.rolled_over = True
        async with rig, listening(rig.driver.fixes()) as told:
            position = await first(rig, told)
            assert position.fix_time_s is not None
            assert abs(position.fix_time_s - rig.clock.now()) <= 1

    run(scenario())


@pytest.mark.parametrize("knob", ["corrupt", "truncate", "drop", "late"])
def test_damaged_sentences_are_dropped(rig: PositioningRig, knob: str) -> None:
    async def scenario() -> None:
        async with rig, listening(rig.driver.fixes()) as told:
            await first(rig, told)
            rig.twin.faults.late_s = 0.05
            setattr(rig.twin.faults, knob, 2)
            rig.twin.faults.fragment = 13
            await seconds(rig, 2)
            assert rig.source.place is not None
            assert (await first(rig, told)).distance_m(rig.source.place) < 1

    run(scenario())


def test_unplugged_and_plugged_in_again(rig: PositioningRig) -> None:
    async def scenario() -> None:
        async with rig:
            for _ in range(2):
                async with listening(rig.driver.fixes()) as told:
                    await first(rig, told)
                    rig.twin.unplug()
                    while not isinstance(end := await asyncio.wait_for(told.get(), 20), Exception):
                        continue
                    assert isinstance(end, InstrumentUnavailable)
                async with listening(rig.driver.fixes()) as told:
                    assert isinstance(await asyncio.wait_for(told.get(), 20), InstrumentUnavailable)
                rig.twin.plug()

    run(scenario())


def test_silent_receiver_is_unavailable(rig: PositioningRig) -> None:
    async def scenario() -> None:
        driver = NmeaGps(GpsSettings(port=str(rig.link), silence_s=0.2), rig.clock)
        async with rig, listening(driver.fixes()) as told:
            while not isinstance(end := await asyncio.wait_for(told.get(), 20), Exception):
                continue
            assert isinstance(end, InstrumentUnavailable)
            await driver.close()

    run(scenario())


def test_closing_wakes_who_waits_and_is_for_good(rig: PositioningRig) -> None:
    async def scenario() -> None:
        async with rig, listening(rig.driver.fixes()) as told:
            await rig.clock.settle()
            await rig.driver.close()
            await rig.driver.close()
            assert isinstance(await asyncio.wait_for(told.get(), 20), InstrumentUnavailable)
            with pytest.raises(InstrumentUnavailable):
                await anext(rig.driver.fixes())

    run(scenario())
