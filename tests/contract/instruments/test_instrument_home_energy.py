"""What every home energy manager promises (`cable_node.ports.HomeEnergy`), on the ECHONET node."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from cable_node.ports import FrameError, InstrumentRefused, InstrumentUnavailable
from gridcord.metering.reading import Registers
from tests.contract.instruments.rigs import START_S, STRICT, TIMEOUT_S, HomeEnergyRig, run

pytestmark = STRICT


@pytest.fixture
def rig(tmp_path: Path) -> HomeEnergyRig:
    return HomeEnergyRig(tmp_path)


def test_identity_and_consumption(rig: HomeEnergyRig) -> None:
    async def scenario() -> None:
        async with rig:
            identity = await rig.driver.identify()
            assert identity.site_id == f"echonet:{rig.twin.identifier.hex()}"
            assert not identity.measures_export
            assert await rig.driver.read() == Registers(
                at_s=START_S, import_wh=345_678, export_wh=None, power_w=480
            )

    run(scenario())


def test_reading_needs_no_identify_first(rig: HomeEnergyRig) -> None:
    async def scenario() -> None:
        async with rig:
            assert (await rig.driver.read()).import_wh == 345_678

    run(scenario())


def test_coarse_counts_are_told_as_such(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with HomeEnergyRig(tmp_path, unit=0x01) as rig:
            reading = await rig.driver.read()
            assert (reading.import_wh, reading.step_wh) == (345_600, 100)
            assert (await rig.driver.identify()).step_wh == 100

    run(scenario())


def test_circuits_can_be_summed_without_the_cables_own(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with HomeEnergyRig(tmp_path, channels=(1, 3), unit=0x02) as rig:
            reading = await rig.driver.read()
            assert reading.import_wh == 1_000 + 3_000  # each truncated to 10 Wh
            assert reading.step_wh == 20
            assert rig.circuits[1].imported_wh + rig.circuits[3].imported_wh - 4_000 < 20

    run(scenario())


def test_circuit_that_does_not_exist_is_unavailable(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with HomeEnergyRig(tmp_path, channels=(1, 4)) as rig:
            with pytest.raises(InstrumentUnavailable):
                await rig.driver.read()

    run(scenario())


@pytest.mark.parametrize("missing", [0x83, 0xC2])
def test_node_without_identity_or_unit_is_refused(rig: HomeEnergyRig, missing: int) -> None:
    async def scenario() -> None:
        rig.twin.without = {missing}
        async with rig:
            with pytest.raises(InstrumentRefused, match=f"{missing:02X}"):
                await rig.driver.identify()

    run(scenario())


def test_value_that_is_missing_is_not_zero(rig: HomeEnergyRig) -> None:
    async def scenario() -> None:
        async with rig:
            await rig.driver.identify()
            rig.twin.without = {0xC6}
            with pytest.raises(InstrumentRefused):
                await rig.driver.read()
            rig.twin.without = set()
            rig.source.watts = 0x7FFFFFFE
            assert (await rig.driver.read()).power_w is None

    run(scenario())


@pytest.mark.parametrize("knob", ["drop", "corrupt", "truncate"])
def test_one_bad_datagram_costs_a_repetition(rig: HomeEnergyRig, knob: str) -> None:
    async def scenario() -> None:
        async with rig:
            await rig.driver.identify()
            setattr(rig.twin.faults, knob, 1)
            try:
                assert (await rig.driver.read()).import_wh == 345_678
            except FrameError:
                assert knob == "corrupt"

    run(scenario())


def test_late_answer_is_not_taken_for_the_next_request(rig: HomeEnergyRig) -> None:
    """It comes while the repetition waits for its own."""

    async def scenario() -> None:
        async with rig:
            await rig.driver.identify()
            rig.twin.faults.late, rig.twin.faults.late_s = 2, TIMEOUT_S * 1.4
            asking = asyncio.create_task(rig.driver.read())
            await asyncio.sleep(TIMEOUT_S / 2)
            rig.source.imported_wh += 5
            assert (await asking).import_wh == 345_683

    run(scenario())


def test_silent_node_is_unavailable_and_comes_back(rig: HomeEnergyRig) -> None:
    async def scenario() -> None:
        rig.twin.silent = True
        async with rig:
            with pytest.raises(InstrumentUnavailable):
                await rig.driver.identify()
            rig.twin.silent = False
            assert (await rig.driver.read()).import_wh == 345_678

    run(scenario())


def test_node_restarted_at_its_address(rig: HomeEnergyRig) -> None:
    async def scenario() -> None:
        async with rig:
            await rig.driver.read()
            await rig.twin.stop()
            with pytest.raises(InstrumentUnavailable):
                await rig.driver.read()
            await rig.twin.start()
            assert (await rig.driver.read()).import_wh == 345_678

    run(scenario())


def test_closing_wakes_who_waits_and_is_for_good(rig: HomeEnergyRig) -> None:
    async def scenario() -> None:
        rig.twin.silent = True
        async with rig:
            waiting = asyncio.create_task(rig.driver.identify())
            await rig.clock.settle()
            await rig.driver.close()
            with pytest.raises(InstrumentUnavailable):
                await waiting
            await rig.driver.close()
            with pytest.raises(InstrumentUnavailable):
                await rig.driver.read()

    run(scenario())
