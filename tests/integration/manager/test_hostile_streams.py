"""Cables and controllers that send anything: a stream ends with a reason, never with a bug."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message

from gridcord.api.manager.v1 import cable_session_service_pb2 as cable_pb
from gridcord.api.manager.v1 import resource_session_service_pb2 as resource_pb
from gridcord.chassis.failures import failure_of
from gridcord.chassis.identity import Kind
from tests.integration.chance import EXPECTED, Chance, ask
from tests.integration.manager.conftest import ManagerProcess, running_manager
from tests.integration.manager.recording import (
    WITHIN_S,
    RecordingCable,
    eventually,
    listed,
    past_period,
    tools,
)
from tests.integration.manager.test_authorization import assert_tells_nothing

STREAMS = 240
AT_ONCE = 8
FRAMES = 4
SEED = 20_261_124
ENDS = EXPECTED | {
    grpc.StatusCode.PERMISSION_DENIED,  # another's id
    grpc.StatusCode.ABORTED,  # another stream of the same name took over
}

BUGS = {"rpc.broken", "session.broken", "task.failed", "entries.not_projected"}

CONNECT = cable_pb.DESCRIPTOR.services_by_name["CableSessionService"].methods_by_name["Connect"]
DISPATCH = resource_pb.DESCRIPTOR.services_by_name["ResourceSessionService"].methods_by_name[
    "Dispatch"
]
Frames = Callable[[], list[Message]]


@pytest.fixture(scope="module")
def manager(
    module_database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ManagerProcess]:
    """A manager that takes as many sessions of a cable as there are."""
    session: dict[str, object] = {"reconnects": 1_000_000}
    folder = tmp_path_factory.mktemp("manager")
    with running_manager(folder, module_database_url, session=session) as process:
        yield process


async def send(link: grpc.aio.Channel, method: Any, frames: Frames) -> None:
    """Open many streams, and see what each is told."""
    numbers = iter(range(STREAMS))

    async def keep_sending() -> None:
        for _ in numbers:
            sent = frames()
            error = await ask(link, method, sent, within_s=WITHIN_S)
            if error is None:
                continue
            assert error.code() in ENDS, (sent, error)
            assert_tells_nothing(failure_of(error))

    async with asyncio.TaskGroup() as tasks:
        for _ in range(AT_ONCE):
            tasks.create_task(keep_sending())


def one_of(chance: Chance, kind: Any, names: list[str]) -> Message:
    """A frame with one of its members set."""
    name = chance.random.choice(names)
    made: Message = kind()
    field = made.DESCRIPTOR.fields_by_name[name]
    getattr(made, name).CopyFrom(chance.message(field.message_type))
    return made


def test_cables_may_say_anything_and_the_honest_are_served(manager: ManagerProcess) -> None:
    async def scenario() -> None:
        cable, honest = RecordingCable(manager), RecordingCable(manager)
        hello = cable.introduction().hello
        true = {field.name: getattr(hello, field.name) for field, _ in hello.ListFields()}
        texts_and_numbers = {
            name: value for name, value in true.items() if not isinstance(value, Message)
        }
        chance = Chance(SEED, texts_and_numbers)
        kinds = ["hello", "entry", "entries", "observed"]

        def frames() -> list[Message]:
            first: list[Message] = [cable.introduction()] if chance.random.random() < 0.5 else []
            return first + [one_of(chance, cable_pb.ConnectRequest, kinds) for _ in range(FRAMES)]

        async with manager.channel(manager.identity(Kind.CABLE, cable.name)) as link:
            await send(link, CONNECT, frames)
        await honest.deliver([honest.counted(past_period(), discharged_wh=100)])
        async with tools(manager) as client:
            await eventually(
                lambda: listed(client.transfers(cable_id=honest.name)),
                lambda found: len(found) == 1,
            )

    asyncio.run(scenario())
    assert {"INVALID_ARGUMENT", "PERMISSION_DENIED"} <= set(ends(manager, "/Connect"))


def test_controllers_may_say_anything(manager: ManagerProcess) -> None:
    async def scenario() -> None:
        true = {"resource_id": "vehicle-7", "kind": 1, "capacity_wh": 60_000, "power_w": 100}
        chance = Chance(SEED, true)
        kinds = [field.name for field in resource_pb.DispatchRequest.DESCRIPTOR.fields]

        def frames() -> list[Message]:
            hello = resource_pb.ResourceHello(
                kind=resource_pb.RESOURCE_KIND_VEHICLE, capacity_wh=60_000
            )
            good = resource_pb.DispatchRequest(hello=hello)
            first: list[Message] = [good] if chance.random.random() < 0.5 else []
            return first + [
                one_of(chance, resource_pb.DispatchRequest, kinds) for _ in range(FRAMES)
            ]

        async with manager.channel(manager.identity(Kind.RESOURCE, "vehicle-7")) as link:
            await send(link, DISPATCH, frames)

    asyncio.run(scenario())
    assert {"INVALID_ARGUMENT", "PERMISSION_DENIED"} <= set(ends(manager, "/Dispatch"))


def ends(manager: ManagerProcess, method: str) -> Counter[str]:
    """How the manager says that the calls of a method ended; none by a bug, and nothing broke."""
    told = [json.loads(line) for line in manager.program.log.read_text().splitlines()]
    broken = [each for each in told if each["event"] in BUGS or "exception" in each]
    assert broken == []
    found: Counter[str] = Counter(
        each["status"]
        for each in told
        if each["event"] == "rpc.ended" and each["method"].endswith(method)
    )
    assert found.total() >= STREAMS - AT_ONCE  # the last lines may still be on their way
    assert found.keys() <= {code.name for code in ENDS} | {"CANCELLED"}
    return found
