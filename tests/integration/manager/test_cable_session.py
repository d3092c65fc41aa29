"""A cable's session with a real manager process over mutual TLS, on both databases."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest

from gridcord.api.manager.v1 import cable_session_service_pb2 as pb
from gridcord.api.types.v1 import types_pb2
from gridcord.chassis.failures import failure_of
from gridcord.metering.records import CableEvent, CableEventKind
from tests.integration.manager.conftest import HandCable, ManagerProcess

WITHIN_S = 20


def event(number: int) -> CableEvent:
    return CableEvent(
        kind=CableEventKind.PLUGGED, at_s=1_700_000_000.0 + number, detail=f"number {number}"
    )


async def welcome(call: Any, hello: pb.ConnectRequest) -> pb.Welcome:
    await call.write(hello)
    response = await asyncio.wait_for(call.read(), WITHIN_S)
    assert response.WhichOneof("message") == "welcome"
    told: pb.Welcome = response.welcome
    return told


async def acked(call: Any, sequence: int) -> None:
    async with asyncio.timeout(WITHIN_S):
        while True:
            response = await call.read()
            assert response is not grpc.aio.EOF
            if response.ack.committed_sequence_number >= sequence:
                return


async def failure(call: Any) -> tuple[grpc.StatusCode, str]:
    """Read to the end; the code and the reason it ended with."""
    async with asyncio.timeout(WITHIN_S):
        try:
            while await call.read() is not grpc.aio.EOF:
                pass
        except grpc.aio.AioRpcError as error:
            told = failure_of(error)
            return told.code, told.reason
    return await call.code(), ""


def test_entries_are_stored_once_and_the_next_session_goes_on(manager: ManagerProcess) -> None:
    async def scenario() -> None:
        cable = HandCable(manager)
        async with cable.stream() as call:
            first = await welcome(call, cable.hello())
            assert first.committed_sequence_number == 0
            assert first.directive.permission == types_pb2.PERMISSION_BIDIRECTIONAL
            for number in (1, 2, 3):
                await call.write(cable.entry(number, event(number)))
            await acked(call, 3)
        async with cable.stream() as call:
            second = await welcome(call, cable.hello(next_sequence_number=4, last_fence=1))
            assert (second.committed_sequence_number, second.fence) == (3, first.fence + 1)
            await call.write(cable.entry(2, event(2)))  # a duplicate is acknowledged again
            await call.write(cable.entry(4, event(4)))
            await acked(call, 4)

    asyncio.run(scenario())


def test_a_gap_ends_the_session(manager: ManagerProcess) -> None:
    async def scenario() -> None:
        cable = HandCable(manager)
        async with cable.stream() as call:
            await welcome(call, cable.hello())
            await call.write(cable.entry(2, event(2)))
            assert await failure(call) == (grpc.StatusCode.FAILED_PRECONDITION, "SEQUENCE_GAP")

    asyncio.run(scenario())


def test_a_body_that_is_no_message_is_stored_apart_and_blocks_nothing(
    manager: ManagerProcess,
) -> None:
    async def scenario() -> None:
        cable = HandCable(manager)
        async with cable.stream() as call:
            await welcome(call, cable.hello())
            await call.write(cable.entry(1, b"\xff\xff\xff"))
            await call.write(cable.entry(2, event(2)))
            await acked(call, 2)

    asyncio.run(scenario())


def test_the_newest_session_wins(manager: ManagerProcess) -> None:
    async def scenario() -> None:
        cable = HandCable(manager)
        async with cable.stream() as old, cable.stream() as new:
            first = await welcome(old, cable.hello())
            second = await welcome(new, cable.hello(last_fence=first.fence))
            assert second.fence > first.fence
            assert await failure(old) == (grpc.StatusCode.ABORTED, "SESSION_SUPERSEDED")

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"cable_id": "cable-of-others"}, (grpc.StatusCode.PERMISSION_DENIED, "IDENTITY_MISMATCH")),
        ({"protocol_version": 9}, (grpc.StatusCode.INVALID_ARGUMENT, "HELLO_INVALID")),
        ({"signing_key": b"no key"}, (grpc.StatusCode.INVALID_ARGUMENT, "HELLO_INVALID")),
        ({"site_meter_id": "not an id"}, (grpc.StatusCode.INVALID_ARGUMENT, "HELLO_INVALID")),
        ({"oldest_sequence_number": 0}, (grpc.StatusCode.INVALID_ARGUMENT, "HELLO_INVALID")),
        ({"journal_epoch": 2**63}, (grpc.StatusCode.INVALID_ARGUMENT, "HELLO_INVALID")),
    ],
)
def test_a_bad_hello_is_refused_with_its_reason(
    manager: ManagerProcess, changes: dict[str, object], expected: tuple[grpc.StatusCode, str]
) -> None:
    async def scenario() -> None:
        cable = HandCable(manager)
        async with cable.stream() as call:
            await call.write(cable.hello(**changes))
            assert await failure(call) == expected

    asyncio.run(scenario())
