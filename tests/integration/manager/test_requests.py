"""Requests that say nothing, or anything: every answer is sensible or names what is wrong."""

from __future__ import annotations

import asyncio
from collections import Counter

import grpc
import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message_factory import GetMessageClass

from gridcord.chassis.failures import failure_of
from gridcord.chassis.identity import Kind, Role
from tests.integration.chance import EXPECTED, Chance, ask, violated
from tests.integration.manager.conftest import ManagerProcess
from tests.integration.manager.recording import WITHIN_S, RecordingCable, past_period
from tests.integration.manager.test_authorization import (
    MANAGER_FILES,
    assert_tells_nothing,
    services,
)

REQUESTS = 2_400
AT_ONCE = 8  # a connection takes 16
SEED = 20_261_123

METHODS: list[MethodDescriptor] = [
    method
    for service in services(MANAGER_FILES)
    for method in service.methods
    if not method.client_streaming and not method.server_streaming
]


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_a_request_that_says_nothing(manager: ManagerProcess, method: MethodDescriptor) -> None:
    """A read answers with everything; what needs something says which field it needs."""
    request = GetMessageClass(method.input_type)()

    async def scenario() -> None:
        async with manager.channel(manager.identity(Kind.OPERATOR, "nobody", Role.ADMIN)) as link:
            error = await ask(link, method, [request], within_s=WITHIN_S)
        if method.name.startswith("List"):
            assert error is None
            return
        assert error is not None
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        fields = violated(error)
        assert len(fields) == 1
        assert fields[0] in method.input_type.fields_by_name
        assert_tells_nothing(failure_of(error))

    asyncio.run(scenario())


def test_whatever_is_asked_the_answer_is_no_surprise(manager: ManagerProcess) -> None:
    """Random fields, thousands of times: never INTERNAL, never UNKNOWN, never a dropped call."""
    told: Counter[tuple[str, grpc.StatusCode]] = Counter()

    async def scenario() -> None:
        cable = RecordingCable(manager)
        await cable.deliver([cable.counted(past_period(), discharged_wh=100)])
        true = {
            "site_id": cable.site_id,
            "cable_id": cable.name,
            "driver_id": cable.driver_id,
            "permission": 1,
            "page_size": 10,
            "page_token": "",
        }
        chance = Chance(SEED, true)
        wanted = iter(range(REQUESTS))
        async with manager.channel(manager.identity(Kind.OPERATOR, "chance", Role.ADMIN)) as link:

            async def keep_asking() -> None:
                for number in wanted:
                    method = METHODS[number % len(METHODS)]
                    request = chance.message(method.input_type)
                    error = await ask(link, method, [request], within_s=WITHIN_S)
                    code = grpc.StatusCode.OK if error is None else error.code()
                    told[method.name, code] += 1
                    assert code in EXPECTED, (method.name, request, error)
                    if error is not None:
                        assert_tells_nothing(failure_of(error))

            async with asyncio.TaskGroup() as tasks:
                for _ in range(AT_ONCE):
                    tasks.create_task(keep_asking())

    asyncio.run(scenario())
    assert sum(told.values()) == REQUESTS
    reads = {method.name for method in METHODS if method.name.startswith("List")}
    assert reads <= {name for name, code in told if code is grpc.StatusCode.OK}
    assert "rpc.broken" not in manager.program.log.read_text()
