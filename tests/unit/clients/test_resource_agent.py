"""The agent of a battery or station: what it tells, what it says to its device, how it rests."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace

import grpc
import pytest
from structlog.testing import capture_logs

from gridcord.clients.resource_agent import OwnerLimits, ResourceAgent
from gridcord.clients.sunspec_device import DeviceUnavailable
from gridcord.protocols.sunspec import DeviceState
from gridcord.testing.clock import ManualClock
from gridcord.wire.resource import DepartureNeed, ResourceIntroduction, ResourceKind, Telemetry

STATE = DeviceState(
    is_ready=True, power_w=-700, charge_limit_w=5000, discharge_limit_w=4000, soc_percent=50.0
)


@dataclass
class FakeDevice:
    """A device that notes what it is told."""

    state: DeviceState = STATE
    absent: bool = False
    failures: int = 0
    told: list[int] = field(default_factory=list)
    closed: bool = False

    async def read(self) -> DeviceState:
        if self.absent:
            raise DeviceUnavailable("no answer")
        return self.state

    async def set_power(self, power_w: int) -> None:
        if self.absent or self.failures:
            self.failures = max(0, self.failures - 1)
            raise DeviceUnavailable("no answer")
        self.told.append(power_w)

    async def close(self) -> None:
        self.closed = True


def make(
    device: FakeDevice,
    *,
    kind: ResourceKind = ResourceKind.BATTERY,
    limits: OwnerLimits | None = None,
    reserve_percent: float = 20.0,
) -> ResourceAgent:
    """An agent whose manager is nowhere."""
    return ResourceAgent(
        device=device,
        introduction=ResourceIntroduction(
            resource_id="battery-1",
            kind=kind,
            capacity_wh=10_000,
            need=DepartureNeed(reserve_percent=reserve_percent),
        ),
        connect=lambda: grpc.aio.insecure_channel("unix:/nowhere/at/all"),
        clock=ManualClock(),
        limits=limits or OwnerLimits(),
        every_s=0.01,
        note_fence=lambda _fence: None,
    )


def while_running(agent: ResourceAgent, story: Callable[[], Awaitable[None]]) -> None:
    async def run() -> None:
        running = asyncio.ensure_future(agent.run())
        try:
            await story()
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running

    asyncio.run(run())


async def eventually(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not holds():  # noqa: ASYNC110  the agent has no event for it
            await asyncio.sleep(0.005)


def told(agent: ResourceAgent, device: FakeDevice) -> Telemetry:
    """Its telemetry once it has seen the device."""
    while_running(agent, lambda: eventually(lambda: len(device.told) > 1))
    return agent.telemetry()


def test_a_battery_tells_what_it_can() -> None:
    device = FakeDevice()
    now = told(make(device), device)
    assert (now.power_w, now.soc_percent, now.transfer_permitted) == (-700, 50.0, True)
    assert (now.charge_limit_w, now.discharge_limit_w) == (5000, 4000)


@pytest.mark.parametrize(
    ("soc_percent", "limits"),
    [(100.0, (0, 4000)), (20.0, (5000, 0)), (20.1, (5000, 4000)), (0.0, (5000, 0))],
)
def test_a_full_one_does_not_charge_and_the_reserve_is_kept(
    soc_percent: float, limits: tuple[int, int]
) -> None:
    device = FakeDevice(replace(STATE, soc_percent=soc_percent))
    now = told(make(device), device)
    assert (now.charge_limit_w, now.discharge_limit_w) == limits


def test_what_the_owner_allows_comes_before_what_the_device_could() -> None:
    device = FakeDevice()
    now = told(make(device, limits=OwnerLimits(charge_w=3000, discharge_w=0)), device)
    assert (now.charge_limit_w, now.discharge_limit_w, now.transfer_permitted) == (3000, 0, True)
    device = FakeDevice()
    assert not told(make(device, limits=OwnerLimits(is_permitted=False)), device).transfer_permitted


@pytest.mark.parametrize("soc_percent", [None, 80.0])
def test_a_station_only_charges(soc_percent: float | None) -> None:
    device = FakeDevice(replace(STATE, soc_percent=soc_percent))
    now = told(make(device, kind=ResourceKind.STATION), device)
    assert (now.charge_limit_w, now.discharge_limit_w) == (5000, 0)
    assert now.soc_percent == (soc_percent or 0.0)


def test_a_device_that_is_not_ready_or_does_not_answer_permits_nothing() -> None:
    device = FakeDevice(replace(STATE, is_ready=False))
    assert not told(make(device), device).transfer_permitted
    device = FakeDevice()
    agent = make(device)

    async def story() -> None:
        await eventually(lambda: agent.telemetry().transfer_permitted)
        device.absent = True
        await eventually(lambda: not agent.telemetry().transfer_permitted)
        assert agent.telemetry().soc_percent == 50.0  # the last that was known
        device.absent = False
        await eventually(lambda: agent.telemetry().transfer_permitted)

    while_running(agent, story)


def test_a_device_that_is_away_is_told_of_once() -> None:
    device = FakeDevice(absent=True)
    agent = make(device)

    async def story() -> None:
        for _ in range(20):  # several tries of both
            await asyncio.sleep(0.01)
        device.absent = False
        await eventually(lambda: len(device.told) > 1)

    with capture_logs() as logs:
        while_running(agent, story)
    events = [entry["event"] for entry in logs]
    assert events.count("device.not_steered") == events.count("device.unavailable") == 1
    assert events.count("device.back") == 2


def test_without_a_manager_the_device_is_held_at_nothing_again_and_again() -> None:
    device = FakeDevice()
    while_running(make(device), lambda: eventually(lambda: len(device.told) > 5))
    assert set(device.told) == {0}
    assert device.closed


def test_the_last_word_is_said_again_when_it_was_not_heard() -> None:
    device = FakeDevice()
    agent = make(device)

    async def story() -> None:
        await eventually(lambda: bool(device.told))
        device.told.clear()
        device.failures = 2

    while_running(agent, story)
    assert device.told[-1] == 0
    assert device.closed


def test_an_agent_that_rests_cannot_be_moved() -> None:
    device = FakeDevice()
    agent = make(device)

    async def story() -> None:
        await agent.rest()
        device.told.clear()
        agent._want(2000)
        await agent.rest()

    asyncio.run(story())
    assert device.told == []


def test_a_rest_that_was_cut_short_is_begun_anew() -> None:
    device = FakeDevice(failures=3)
    agent = make(device)

    async def story() -> None:
        await agent.rest()  # heard by nobody
        assert device.told == []
        await agent.rest()

    asyncio.run(story())
    assert device.told == [0]
