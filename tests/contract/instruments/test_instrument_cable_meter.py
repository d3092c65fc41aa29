"""What every cable meter promises (`cable_node.ports.CableMeter`), on the simulated SDM230."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from cable_node.drivers.modbus_client import ModbusClient
from cable_node.drivers.modbus_meter import ModbusMeter
from cable_node.drivers.serial_line import SerialSettings
from cable_node.ports import (
    FrameError,
    ImplausibleReading,
    InstrumentError,
    InstrumentRefused,
    InstrumentUnavailable,
)
from gridcord.metering.reading import Registers
from gridcord.protocols.modbus_rtu import READ_INPUT, ReadRequest, float_at
from gridcord.simulation.instruments.sdm230 import Sdm230
from tests.contract.instruments.rigs import START_S, STRICT, TIMEOUT_S, CableMeterRig, run

pytestmark = STRICT


@pytest.fixture
def rig(tmp_path: Path) -> CableMeterRig:
    return CableMeterRig(tmp_path)


def test_identity_and_registers(rig: CableMeterRig) -> None:
    async def scenario() -> None:
        async with rig:
            identity = await rig.driver.identify()
            assert identity.model == "Eastron SDM230"
            assert identity.serial_number == "23100147"
            assert identity.step_wh == 1
            assert await rig.driver.read() == Registers(
                at_s=START_S, import_wh=1_234_567, export_wh=89_123, power_w=222
            )

    run(scenario())


def test_power_out_of_the_vehicle_is_negative(rig: CableMeterRig) -> None:
    async def scenario() -> None:
        async with rig:
            await rig.driver.read()
            await rig.clock.advance(1)
            rig.source.flow(power_w=-3600, seconds=1)
            reading = await rig.driver.read()
            assert (reading.power_w, reading.export_wh) == (-3600, 89_124)

    run(scenario())


def test_step_is_never_finer_than_the_float(rig: CableMeterRig) -> None:
    """A 32-bit float of kWh steps by 7.8 Wh above 67 MWh."""

    async def scenario() -> None:
        rig.source.imported_wh = 100_000_001
        async with rig:
            reading = await rig.driver.read()
            assert reading.step_wh == 8
            assert abs(reading.import_wh - 100_000_001) < reading.step_wh

    run(scenario())


@pytest.mark.parametrize("model", ["PZEM-004T", "unheard of"])
def test_unfit_model_is_refused(tmp_path: Path, model: str) -> None:
    async def scenario() -> None:
        async with CableMeterRig(tmp_path, model=model) as rig:
            with pytest.raises(InstrumentRefused):
                await rig.driver.identify()

    run(scenario())


def test_meter_without_export_register_is_refused(rig: CableMeterRig) -> None:
    async def scenario() -> None:
        rig.twin.has_export = False
        async with rig:
            with pytest.raises(InstrumentRefused):
                await rig.driver.identify()

    run(scenario())


def test_meter_without_sign_is_refused_when_it_shows(rig: CableMeterRig) -> None:
    async def scenario() -> None:
        rig.twin.has_sign = False
        used = 0
        async with rig:
            await rig.driver.identify()
            with pytest.raises(InstrumentRefused, match="no sign"):
                for _ in range(60):
                    await rig.clock.advance(1)
                    rig.source.flow(power_w=-3600, seconds=1)
                    try:
                        await rig.driver.read()
                        used += 1
                    except ImplausibleReading:
                        continue
        assert used <= 2

    run(scenario())


def test_lost_answer_is_unavailable_and_the_next_one_right(rig: CableMeterRig) -> None:
    async def scenario() -> None:
        async with rig:
            rig.twin.faults.drop = 1
            with pytest.raises(InstrumentUnavailable):
                await rig.driver.read()
            assert (await rig.driver.read()).power_w == 222

    run(scenario())


@pytest.mark.parametrize("knob", ["corrupt", "truncate"])
def test_damaged_answer_is_never_used(rig: CableMeterRig, knob: str) -> None:
    async def scenario() -> None:
        async with rig:
            setattr(rig.twin.faults, knob, 1)
            with pytest.raises((FrameError, InstrumentUnavailable)):
                await rig.driver.read()
            assert (await rig.driver.read()).power_w == 222

    run(scenario())


def test_noise_before_the_answer_is_never_used(rig: CableMeterRig) -> None:
    async def scenario() -> None:
        async with rig:
            rig.twin.faults.noise = b"\x00\xff"
            with pytest.raises((FrameError, InstrumentUnavailable)):
                await rig.driver.read()
            rig.twin.faults.noise = b""
            assert (await rig.driver.read()).power_w == 222

    run(scenario())


def test_answer_in_pieces_is_put_together(rig: CableMeterRig) -> None:
    async def scenario() -> None:
        async with rig:
            rig.twin.faults.fragment = 7
            assert (await rig.driver.read()).power_w == 222

    run(scenario())


def test_late_answer_is_not_taken_for_the_next_request(rig: CableMeterRig) -> None:
    """It comes while the driver waits for silence."""

    async def scenario() -> None:
        async with rig:
            rig.twin.faults.late, rig.twin.faults.late_s = 1, TIMEOUT_S * 1.5
            with pytest.raises(InstrumentUnavailable):
                await rig.driver.read()
            rig.source.watts = 333
            assert (await rig.driver.read()).power_w == 333

    run(scenario())


def test_silence_keeps_late_answers_of_the_same_length_out(rig: CableMeterRig) -> None:
    """Two equal requests: the first answer comes when the second one's own is lost."""

    async def scenario() -> None:
        request = ReadRequest(unit=1, function=READ_INPUT, address=0x000C, count=2)
        line = SerialSettings(port=str(rig.link), baudrate=9600)
        client = ModbusClient(line, timeout_s=TIMEOUT_S)
        async with rig:
            rig.twin.faults.late, rig.twin.faults.late_s = 1, TIMEOUT_S * 1.3
            for _ in range(2):
                with pytest.raises(InstrumentUnavailable):
                    await client.read(request)
                rig.source.watts = 333
                rig.twin.faults.drop = 1
            rig.twin.faults.drop = 0
            assert float_at(await client.read(request), 0) == 333
            await client.close()

    run(scenario())


class LateSdm230(Sdm230):
    """Answers each request with what it had to say to the last one: later than any silence."""

    behind = False

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self._last = b""

    def answer(self, request: ReadRequest) -> bytes:
        answer = super().answer(request)
        late, self._last = self._last, answer
        return late if self.behind and late else answer


def test_answer_later_than_any_silence_is_told_by_its_length(rig: CableMeterRig) -> None:
    async def scenario() -> None:
        twin = LateSdm230(rig.source, link=rig.link)
        await twin.start()
        driver = ModbusMeter(rig.settings, rig.clock)
        await driver.read()
        twin.behind = True
        rig.source.watts = 333
        for _ in range(3):
            with pytest.raises(FrameError, match="late answer"):
                await driver.read()
        twin.behind = False
        assert (await driver.read()).power_w == 333
        await driver.close()
        await twin.stop()

    run(scenario())


def test_whatever_the_line_does_no_reading_is_of_another_moment(rig: CableMeterRig) -> None:
    """Power differs each time; a reading that is given has the power of its own request."""

    async def scenario() -> int:
        dice, right = random.Random(20_271), 0
        async with rig:
            for number in range(60):
                await rig.clock.advance(10)
                rig.source.watts = 100 + number
                faults = rig.twin.faults
                faults.late_s = rig.settings.timeout_s * dice.choice([0.1, 1.1, 1.9])
                faults.noise = dice.choice([b"", b"", b"", b"\x01\x04"])
                faults.fragment = dice.choice([0, 0, 11])
                knob = dice.choice(["", "", "", "", "drop", "corrupt", "late", "truncate"])
                if knob:
                    setattr(faults, knob, 1)
                try:
                    reading = await rig.driver.read()
                except InstrumentError:
                    continue
                assert reading.power_w == 100 + number
                right += 1
        return right

    rig.settings = type(rig.settings)(port=str(rig.link), timeout_s=0.2)
    assert run(scenario()) > 5


def test_register_that_jumps_is_doubted_once(rig: CableMeterRig) -> None:
    async def scenario() -> None:
        async with rig:
            await rig.driver.read()
            rig.twin.offset_import_wh = 50_000
            await rig.clock.advance(1)
            with pytest.raises(ImplausibleReading):
                await rig.driver.read()
            await rig.clock.advance(1)
            assert (await rig.driver.read()).import_wh == 1_284_567

    run(scenario())


def test_another_meter_has_another_identity(rig: CableMeterRig) -> None:
    async def scenario() -> None:
        async with rig:
            before = await rig.driver.identify()
            rig.twin.serial_number += 1
            assert await rig.driver.identify() != before

    run(scenario())


def test_unplugged_and_plugged_in_again(rig: CableMeterRig) -> None:
    async def scenario() -> None:
        async with rig:
            await rig.driver.read()
            rig.twin.unplug()
            for _ in range(2):
                with pytest.raises(InstrumentUnavailable):
                    await rig.driver.read()
            rig.twin.plug()
            assert (await rig.driver.read()).power_w == 222

    run(scenario())


def test_wrong_unit_does_not_answer(rig: CableMeterRig) -> None:
    async def scenario() -> None:
        rig.twin.unit = 2
        async with rig:
            with pytest.raises(InstrumentUnavailable):
                await rig.driver.read()

    run(scenario())


def test_second_driver_cannot_take_the_line(rig: CableMeterRig) -> None:
    async def scenario() -> None:
        async with rig:
            await rig.driver.read()
            second = ModbusMeter(rig.settings, rig.clock)
            with pytest.raises(InstrumentUnavailable):
                await second.read()
            await second.close()

    run(scenario())


def test_closing_wakes_who_waits_and_is_for_good(rig: CableMeterRig) -> None:
    async def scenario() -> None:
        async with rig:
            await rig.driver.read()
            rig.twin.faults.drop = 1
            waiting = asyncio.create_task(rig.driver.read())
            await rig.clock.settle()
            await rig.driver.close()
            with pytest.raises(InstrumentUnavailable):
                await waiting
            await rig.driver.close()
            with pytest.raises(InstrumentUnavailable):
                await rig.driver.read()

    run(scenario())
