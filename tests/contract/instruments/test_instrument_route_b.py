"""What a route-B meter and its radio do beside the ordinary, and that the driver lives with it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from cable_node.drivers.route_b import RouteB
from cable_node.drivers.route_b_session import RouteBCredentials
from cable_node.ports import InstrumentUnavailable
from gridcord.metering.reading import Registers
from gridcord.protocols import echonet_energy
from gridcord.protocols.echonet import Property, Service
from gridcord.protocols.echonet_energy import FixedTime, LocalTime
from gridcord.simulation.instruments.route_b_meter import MeterPlate
from tests.contract.instruments.rigs import START_S, STRICT, RouteBRig, listening, run

pytestmark = STRICT

HALF_HOUR_S = 1800
Told = asyncio.Queue[Registers | Exception]


@pytest.fixture
def rig(tmp_path: Path) -> RouteBRig:
    return RouteBRig(tmp_path)


@contextlib.asynccontextmanager
async def reading_of(rig: RouteBRig) -> AsyncGenerator[Told, None]:
    """The driver reads, and the first half hour has been told."""
    async with rig, listening(rig.driver.readings()) as told:
        assert (await next_of(told)).at_s == START_S
        yield told


async def next_of(told: Told) -> Registers:
    reading = await asyncio.wait_for(told.get(), 30)
    assert isinstance(reading, Registers), reading
    return reading


def fixed_time(count: int) -> bytes:
    """A value at the half hour after START_S (17:30 in Japan)."""
    time = LocalTime(year=2027, month=1, day=15, hour=17, minute=30)
    return FixedTime(time=time, count=count).encode()


def test_confirmed_announcements_are_confirmed(rig: RouteBRig) -> None:
    async def scenario() -> None:
        rig.meter.confirmed = True
        async with reading_of(rig) as told:
            await rig.next_telling()
            assert (await next_of(told)).at_s == START_S + HALF_HOUR_S
        (confirmation,) = rig.meter.confirmations
        assert confirmation.encode().hex() == "1081000105ff010288017a02ea00eb00"

    run(scenario())


def test_directions_may_be_announced_one_by_one(rig: RouteBRig) -> None:
    async def scenario() -> None:
        rig.meter.announces = False
        async with reading_of(rig) as told:
            rig.meter.tell(Service.INF, (Property(0xEA, fixed_time(17_900)),))
            rig.meter.tell(Service.INF, (Property(0xEA, fixed_time(17_900)[:8]),))
            rig.meter.tell(Service.INF, (Property(0xEB, fixed_time(23)),))
            reading = await next_of(told)
            assert reading == Registers(
                at_s=START_S + HALF_HOUR_S, import_wh=1_790_000, export_wh=2_300, step_wh=100
            )
            assert told.empty()

    run(scenario())


def test_what_is_not_announced_is_asked_for_after_six_minutes(rig: RouteBRig) -> None:
    async def scenario() -> None:
        rig.meter.announces = False
        async with reading_of(rig) as told:
            await rig.clock.advance(HALF_HOUR_S + 359)
            await asyncio.sleep(0.3)
            assert told.empty()
            await rig.clock.advance(1)
            assert (await next_of(told)).at_s == START_S + HALF_HOUR_S

    run(scenario())


def test_session_ended_by_the_meter_is_noticed_and_another_one_opened(rig: RouteBRig) -> None:
    async def scenario() -> None:
        async with rig:
            assert (await rig.driver.power()).power_w == -1962
            rig.adapter.end_session()
            await rig.clock.advance(30)
            with pytest.raises(InstrumentUnavailable):
                await rig.driver.power()
            await rig.clock.advance(30)
            assert (await rig.driver.power()).power_w == -1962
            joins = [c for c in rig.adapter.commands if c.startswith("SKJOIN")]
            assert len(joins) == 2

    run(scenario())


def test_session_whose_lifetime_is_over_goes_on(rig: RouteBRig) -> None:
    async def scenario() -> None:
        async with rig:
            await rig.driver.power()
            await rig.adapter.expire_session()
            await rig.clock.advance(30)
            assert (await rig.driver.power()).power_w == -1962
            joins = [c for c in rig.adapter.commands if c.startswith("SKJOIN")]
            assert len(joins) == 1

    run(scenario())


def test_request_waits_while_the_radio_law_forbids(rig: RouteBRig) -> None:
    async def scenario() -> None:
        async with rig:
            await rig.driver.power()
            rig.adapter.limit_airtime(limited=True)
            await asyncio.sleep(0.2)
            await rig.clock.advance(30)
            asking = asyncio.create_task(rig.driver.power())
            await asyncio.sleep(0.5)
            assert not asking.done()
            rig.adapter.limit_airtime(limited=False)
            assert (await asking).power_w == -1962

    run(scenario())


def test_powers_keep_their_distance(rig: RouteBRig) -> None:
    async def scenario() -> None:
        async with rig:
            await rig.driver.power()
            asking = asyncio.create_task(rig.driver.power())
            await rig.clock.advance(29.9)
            assert not asking.done()
            await rig.clock.advance(0.1)
            assert (await asking).power_w == -1962

    run(scenario())


def test_poor_reception_and_odd_modules_are_lived_with(rig: RouteBRig) -> None:
    async def scenario() -> None:
        rig.adapter.scan_failures = rig.adapter.join_failures = 1
        rig.adapter.ascii_data = False
        async with rig:
            assert (await rig.driver.power()).power_w == -1962
            assert rig.adapter.option_writes == 1

    run(scenario())


def test_module_without_options_is_lived_with(rig: RouteBRig) -> None:
    async def scenario() -> None:
        rig.adapter.has_ropt = False
        async with rig:
            assert (await rig.driver.power()).power_w == -1962

    run(scenario())


@pytest.mark.parametrize(
    "wrong",
    [
        {"route_b_id": "F" * 32, "password": "0123456789AB"},
        {"route_b_id": "00112233445566778899AABBCCDDEEFF", "password": "wrongwrong00"},
    ],
    ids=["id", "password"],
)
def test_wrong_credentials_find_no_meter(rig: RouteBRig, wrong: dict[str, str]) -> None:
    async def scenario() -> None:
        rig.credentials = RouteBCredentials.from_mapping(wrong)
        async with rig:
            with pytest.raises(InstrumentUnavailable):
                await rig.driver.identify()

    run(scenario())


def test_meter_that_is_taken_admits_nobody_else(rig: RouteBRig) -> None:
    """A house whose energy manager holds the one session."""

    async def scenario() -> None:
        assert rig.meter.join(lambda frame: None)
        async with rig:
            with pytest.raises(InstrumentUnavailable):
                await rig.driver.identify()

    run(scenario())


def test_second_generation_meter(tmp_path: Path) -> None:
    """Identity C0, 1 Wh counts, no coefficient."""

    async def scenario() -> None:
        plate = MeterPlate(
            domain_id=bytes.fromhex("fe000016303132333435363738393a3b"),
            unit=0x03,
            coefficient=None,
            digits=8,
        )
        rig = RouteBRig(tmp_path, plate)
        async with rig:
            identity = await rig.driver.identify()
            assert (identity.site_id, *identity.aliases) == rig.site_ids()
            assert identity.site_id == "jp.routeb:000016303132333435363738393a3b"
            assert identity.step_wh == 1
            (reading,) = await rig.driver.history(START_S)
            assert (reading.import_wh, reading.export_wh) == (1_780_650, 2_150)

    run(scenario())


def test_meter_of_one_direction_without_short_history(rig: RouteBRig) -> None:
    async def scenario() -> None:
        rig.meter.without = {0xEB, 0xE3, 0xE4, 0xEC, 0xED, 0x98}
        for back in range(1, 60):
            rig.meter.remember(
                int(START_S) - back * HALF_HOUR_S, import_wh=1_700_000 - back, export_wh=0
            )
        async with reading_of(rig):
            assert not (await rig.driver.identify()).measures_export
            found = await rig.driver.history(START_S - 40 * HALF_HOUR_S)
            assert [reading.at_s for reading in found] == [
                START_S - back * HALF_HOUR_S for back in range(40, -1, -1)
            ]
            assert {reading.export_wh for reading in found} == {None}

    run(scenario())


def test_holes_are_filled_from_the_past(rig: RouteBRig) -> None:
    """The last day by half-day pages, days before it one by one; what is missing stays missing."""

    async def scenario() -> None:
        known = [back for back in range(1, 150) if back not in (5, 77)]
        for back in known:
            at_s = int(START_S) - back * HALF_HOUR_S
            rig.meter.remember(at_s, import_wh=1_780_600 - 100 * back, export_wh=2_100)
        async with rig:
            for reach in (20, 100):
                found = await rig.driver.history(START_S - reach * HALF_HOUR_S)
                backs = [round((START_S - reading.at_s) / HALF_HOUR_S) for reading in found]
                assert backs == [n for n in range(reach, -1, -1) if n == 0 or n in known]
                for back, reading in zip(backs[:-1], found[:-1], strict=True):
                    assert reading.import_wh == 1_780_600 - 100 * back
                    assert reading.export_wh == 2_100

    run(scenario())


def test_missing_power_is_not_zero(rig: RouteBRig) -> None:
    async def scenario() -> None:
        rig.source.watts = echonet_energy.NO_POWER
        async with rig:
            with pytest.raises(InstrumentUnavailable):
                await rig.driver.power()

    run(scenario())


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"route_b_id": "0" * 32},
        {"route_b_id": "0" * 31, "password": "0" * 12},
        {"route_b_id": "0" * 32, "password": "0" * 11},
    ],
)
def test_credentials_are_checked_and_never_shown(values: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"route-B|credentials"):
        RouteBCredentials.from_mapping(values)
    good = RouteBCredentials.from_mapping({"route_b_id": "0" * 32, "password": "secret123456"})
    assert "secret" not in repr(good)


def test_driver_is_what_the_ports_ask_for(rig: RouteBRig) -> None:
    driver = RouteB(rig.settings, rig.credentials, rig.clock)
    assert driver.power_interval_s == 30
