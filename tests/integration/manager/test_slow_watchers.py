"""Watches whose peer lets nothing through: each costs bounded memory and holds up nobody."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from gridcord.api.manager.v1 import transfer_service_pb2 as pb
from gridcord.chassis.identity import Kind, Role
from tests.integration.chassis import http2
from tests.integration.chassis.http2 import RawPeer
from tests.integration.manager.conftest import ManagerProcess, running_manager
from tests.integration.manager.recording import (
    WITHIN_S,
    RecordingCable,
    acked,
    eventually,
    listed,
    past_period,
    tools,
)
from tests.integration.manager.test_watching import METHOD, open_watches, until

TRANSFERS = 400
WINDOW = 50
CONNECTIONS, STREAMS = 6, 16
WATCHERS = CONNECTIONS * STREAMS
MOST_KB = 450  # of a watch: 170 with pages of 64, gRPC's 64 KiB included; 900 if all were read


@pytest.fixture(scope="module")
def manager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ManagerProcess]:
    """A manager that tells its figures."""
    metrics: dict[str, object] = {"address": "127.0.0.1:0"}
    with running_manager(tmp_path_factory.mktemp("manager"), "", metrics=metrics) as process:
        yield process


def memory_kb(pid: int) -> int:
    """Of a process, resident."""
    status = Path(f"/proc/{pid}/status").read_text("ascii")
    return int(status.partition("VmRSS:")[2].split()[0])


async def many_transfers(manager: ManagerProcess) -> None:
    """Deliver so many that no watch is told all of them unread."""
    cable = RecordingCable(manager)
    async with cable.session() as (call, _):
        for number in range(TRANSFERS):
            record = cable.counted(past_period(number - TRANSFERS), discharged_wh=1)
            await call.write(cable.next_entry(record))
            if number % WINDOW == WINDOW - 1:
                await acked(call, cable.sequence)
    async with tools(manager) as client:
        await eventually(
            lambda: listed(client.transfers(limit=TRANSFERS)), lambda found: len(found) == TRANSFERS
        )


@contextmanager
def never_reading(manager: ManagerProcess) -> Iterator[None]:
    """Watches from the first transfer on, whose windows are never opened again.

    The peer does what keeps a connection: it acknowledges settings and answers pings.
    """
    files = manager.identity(Kind.OPERATOR, "watcher", Role.VIEWER)
    request = http2.message(pb.WatchTransfersRequest(cursor="0").SerializeToString())
    enough = threading.Event()

    def keep(peers: list[RawPeer]) -> None:
        while not enough.is_set():
            for peer in peers:
                for _ in peer.frames(0.001):
                    pass

    with ExitStack() as stack:
        peers = [stack.enter_context(RawPeer(manager.address, files)) for _ in range(CONNECTIONS)]
        for peer in peers:
            peer.greet()
            for number in range(1, 2 * STREAMS, 2):
                peer.open_stream(number, METHOD)
                peer.send(http2.frame(http2.DATA, request, flags=http2.END_STREAM, stream=number))
        keeping = threading.Thread(target=keep, args=(peers,))
        keeping.start()
        try:
            yield
        finally:
            enough.set()
            keeping.join(WITHIN_S)


def test_watches_that_nobody_reads_cost_little_and_hold_up_nobody(manager: ManagerProcess) -> None:
    async def scenario() -> tuple[int, int]:
        await many_transfers(manager)
        before_kb = memory_kb(manager.program.pid)
        with never_reading(manager):
            await until(lambda: open_watches(manager) == WATCHERS)
            later = RecordingCable(manager)
            async with tools(manager) as client:
                reading = asyncio.create_task(_told_of_all(manager))
                await later.deliver([later.counted(past_period(), discharged_wh=5)])
                assert await asyncio.wait_for(reading, 2 * WITHIN_S) == TRANSFERS + 1
                assert len(await listed(client.transfers(cable_id=later.name))) == 1
            assert await asyncio.to_thread(open_watches, manager) == WATCHERS
            after_kb = memory_kb(manager.program.pid)
        await until(lambda: open_watches(manager) == 0)
        return before_kb, after_kb

    before_kb, after_kb = asyncio.run(scenario())
    assert after_kb - before_kb < WATCHERS * MOST_KB


async def _told_of_all(manager: ManagerProcess) -> int:
    """How many transfers a watch that is read is told of, up to the newest."""
    async with tools(manager) as client:
        count = 0
        async for told in client.watch_transfers("0"):
            count += told.HasField("transfer")
            if count > TRANSFERS:
                break
        return count
