"""What every contactor promises (`cable_node.ports.Contactor`), on the simulated RAPI board."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from cable_node.ports import InstrumentUnavailable
from cable_node.reverse_power import ReversePowerTrip
from gridcord.metering.reading import Permission
from gridcord.protocols.rapi import EvseState
from tests.contract.instruments.rigs import STRICT, TIMEOUT_S, ContactorRig, run

pytestmark = STRICT


@pytest.fixture
def rig(tmp_path: Path) -> ContactorRig:
    return ContactorRig(tmp_path)


@pytest.mark.parametrize("permission", list(Permission))
def test_it_closes_for_any_permission_but_none(rig: ContactorRig, permission: Permission) -> None:
    async def scenario() -> None:
        async with rig:
            await rig.driver.command(permission)
            await rig.driver.command(permission)
            state = await rig.driver.state()
            assert state.closed is rig.twin.closed is (permission is not Permission.NONE)
            assert state.vehicle_present
            assert state.fault is None

    run(scenario())


def test_it_is_open_before_anything_was_permitted(rig: ContactorRig) -> None:
    """A board wakes enabled; the first word with it puts it to sleep."""

    async def scenario() -> None:
        async with rig:
            assert rig.twin.closed
            assert not (await rig.driver.state()).closed
            assert not rig.twin.closed

    run(scenario())


def test_vehicle_decides_when_it_closes(rig: ContactorRig) -> None:
    async def scenario() -> None:
        rig.source.is_ready = False
        async with rig:
            await rig.driver.command(Permission.BIDIRECTIONAL)
            assert not (await rig.driver.state()).closed
            rig.source.is_ready = True
            await rig.clock.advance(1)
            assert (await rig.driver.state()).closed
            rig.source.is_connected = False
            await rig.clock.advance(1)
            state = await rig.driver.state()
            assert (state.closed, state.vehicle_present) == (False, False)

    run(scenario())


def test_fault_of_the_board_is_told(rig: ContactorRig) -> None:
    async def scenario() -> None:
        async with rig:
            await rig.driver.command(Permission.BIDIRECTIONAL)
            rig.twin.fault = EvseState.STUCK_RELAY
            await rig.clock.advance(1)
            state = await rig.driver.state()
            assert (state.closed, state.fault) == (False, "STUCK_RELAY")

    run(scenario())


def test_heartbeat_keeps_the_watchdog_quiet(rig: ContactorRig) -> None:
    async def scenario() -> None:
        async with rig:
            await rig.driver.command(Permission.BIDIRECTIONAL)
            for _ in range(5):
                await rig.clock.advance(25)
                assert await rig.driver.heartbeat()
            assert rig.twin.offered_a == 32

    run(scenario())


def test_silence_limits_the_current_until_we_are_back(rig: ContactorRig) -> None:
    async def scenario() -> None:
        async with rig:
            await rig.driver.command(Permission.BIDIRECTIONAL)
            await rig.clock.advance(31)
            assert rig.twin.offered_a == 6
            assert (await rig.driver.state()).current_limit_a == 6
            assert not await rig.driver.heartbeat()
            assert rig.twin.offered_a == 32
            assert await rig.driver.heartbeat()

    run(scenario())


@pytest.mark.parametrize("permission", [Permission.NONE, Permission.CHARGE_ONLY])
def test_restarted_board_is_told_again_what_holds(
    rig: ContactorRig, permission: Permission
) -> None:
    async def scenario() -> None:
        async with rig:
            await rig.driver.command(permission)
            rig.twin.restart()
            assert rig.twin.closed
            assert not await rig.driver.heartbeat()
            assert rig.twin.closed is (permission is not Permission.NONE)
            assert rig.twin.interval_s == 30
            assert await rig.driver.heartbeat()

    run(scenario())


@pytest.mark.parametrize("knob", ["drop", "corrupt", "truncate"])
def test_one_bad_answer_costs_a_repetition(rig: ContactorRig, knob: str) -> None:
    async def scenario() -> None:
        async with rig:
            await rig.driver.state()
            setattr(rig.twin.faults, knob, 1)
            rig.twin.faults.fragment = 3
            await rig.driver.command(Permission.BIDIRECTIONAL)
            assert rig.twin.closed

    run(scenario())


def test_late_answer_is_not_taken_for_the_next_command(rig: ContactorRig) -> None:
    """It tells of a closed contactor that has opened since."""

    async def scenario() -> None:
        async with rig:
            await rig.driver.command(Permission.BIDIRECTIONAL)
            rig.twin.faults.late, rig.twin.faults.late_s = 1, TIMEOUT_S * 1.4
            asking = asyncio.create_task(rig.driver.state())
            await asyncio.sleep(TIMEOUT_S / 2)
            rig.source.is_connected = False
            assert not (await asking).closed
            await asyncio.sleep(TIMEOUT_S)  # the late answer waits to be read
            assert not (await rig.driver.state()).closed

    run(scenario())


def test_unplugged_and_plugged_in_again(rig: ContactorRig) -> None:
    async def scenario() -> None:
        async with rig:
            await rig.driver.command(Permission.BIDIRECTIONAL)
            rig.twin.unplug()
            for _ in range(2):
                with pytest.raises(InstrumentUnavailable):
                    await rig.driver.state()
            rig.twin.plug()
            rig.twin.restart()
            assert (await rig.driver.state()).closed
            assert rig.twin.interval_s == 30

    run(scenario())


def test_permission_taken_away_while_unplugged_holds_when_it_is_back(rig: ContactorRig) -> None:
    async def scenario() -> None:
        async with rig:
            await rig.driver.command(Permission.BIDIRECTIONAL)
            rig.twin.unplug()
            with pytest.raises(InstrumentUnavailable):
                await rig.driver.command(Permission.NONE)
            rig.twin.plug()
            assert rig.twin.closed
            assert not (await rig.driver.state()).closed

    run(scenario())


def test_silent_board_is_unavailable(rig: ContactorRig) -> None:
    async def scenario() -> None:
        rig.twin.faults.drop = 10
        async with rig:
            with pytest.raises(InstrumentUnavailable):
                await rig.driver.state()
            rig.twin.faults.drop = 0
            assert not (await rig.driver.state()).closed
            assert rig.twin.interval_s == 30

    run(scenario())


def test_closing_the_driver_opens_the_contactor(rig: ContactorRig) -> None:
    async def scenario() -> None:
        async with rig:
            await rig.driver.command(Permission.BIDIRECTIONAL)
            assert rig.twin.closed
            await rig.driver.close()
            assert not rig.twin.closed
            await rig.driver.close()
            with pytest.raises(InstrumentUnavailable):
                await rig.driver.state()

    run(scenario())


def test_charge_only_is_kept_by_the_trip(rig: ContactorRig) -> None:
    """What the cable node does: watch the power, open on reverse power, stay open."""

    async def scenario() -> None:
        trip = ReversePowerTrip()
        async with rig:
            await rig.driver.command(Permission.CHARGE_ONLY)
            for power_w in (3000, 3000, -2500, -2500, -2500, 0, 0):
                await rig.clock.advance(1)
                trip = trip.observe(at_s=rig.clock.monotonic(), power_w=power_w)
                if trip.tripped:
                    await rig.driver.command(Permission.NONE)
            assert not rig.twin.closed

    run(scenario())
