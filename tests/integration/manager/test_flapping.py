"""A cable that reconnects too often is held off; the others are not, and it comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import grpc
import pytest

from tests.integration.manager.conftest import ManagerProcess, running_manager
from tests.integration.manager.recording import WITHIN_S, RecordingCable, past_period, refused

MOST = 3
WITHIN_REAL_S = 8.0


@pytest.fixture(scope="module")
def manager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ManagerProcess]:
    """A manager that takes few sessions of a cable."""
    session: dict[str, object] = {"reconnects": MOST, "reconnects_within_s": WITHIN_REAL_S}
    with running_manager(tmp_path_factory.mktemp("manager"), "", session=session) as process:
        yield process


def test_a_flapping_cable_waits_its_turn_and_loses_nothing(manager: ManagerProcess) -> None:
    async def scenario() -> None:
        flapping, calm = RecordingCable(manager), RecordingCable(manager)
        for number in range(MOST):
            await flapping.deliver([flapping.counted(past_period(number), discharged_wh=1)])
        async with flapping.stream() as call:
            await call.write(flapping.introduction())
            failure = await refused(call.read())
        assert failure.code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert failure.reason == "RECONNECT_TOO_OFTEN"
        assert 0 <= float(failure.metadata["retry_after_s"]) <= WITHIN_REAL_S
        await calm.deliver([calm.counted(past_period(), discharged_wh=1)])

        last = flapping.counted(past_period(MOST), discharged_wh=1)
        async with asyncio.timeout(WITHIN_S):
            while True:
                try:
                    await flapping.deliver([last])
                    break
                except grpc.aio.AioRpcError:
                    await asyncio.sleep(0.2)
        assert flapping.sequence == MOST + 1

    asyncio.run(scenario())


def test_two_that_take_over_from_each_other_are_held_off_together(manager: ManagerProcess) -> None:
    """A cloned identity cannot keep the manager busy: both share the limit of their name."""

    async def scenario() -> None:
        twins = RecordingCable(manager)
        reasons: set[str] = set()
        for _ in range(2 * MOST):
            async with twins.stream() as one:
                await one.write(twins.introduction())
                try:
                    await asyncio.wait_for(one.read(), WITHIN_S)
                except grpc.aio.AioRpcError as error:
                    reasons.add(error.code().name)
        assert reasons == {"RESOURCE_EXHAUSTED"}

    asyncio.run(scenario())
