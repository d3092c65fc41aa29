"""A process's tasks, its end and its exit code."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import socket
from pathlib import Path

import pytest

from gridcord.chassis.exit_codes import ExitCode
from gridcord.chassis.lifecycle import Lifecycle, OnFailure
from gridcord.chassis.supervisor import (
    notify,
    read_ready_file,
    watchdog_interval_s,
    write_ready_file,
)
from gridcord.testing.clock import ManualClock


async def forever() -> None:
    await asyncio.Event().wait()


async def running(lifecycle: Lifecycle) -> asyncio.Task[ExitCode]:
    """A lifecycle that has begun."""

    async def live() -> ExitCode:
        async with lifecycle:
            return await lifecycle.run()

    task = asyncio.create_task(live())
    for _ in range(10):
        await asyncio.sleep(0)
    return task


async def ended(task: asyncio.Task[ExitCode]) -> ExitCode:
    return await asyncio.wait_for(task, 30)


@pytest.mark.parametrize("name", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_process_well(name: signal.Signals) -> None:
    async def scenario() -> ExitCode:
        lifecycle = Lifecycle()
        lifecycle.add("task", forever, on_failure=OnFailure.STOP)
        task = await running(lifecycle)
        os.kill(os.getpid(), name)
        return await ended(task)

    assert asyncio.run(scenario()) is ExitCode.OK


def test_drains_run_before_tasks_are_cancelled_last_in_first_out() -> None:
    events: list[str] = []

    async def work() -> None:
        try:
            await forever()
        finally:
            events.append("task cancelled")

    async def drain(name: str) -> None:
        events.append(name)

    async def scenario() -> ExitCode:
        lifecycle = Lifecycle()
        lifecycle.add("task", work, on_failure=OnFailure.STOP)
        lifecycle.on_drain(lambda: drain("store"))
        lifecycle.on_drain(lambda: drain("server"))
        task = await running(lifecycle)
        lifecycle.stop()
        return await ended(task)

    assert asyncio.run(scenario()) is ExitCode.OK
    assert events == ["server", "store", "task cancelled"]


@pytest.mark.parametrize("raises", [True, False])
def test_a_task_that_matters_takes_the_process_with_it(raises: bool) -> None:
    drained: list[bool] = []

    async def fail() -> None:
        if raises:
            raise RuntimeError

    async def drain() -> None:
        drained.append(True)

    async def scenario() -> ExitCode:
        lifecycle = Lifecycle()
        lifecycle.add("committer", fail, on_failure=OnFailure.STOP)
        lifecycle.on_drain(drain)
        return await ended(await running(lifecycle))

    assert asyncio.run(scenario()) is ExitCode.NEGATIVE
    assert drained == [True]


def test_a_task_that_may_fail_is_started_again_after_growing_pauses() -> None:
    clock = ManualClock()
    begun: list[float] = []

    async def fail() -> None:
        begun.append(clock.monotonic())
        raise ConnectionError

    async def scenario() -> ExitCode:
        lifecycle = Lifecycle(clock=clock)
        lifecycle.add("exporter", fail, on_failure=OnFailure.RESTART)
        task = await running(lifecycle)
        await clock.advance(600)
        lifecycle.stop()
        return await ended(task)

    assert asyncio.run(scenario()) is ExitCode.OK
    assert len(begun) > 20
    pauses = [later - earlier for earlier, later in itertools.pairwise(begun)]
    assert max(pauses[:3]) <= 2
    assert max(pauses) <= 30
    assert max(pauses[6:]) > 5


def test_a_task_that_was_good_for_a_while_starts_over_soon() -> None:
    clock = ManualClock()
    begun: list[float] = []

    async def lasts() -> None:
        begun.append(clock.monotonic())
        await clock.sleep(100)
        raise ConnectionError

    async def scenario() -> None:
        lifecycle = Lifecycle(clock=clock)
        lifecycle.add("exporter", lasts, on_failure=OnFailure.RESTART)
        task = await running(lifecycle)
        await clock.advance(3000)
        lifecycle.stop()
        await ended(task)

    asyncio.run(scenario())
    pauses = [b - a - 100 for a, b in itertools.pairwise(begun)]
    assert len(pauses) > 20
    assert max(pauses) <= 0.5


def test_a_drain_that_fails_does_not_stop_the_next() -> None:
    drained: list[str] = []

    async def bad() -> None:
        raise RuntimeError

    async def good() -> None:
        drained.append("good")

    async def scenario() -> ExitCode:
        lifecycle = Lifecycle()
        lifecycle.on_drain(good)
        lifecycle.on_drain(bad)
        task = await running(lifecycle)
        lifecycle.stop()
        return await ended(task)

    assert asyncio.run(scenario()) is ExitCode.NEGATIVE
    assert drained == ["good"]


@pytest.mark.parametrize(("raises", "exit_code"), [(False, ExitCode.OK), (True, ExitCode.NEGATIVE)])
def test_a_task_may_end_by_being_drained_but_not_by_a_bug(
    raises: bool, exit_code: ExitCode
) -> None:
    async def scenario() -> ExitCode:
        drained, over = asyncio.Event(), asyncio.Event()

        async def commit() -> None:
            await drained.wait()
            over.set()
            if raises:
                raise RuntimeError

        async def drain() -> None:
            drained.set()
            await over.wait()
            await asyncio.sleep(0)

        lifecycle = Lifecycle()
        lifecycle.add("committer", commit, on_failure=OnFailure.STOP)
        lifecycle.on_drain(drain)
        task = await running(lifecycle)
        lifecycle.stop()
        return await ended(task)

    assert asyncio.run(scenario()) is exit_code


def test_what_was_opened_is_drained_when_opening_the_next_thing_fails() -> None:
    drained: list[bool] = []

    async def drain() -> None:
        drained.append(True)

    async def scenario() -> None:
        async with Lifecycle() as lifecycle:
            lifecycle.on_drain(drain)
            raise OSError

    with pytest.raises(OSError):
        asyncio.run(scenario())
    assert drained == [True]


def test_running_alone_heeds_signals_too() -> None:
    async def scenario() -> ExitCode:
        task = asyncio.create_task(Lifecycle().run())
        for _ in range(10):
            await asyncio.sleep(0)
        os.kill(os.getpid(), signal.SIGTERM)
        return await ended(task)

    assert asyncio.run(scenario()) is ExitCode.OK


def test_a_signal_during_the_start_is_heeded() -> None:
    async def scenario() -> ExitCode:
        async with Lifecycle() as lifecycle:
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.sleep(0.01)
            return await lifecycle.run()

    assert asyncio.run(asyncio.wait_for(scenario(), 30)) is ExitCode.OK


def test_a_second_signal_ends_the_drain() -> None:
    async def scenario() -> ExitCode:
        lifecycle = Lifecycle(grace_s=3600)
        lifecycle.on_drain(forever)
        task = await running(lifecycle)
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(0.05)
        assert not task.done()
        os.kill(os.getpid(), signal.SIGTERM)
        return await ended(task)

    assert asyncio.run(scenario()) is ExitCode.OK


def test_a_drain_has_an_end() -> None:
    async def scenario() -> ExitCode:
        lifecycle = Lifecycle(grace_s=0.05)
        lifecycle.on_drain(forever)
        task = await running(lifecycle)
        lifecycle.stop()
        return await ended(task)

    assert asyncio.run(scenario()) is ExitCode.OK


def test_the_first_reason_to_end_counts() -> None:
    async def scenario() -> ExitCode:
        lifecycle = Lifecycle()
        task = await running(lifecycle)
        lifecycle.stop(ExitCode.UNAVAILABLE)
        lifecycle.stop(ExitCode.OK)
        assert lifecycle.stopping
        return await ended(task)

    assert asyncio.run(scenario()) is ExitCode.UNAVAILABLE


@pytest.mark.parametrize("abstract", [False, True])
def test_systemd_hears_of_every_stage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, abstract: bool
) -> None:
    name = f"@gridcord-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind("\0" + name[1:] if abstract else name)
        systemd.settimeout(30)
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        monkeypatch.setenv("WATCHDOG_USEC", "40000")

        async def scenario() -> None:
            lifecycle = Lifecycle()
            task = await running(lifecycle)
            await asyncio.sleep(0.1)
            lifecycle.stop()
            await ended(task)

        asyncio.run(scenario())
        heard = [systemd.recv(100)]
        while heard[-1] != b"STOPPING=1":
            heard.append(systemd.recv(100))

    assert heard.count(b"READY=1") == 1
    assert heard.count(b"WATCHDOG=1") >= 2


def test_without_systemd_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert notify("READY=1") is False
    monkeypatch.setenv("NOTIFY_SOCKET", "/nowhere/at/all")
    assert notify("READY=1") is False


@pytest.mark.parametrize(
    ("usec", "pid", "expected"),
    [
        ("30000000", None, 15.0),
        ("30000000", str(os.getpid()), 15.0),
        ("30000000", "1", None),
        ("soon", None, None),
        (None, None, None),
    ],
    ids=["anybody", "this process", "another process", "not a number", "no watchdog"],
)
def test_the_watchdog_is_fed_at_half_its_time(
    monkeypatch: pytest.MonkeyPatch, usec: str | None, pid: str | None, expected: float | None
) -> None:
    for name, value in (("WATCHDOG_USEC", usec), ("WATCHDOG_PID", pid)):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)

    assert watchdog_interval_s() == expected


def test_a_ready_file_says_what_the_process_turned_out_to_be(tmp_path: Path) -> None:
    path = tmp_path / "ready.json"
    assert read_ready_file(path) is None

    write_ready_file(path, {"grpc": "127.0.0.1:43211", "pid": 4711})

    assert read_ready_file(path) == {"grpc": "127.0.0.1:43211", "pid": 4711}
    assert [p.name for p in tmp_path.iterdir()] == ["ready.json"]
