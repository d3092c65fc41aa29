"""What a P1 port does beside the ordinary, and that the driver lives with it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from cable_node.drivers.p1 import VARIANTS, P1Meter, P1Settings
from cable_node.ports import InstrumentRefused, InstrumentUnavailable
from gridcord.metering.reading import Registers
from tests.contract.instruments.rigs import STRICT, P1Rig, listening, run

pytestmark = STRICT


@pytest.fixture
def rig(tmp_path: Path) -> P1Rig:
    return P1Rig(tmp_path)


@pytest.mark.parametrize("knob", ["corrupt", "truncate"])
def test_damaged_telegrams_are_counted_and_dropped(rig: P1Rig, knob: str) -> None:
    async def scenario() -> None:
        driver = P1Meter(P1Settings(port=str(rig.link)))
        async with rig, listening(driver.readings()) as told:
            while told.empty():
                await rig.next_telling()
                await asyncio.sleep(0.02)
            told.get_nowait()
            setattr(rig.meter.faults, knob, 3)
            for _ in range(4):
                last_s = await rig.next_telling()
            reading = await asyncio.wait_for(told.get(), 20)
            assert isinstance(reading, Registers)
            assert reading.at_s == last_s
            assert driver.damaged == (3 if knob == "corrupt" else 0)
            await driver.close()

    run(scenario())


def test_joining_in_the_middle_of_a_telegram(rig: P1Rig) -> None:
    async def scenario() -> None:
        async with rig:
            asking = asyncio.create_task(rig.driver.power())
            whole = rig.meter.telegram(rig.clock.now()).encode()
            for part in (whole[200:], whole):
                await asyncio.sleep(0.1)
                rig.meter.port.write(part)
            assert (await asyncio.wait_for(asking, 20)).power_w == -1503

    run(scenario())


def test_noise_alone_is_silence(rig: P1Rig) -> None:
    async def scenario() -> None:
        rig.meter.silent = True
        driver = P1Meter(P1Settings(port=str(rig.link), silence_s=0.5))
        async with rig:
            asking = asyncio.create_task(driver.power())
            while not asking.done():
                rig.meter.port.write(b"/noise!12\r\n" * 40)
                await asyncio.sleep(0.02)
            with pytest.raises(InstrumentUnavailable, match="no good telegram"):
                await asking
            assert driver.damaged > 0
            await driver.close()

    run(scenario())


def test_meter_without_identifier_is_refused(rig: P1Rig) -> None:
    async def scenario() -> None:
        rig.meter.equipment_id = ""
        async with rig:
            asking = asyncio.create_task(rig.driver.identify())
            while not asking.done():
                await rig.next_telling()
                await asyncio.sleep(0.02)
            with pytest.raises(InstrumentRefused):
                await asking

    run(scenario())


def test_unknown_version_is_refused() -> None:
    with pytest.raises(InstrumentRefused):
        P1Meter(P1Settings(port="none", version="3"))


def test_every_version_has_a_checksum() -> None:
    assert all(
        variant.parser.telegram_specification["checksum_support"] for variant in VARIANTS.values()
    )
