"""What every site meter promises (`cable_node.ports.SiteMeter`), on each simulated meter."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import pytest

from cable_node.ports import InstrumentRefused, InstrumentUnavailable
from gridcord.metering.reading import Registers
from tests.contract.instruments.rigs import (
    STRICT,
    OldDialectRig,
    P1Rig,
    RouteBRig,
    SiteMeterRig,
    listening,
    run,
)

pytestmark = STRICT


@pytest.fixture(params=[P1Rig, RouteBRig, OldDialectRig], ids=["p1", "route-b", "route-b-old"])
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> SiteMeterRig:
    made: SiteMeterRig = request.param(tmp_path)
    return made


def shown(rig: SiteMeterRig) -> tuple[int, int]:
    """What the meter's registers show: truncated to its step."""
    source, step = rig.source, rig.step_wh
    return source.imported_wh // step * step, source.exported_wh // step * step


async def identified(rig: SiteMeterRig) -> None:
    """Ask for the identity while the meter goes on telling of itself."""
    asking = asyncio.create_task(rig.driver.identify())
    while not asking.done():
        await rig.clock.advance(0.5)
        await asyncio.sleep(0.02)
    identity = await asking
    assert (identity.site_id, *identity.aliases) == rig.site_ids()
    assert identity.step_wh == rig.step_wh
    assert identity.measures_export


async def first(rig: SiteMeterRig, told: asyncio.Queue[Registers | Exception]) -> Registers:
    """The first registers told, while the meter goes on."""
    while told.empty():
        await rig.clock.advance(0.5)
        await asyncio.sleep(0.02)
    reading = told.get_nowait()
    assert isinstance(reading, Registers)
    return reading


async def after(rig: SiteMeterRig, told: asyncio.Queue[Registers | Exception]) -> Registers:
    """The registers of the next telling."""
    at_s = await rig.next_telling()
    while True:
        reading = await asyncio.wait_for(told.get(), 20)
        assert isinstance(reading, Registers), reading
        if reading.at_s == at_s:
            return reading


def test_it_tells_who_it_is_and_its_registers_in_order(rig: SiteMeterRig) -> None:
    async def scenario() -> None:
        async with rig:
            await identified(rig)
            async with listening(rig.driver.readings()) as told:
                readings = [await first(rig, told)]
                for _ in range(3):
                    rig.source.flow(power_w=2500, seconds=720)
                    rig.source.exported_wh += 130
                    readings.append(await after(rig, told))
                    assert (readings[-1].import_wh, readings[-1].export_wh) == shown(rig)
                assert all(reading.step_wh == rig.step_wh for reading in readings)
                instants = [reading.at_s for reading in readings]
                assert instants == sorted(set(instants))

    run(scenario())


def test_power_has_a_sign_and_the_time_of_the_meter(rig: SiteMeterRig) -> None:
    async def power() -> int:
        asking = asyncio.create_task(rig.driver.power())
        while not asking.done():
            await rig.clock.advance(1)
            await asyncio.sleep(0.02)
        sample = await asking
        assert abs(sample.at_s - rig.clock.now()) <= rig.driver.power_interval_s
        return sample.power_w

    async def scenario() -> None:
        async with rig:
            assert await power() == rig.source.watts < 0
            rig.source.watts = 3456
            await rig.clock.advance(1)
            assert await power() == 3456

    run(scenario())


def test_a_lost_telling_is_not_the_end(rig: SiteMeterRig) -> None:
    async def scenario() -> None:
        async with rig, contextlib.AsyncExitStack() as stack:
            told = await stack.enter_async_context(listening(rig.driver.readings()))
            await first(rig, told)
            rig.serial.faults.drop = 1
            await rig.next_telling()
            rig.source.flow(power_w=2500, seconds=720)
            reading = await after(rig, told)
            assert (reading.import_wh, reading.export_wh) == shown(rig)

    run(scenario())


@pytest.mark.parametrize("rig", [P1Rig, RouteBRig], indirect=True)
def test_bytes_in_pieces_are_put_together(rig: SiteMeterRig) -> None:
    async def scenario() -> None:
        rig.serial.faults.fragment = 61
        async with rig, listening(rig.driver.readings()) as told:
            reading = await first(rig, told)
            assert (reading.import_wh, reading.export_wh) == shown(rig)

    run(scenario())


def test_unplugged_and_plugged_in_again(rig: SiteMeterRig) -> None:
    async def scenario() -> None:
        async with rig:
            async with listening(rig.driver.readings()) as told:
                await first(rig, told)
                rig.serial.unplug()
                # a radio's loss shows when something is asked
                with contextlib.suppress(InstrumentUnavailable):
                    await rig.driver.history(rig.clock.now())
                while not isinstance(failure := await asyncio.wait_for(told.get(), 20), Exception):
                    continue
                assert isinstance(failure, InstrumentUnavailable)
            with pytest.raises(InstrumentUnavailable):
                await rig.driver.identify()
            rig.serial.plug()
            await identified(rig)

    run(scenario())


def test_history_is_in_order_and_only_what_is_remembered(rig: SiteMeterRig) -> None:
    async def scenario() -> None:
        async with rig:
            since_s = rig.clock.now() - 3 * 1800
            found = await rig.driver.history(since_s)
            instants = [reading.at_s for reading in found]
            assert instants == sorted(set(instants))
            assert all(since_s <= at_s <= rig.clock.now() for at_s in instants)
            assert bool(found) is rig.has_history

    run(scenario())


def test_closing_wakes_who_waits_and_is_for_good(rig: SiteMeterRig) -> None:
    async def scenario() -> None:
        async with rig, listening(rig.driver.readings()) as told:
            await first(rig, told)
            await rig.driver.close()
            await rig.driver.close()
            while not isinstance(failure := await asyncio.wait_for(told.get(), 20), Exception):
                continue
            assert isinstance(failure, InstrumentUnavailable)
            with pytest.raises(InstrumentUnavailable):
                await rig.driver.identify()

    run(scenario())


@pytest.mark.parametrize("rig", [P1Rig, RouteBRig], indirect=True)
def test_closing_while_it_is_being_opened(rig: SiteMeterRig) -> None:
    async def scenario() -> None:
        async with rig:
            asking = asyncio.create_task(rig.driver.identify())
            await asyncio.sleep(0.3)
            await rig.driver.close()
            with pytest.raises((InstrumentUnavailable, InstrumentRefused)):
                await asking

    run(scenario())
