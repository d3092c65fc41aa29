"""Watches: many at once, ended by either side, and nothing of them is left."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from urllib.request import urlopen

import grpc
import pytest

from gridcord.api.manager.v1 import driver_service_pb2 as driver_pb
from gridcord.api.manager.v1 import transfer_service_pb2 as pb
from gridcord.api.manager.v1.driver_service_pb2_grpc import DriverServiceStub
from gridcord.api.manager.v1.transfer_service_pb2_grpc import TransferServiceStub
from gridcord.chassis.identity import Kind, Role
from tests.integration.manager.conftest import ManagerProcess, running_manager
from tests.integration.manager.recording import (
    WITHIN_S,
    RecordingCable,
    listed,
    past_period,
    tools,
)

WATCHERS = 1_000
A_CONNECTION = 16  # streams at once
METHOD = "/gridcord.api.manager.v1.TransferService/WatchTransfers"


@pytest.fixture(scope="module")
def manager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ManagerProcess]:
    """A manager that tells its figures."""
    metrics: dict[str, object] = {"address": "127.0.0.1:0"}
    with running_manager(tmp_path_factory.mktemp("manager"), "", metrics=metrics) as process:
        yield process


def open_watches(manager: ManagerProcess) -> int:
    """Calls of WatchTransfers that the manager serves now."""
    address = manager.program.wait_ready()["metrics"]
    with urlopen(f"http://{address}/metrics", timeout=WITHIN_S) as answer:
        text = answer.read().decode()
    found = re.search(rf'gridcord_server_calls_open{{grpc_method="{METHOD}"}} ([0-9.]+)', text)
    return int(float(found[1])) if found else 0


async def until(wanted: Callable[[], bool]) -> None:
    """Wait for another process."""
    end = time.monotonic() + WITHIN_S
    while not await asyncio.to_thread(wanted):
        assert time.monotonic() < end
        await asyncio.sleep(0.02)


@asynccontextmanager
async def watching(
    manager: ManagerProcess, count: int, *, deadline_s: float | None = None
) -> AsyncIterator[list[Any]]:
    """So many watches from the first transfer on."""
    files = manager.identity(Kind.OPERATOR, "watcher", Role.VIEWER)
    async with AsyncExitStack() as stack:
        calls: list[Any] = []
        while len(calls) < count:
            channel = await stack.enter_async_context(manager.channel(files))
            stub: Any = TransferServiceStub(channel)
            request = pb.WatchTransfersRequest(cursor="0")
            here = range(min(A_CONNECTION, count - len(calls)))
            calls += [stub.WatchTransfers(request, timeout=deadline_s) for _ in here]
        yield calls
        for call in calls:
            call.cancel()


async def deliver(manager: ManagerProcess, discharged_wh: int = 5) -> RecordingCable:
    cable = RecordingCable(manager)
    await cable.deliver([cable.counted(past_period(), discharged_wh=discharged_wh)])
    return cable


async def told_of(call: Any, cable: RecordingCable) -> None:
    """Read until a watch tells of a cable."""
    async with asyncio.timeout(2 * WITHIN_S):
        while (await call.read()).transfer.key.cable_id != cable.name:
            pass


def test_a_thousand_watch_and_each_is_told(manager: ManagerProcess) -> None:
    async def scenario() -> None:
        first = await deliver(manager)
        async with watching(manager, WATCHERS) as calls:
            await asyncio.gather(*(told_of(call, first) for call in calls))
            assert await asyncio.to_thread(open_watches, manager) == WATCHERS
            async with tools(manager) as client:
                began_s = time.monotonic()
                assert len(await listed(client.transfers(limit=1))) == 1
                assert time.monotonic() - began_s < WITHIN_S, "the others are still served"
            later = await deliver(manager)
            await asyncio.gather(*(told_of(call, later) for call in calls))
        await until(lambda: open_watches(manager) == 0)

    asyncio.run(scenario())


def test_a_watch_that_is_cancelled_or_whose_time_is_over_is_forgotten(
    manager: ManagerProcess,
) -> None:
    async def scenario() -> None:
        cable = await deliver(manager)
        async with watching(manager, 1) as (call,):
            await told_of(call, cable)
            assert await asyncio.to_thread(open_watches, manager) == 1
            call.cancel()
            await until(lambda: open_watches(manager) == 0)
        async with watching(manager, 1, deadline_s=1.0) as (call,):
            with pytest.raises(grpc.aio.AioRpcError) as over:
                while True:
                    await asyncio.wait_for(call.read(), WITHIN_S)
            assert over.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
            await until(lambda: open_watches(manager) == 0)

    asyncio.run(scenario())


def test_a_client_that_vanishes_without_a_word_is_forgotten(manager: ManagerProcess) -> None:
    async def scenario() -> None:
        cable = await deliver(manager)
        files = manager.identity(Kind.OPERATOR, "watcher", Role.VIEWER)
        async with manager.channel(files) as channel:
            stub: Any = TransferServiceStub(channel)
            call = stub.WatchTransfers(pb.WatchTransfersRequest(cursor="0"))
            await told_of(call, cable)
        await until(lambda: open_watches(manager) == 0)

    asyncio.run(scenario())


def test_a_cursor_of_another_watch_loses_nothing_and_shows_nothing_of_others(
    manager: ManagerProcess,
) -> None:
    """Cursors are places in what the manager told, not rights: the filter is the certificate's."""

    async def scenario() -> None:
        mine, other = await deliver(manager), await deliver(manager)
        cursor = ""
        async with tools(manager) as admin:
            async for told in admin.watch_transfers("0"):
                cursor = told.cursor
                if told.transfer.key.cable_id == other.name:
                    break
        files = manager.identity(Kind.DRIVER, mine.driver_id)
        async with manager.channel(files) as channel:
            stub: Any = DriverServiceStub(channel)
            for behind in ("0", cursor, str(2**63 - 1)):
                request = driver_pb.WatchNoticesRequest(cursor=behind)
                call = stub.WatchNotices(request, timeout=0.5)
                told_drivers = set()
                with pytest.raises(grpc.aio.AioRpcError) as over:
                    async for response in call:
                        told_drivers.add(response.notice.driver_id)
                assert over.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
                assert told_drivers <= {mine.driver_id}

    asyncio.run(scenario())
