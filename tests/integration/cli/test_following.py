"""`--follow` and `watch`: what happens is told as it happens; Ctrl-C ends it clean."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest

from gridcord.chassis.exit_codes import ExitCode
from gridcord.chassis.identity import Kind, Role
from gridcord.cli.following import look_again
from gridcord.clients.manager import ManagerClient
from tests.integration.cli.conftest import Command
from tests.integration.manager.recording import WITHIN_S, RecordingCable, new_site, past_period

VIEWER = (Kind.OPERATOR, "viewer-1", Role.VIEWER)

Process = asyncio.subprocess.Process


@asynccontextmanager
async def following(gridcord: Command, *arguments: str) -> AsyncIterator[Process]:
    """`gridcord` as a process that follows something; ended by Ctrl-C."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "gridcord.cli.main",
        *arguments,
        *gridcord.options(),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        yield process
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(WITHIN_S):
            _, said = await process.communicate()
        assert process.returncode == ExitCode.INTERRUPTED
        assert said == b""
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def next_line(process: Process) -> str:
    assert process.stdout is not None
    async with asyncio.timeout(WITHIN_S):
        return (await process.stdout.readline()).decode()


def test_transfers_are_told_as_they_are_stored(gridcord: Command) -> None:
    async def scenario() -> None:
        cable, other = RecordingCable(gridcord.manager), RecordingCable(gridcord.manager)
        await cable.deliver([cable.counted(past_period(), discharged_wh=11)])
        watch = ("transfers", "watch", "--from-first", "--cable", cable.name, "--json")
        async with following(gridcord, *watch) as process:
            told = json.loads(await next_line(process))
            assert told["transfer"]["transferred_wh"] == -11
            await other.deliver([other.counted(past_period(), discharged_wh=1)])
            await cable.deliver([cable.counted(past_period(1), discharged_wh=22)])
            while told["transfer"]["transferred_wh"] == -11:
                told = json.loads(await next_line(process))
            assert told["transfer"]["key"]["cable_id"] == cable.name
            assert told["transfer"]["transferred_wh"] == -22
            assert told["cursor"].isdecimal()

    asyncio.run(scenario())


def test_transfers_can_be_followed_from_now_on(gridcord: Command) -> None:
    async def scenario() -> None:
        cable = RecordingCable(gridcord.manager)
        async with following(gridcord, "transfers", "--follow", "--cable", cable.name) as process:
            line = asyncio.ensure_future(next_line(process))
            number = 0
            while not line.done():  # it says nothing until it is there: until then each is missed
                await cable.deliver([cable.counted(past_period(number), discharged_wh=7)])
                number += 1
                await asyncio.wait({line}, timeout=0.3)
            assert cable.name in await line

    asyncio.run(scenario())


def test_a_list_is_told_again_when_it_changed(gridcord: Command) -> None:
    async def scenario() -> None:
        site = new_site()
        follow = ("blocks", "--follow", "--every", "0.1", "--site", site, "--json")
        async with following(gridcord, *follow) as process:
            assert json.loads(await next_line(process)) == {"blocks": []}
            done = await asyncio.to_thread(gridcord, "block", site, "--reason", "to be seen")
            assert done.exit_code == 0
            (block,) = json.loads(await next_line(process))["blocks"]
            assert (block["site_id"], block["reason"]) == (site, "to be seen")

    asyncio.run(scenario())


def test_a_table_is_printed_again_when_it_changed(gridcord: Command) -> None:
    async def scenario() -> None:
        site = new_site()
        follow = ("blocks", "-f", "--every", "0.1", "--site", site)
        async with following(gridcord, *follow) as process:
            assert await next_line(process) == "no blocks\n"
            assert await next_line(process) == "\n"
            await asyncio.to_thread(gridcord, "block", site, "--reason", "to be seen")
            assert (await next_line(process)).split()[:2] == ["block", "site"]
            assert "to be seen" in await next_line(process)

    asyncio.run(scenario())


def test_a_manager_that_goes_away_is_waited_for_once_it_was_heard(
    gridcord: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    code = grpc.StatusCode
    answers: list[list[int] | grpc.StatusCode] = [
        [1],
        code.UNAVAILABLE,
        [1],
        [2],
        code.DEADLINE_EXCEEDED,
        [2],
        code.PERMISSION_DENIED,
    ]
    script = iter(answers)

    async def read(_: Any) -> AsyncIterator[Any]:
        answer = next(script)
        if isinstance(answer, grpc.StatusCode):
            nothing = grpc.aio.Metadata()
            raise grpc.aio.AioRpcError(answer, nothing, nothing, "it is gone")
        for row in answer:
            yield row

    async def scenario() -> list[Any]:
        shown: list[Any] = []
        async with gridcord.manager.channel(gridcord.manager.identity(*VIEWER)) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await look_again(ManagerClient(channel), read, shown.append, 0.0)
        assert refused.value.code() is code.PERMISSION_DENIED
        return shown

    assert asyncio.run(scenario()) == [[1], [2]]
    assert capsys.readouterr().err.count("trying again") == 2
