"""A cable that reconnects too often is held off; the others are not, and it comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import grpc
import pytest

from gridcord.chassis.failures import Failure, failure_of
from tests.integration.manager.conftest import ManagerProcess, running_manager
from tests.integration.manager.recording import WITHIN_S, RecordingCable, past_period

MOST = 2
WITHIN_REAL_S = 3.0


@pytest.fixture(scope="module")
def manager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ManagerProcess]:
    """A manager that takes few sessions of a cable."""
    session: dict[str, object] = {"reconnects": MOST, "reconnects_within_s": WITHIN_REAL_S}
    with running_manager(tmp_path_factory.mktemp("manager"), "", session=session) as process:
        yield process


async def held_off(cable: RecordingCable) -> tuple[Failure, int]:
    """Open sessions until one is refused: with what, and how many were opened before."""
    opened = 0
    async with asyncio.timeout(WITHIN_S):
        while True:
            try:
                async with cable.session():
                    opened += 1
            except grpc.aio.AioRpcError as error:
                return failure_of(error), opened


def test_a_flapping_cable_waits_its_turn_and_loses_nothing(manager: ManagerProcess) -> None:
    async def scenario() -> None:
        flapping, calm = RecordingCable(manager), RecordingCable(manager)
        failure, opened = await held_off(flapping)
        assert opened >= MOST
        assert failure.code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert failure.reason == "RECONNECT_TOO_OFTEN"
        assert 0 <= float(failure.metadata["retry_after_s"]) <= WITHIN_REAL_S
        await calm.deliver([calm.counted(past_period(), discharged_wh=1)])

        record = flapping.counted(past_period(), discharged_wh=1)
        async with asyncio.timeout(WITHIN_S):
            while not flapping.sequence:
                try:
                    await flapping.deliver([record])
                except grpc.aio.AioRpcError:
                    await asyncio.sleep(0.1)
        assert flapping.sequence == 1

    asyncio.run(scenario())


def test_two_of_one_name_are_held_off_together(manager: ManagerProcess) -> None:
    """A cloned identity cannot keep the manager busy: both share the limit of their name."""

    async def scenario() -> None:
        one = RecordingCable(manager)
        other = RecordingCable(manager)
        other.name, other._files = one.name, one._files
        told = await asyncio.gather(held_off(one), held_off(other))
        assert {failure.reason for failure, _ in told} <= {
            "RECONNECT_TOO_OFTEN",
            "SESSION_SUPERSEDED",
        }
        failure, _ = await held_off(other)
        assert failure.reason == "RECONNECT_TOO_OFTEN"

    asyncio.run(scenario())
