"""Requests that say nothing, or anything: every answer is sensible or names what is wrong."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc.error_details_pb2 import BadRequest
from grpc_status import rpc_status

from gridcord.chassis.failures import failure_of
from gridcord.chassis.identity import Kind, Role
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
EXPECTED = {
    grpc.StatusCode.OK,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.ALREADY_EXISTS,
    grpc.StatusCode.FAILED_PRECONDITION,
}


async def ask(
    channel: grpc.aio.Channel, method: MethodDescriptor, request: Message
) -> grpc.aio.AioRpcError | None:
    """Call a method; None when it answered."""
    stub: Any = channel.unary_unary(f"/{method.containing_service.full_name}/{method.name}")
    try:
        await asyncio.wait_for(stub(request.SerializeToString()), WITHIN_S)
    except grpc.aio.AioRpcError as error:
        return error
    return None


def violated(error: grpc.aio.AioRpcError) -> list[str]:
    """The fields of the request that an answer says cannot be used."""
    status = rpc_status.from_call(error)  # type: ignore[arg-type]
    assert status is not None
    found = BadRequest()
    for detail in status.details:
        if detail.Unpack(found):
            return [each.field for each in found.field_violations]
    return []


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_a_request_that_says_nothing(manager: ManagerProcess, method: MethodDescriptor) -> None:
    """A read answers with everything; what needs something says which field it needs."""
    request = GetMessageClass(method.input_type)()

    async def scenario() -> None:
        async with manager.channel(manager.identity(Kind.OPERATOR, "nobody", Role.ADMIN)) as link:
            error = await ask(link, method, request)
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


class Chance:
    """Fills messages with what strangers, broken tools and attackers send."""

    def __init__(self, seed: int, texts: list[str], true: dict[str, Any]) -> None:
        self._random = random.Random(seed)
        self._texts = texts
        self._true = true  # so that some requests get past the first check

    def message(self, kind: Any) -> Message:
        """A message whose fields hold anything that their types can hold."""
        made: Message = GetMessageClass(kind)()
        for field in kind.fields:
            if self._random.random() < 0.7:
                self._fill(made, field)
        return made

    def _fill(self, made: Message, field: FieldDescriptor) -> None:
        if field.message_type is None:
            value = self._value(field)
            if field.is_repeated:
                getattr(made, field.name).extend([value] * self._random.choice((1, 50)))
            else:
                setattr(made, field.name, value)
        elif field.is_repeated:
            getattr(made, field.name).append(self.message(field.message_type))
        else:
            getattr(made, field.name).CopyFrom(self.message(field.message_type))

    def _value(self, field: FieldDescriptor) -> Any:
        pick = self._random.choice
        if field.name in self._true and self._random.random() < 0.5:
            return self._true[field.name]
        match field.cpp_type:
            case FieldDescriptor.CPPTYPE_STRING if field.type == FieldDescriptor.TYPE_BYTES:
                return pick((b"", b"\x00\xff", b"x" * 5_000))
            case FieldDescriptor.CPPTYPE_STRING:
                return pick(self._texts)
            case FieldDescriptor.CPPTYPE_BOOL:
                return pick((True, False))
            case FieldDescriptor.CPPTYPE_ENUM:
                return pick((0, 1, 2, 3, 99, -1))
            case FieldDescriptor.CPPTYPE_DOUBLE | FieldDescriptor.CPPTYPE_FLOAT:
                return pick((0.0, -1.0, float("nan"), float("inf"), 1e300))
            case FieldDescriptor.CPPTYPE_INT32:
                return pick((0, 1, 7, 1_000, 1_001, -1, 2**31 - 1, -(2**31)))
            case FieldDescriptor.CPPTYPE_UINT32:
                return pick((0, 1, 1_000, 2**32 - 1))
            case FieldDescriptor.CPPTYPE_UINT64:
                return pick((0, 1, 2**64 - 1))
        return pick((0, 1, 1_795_000_000, -1, 2**63 - 1, -(2**63)))


def texts(cable: RecordingCable) -> Iterator[str]:
    """What is put where a text is asked for."""
    yield from ("", "0", "7", "-1", "9" * 18, "9" * 19, "9" * 400, "1/2", "1/", "/", "1/x/2", "¹²")
    yield from ("a\x00b", "\x00", "\N{SNOWMAN}" * 3_000, "x" * 9_000, "'; DROP TABLE audit; --")
    yield from ("obis:4530303033", "%", "_", "..", "\u202e", "1e9", " ", "\n", "not a uuid")
    yield from ("1/a\x00b/1", f"1/{cable.name}/1", "because of a test")


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
        chance = Chance(SEED, list(texts(cable)), true)
        wanted = iter(range(REQUESTS))
        async with manager.channel(manager.identity(Kind.OPERATOR, "chance", Role.ADMIN)) as link:

            async def keep_asking() -> None:
                for number in wanted:
                    method = METHODS[number % len(METHODS)]
                    request = chance.message(method.input_type)
                    error = await ask(link, method, request)
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
