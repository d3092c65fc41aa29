"""A program as a process: ready file, signals, exit codes, systemd, revocation in real time."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gridcord.chassis.admission import CERTIFICATE_REVOKED
from gridcord.chassis.channel import open_channel
from gridcord.chassis.supervisor import read_ready_file
from tests.integration.chassis.loopback import (
    CABLE,
    DEADLINE_S,
    ECHO,
    HOLD,
    MANAGER,
    NAME,
    Pki,
    failure,
    who,
)

PROGRAM = "tests.integration.chassis.echo_program"


@dataclass
class Running:
    """A process of the program."""

    process: subprocess.Popen[str]
    ready: Path

    def facts(self) -> dict[str, Any]:
        """What the ready file says, as soon as it does."""
        end_s = time.monotonic() + DEADLINE_S
        while (facts := read_ready_file(self.ready)) is None:
            assert self.process.poll() is None, self.process.communicate()[1]
            assert time.monotonic() < end_s
            time.sleep(0.01)
        return dict(facts)

    def ended(self) -> tuple[int, list[dict[str, Any]]]:
        """Exit code and log lines."""
        _, errors = self.process.communicate(timeout=DEADLINE_S)
        return self.process.returncode, [json.loads(line) for line in errors.splitlines()]


def settings(pki: Pki, folder: Path, more: str = "", top: str = "") -> Path:
    """A settings file of the program."""
    files = pki.files(MANAGER)
    path = folder / "echo.toml"
    listen = '[listen]\nready_file = "ready.json"\ngrace_s = 2'
    path.write_text(
        f'{top}\n[tls]\ncertificate = "{files.certificate}"\nkey = "{files.key}"\n'
        f'roots = "{files.roots}"\n[log]\nformat = "json"\n'
        f"{more if '[listen]' in more else listen + chr(10) + more}\n"
    )
    return path


@contextmanager
def started(config: Path, **environment: str) -> Iterator[Running]:
    """Start the program; it is ended with the block if it still runs then."""
    process = subprocess.Popen(
        [sys.executable, "-m", PROGRAM, "--config", str(config)],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
        cwd=Path(__file__).parents[3],
    )
    try:
        yield Running(process, config.parent / "ready.json")
    finally:
        process.kill()
        process.communicate()


def channel(pki: Pki, address: str) -> Any:
    return open_channel(address, credentials=pki.credentials(CABLE), expect=NAME)


@pytest.mark.parametrize("name", [signal.SIGTERM, signal.SIGINT])
def test_a_program_serves_until_it_is_told_to_end(
    pki: Pki, tmp_path: Path, name: signal.Signals
) -> None:
    async def ask(address: str) -> str:
        async with channel(pki, address) as open_:
            return await who(open_)

    with started(settings(pki, tmp_path)) as running:
        facts = running.facts()
        assert facts["pid"] == running.process.pid
        assert asyncio.run(ask(facts["grpc"])) == CABLE
        running.process.send_signal(name)
        exit_code, lines = running.ended()

    assert exit_code == 0
    assert [line["event"] for line in lines if line["event"].startswith("process.")] == [
        "process.started",
        "process.stopping",
        "process.stopped",
    ]
    assert {line["program"] for line in lines} == {"echo"}
    assert not running.ready.exists()


def test_a_stubborn_stream_does_not_hold_up_the_end(pki: Pki, tmp_path: Path) -> None:
    async def hold(running: Running) -> str:
        async with channel(pki, running.facts()["grpc"]) as open_:
            call = open_.stream_stream(HOLD)()
            assert await call.read() == b"held"
            running.process.terminate()
            return (await failure(call)).reason

    with started(settings(pki, tmp_path)) as running:
        reason = asyncio.run(hold(running))
        exit_code, _ = running.ended()

    assert (exit_code, reason) == (0, "SERVER_DRAINING")


def test_a_second_signal_does_not_wait_for_anybody(pki: Pki, tmp_path: Path) -> None:
    async def hold(running: Running) -> None:
        async with channel(pki, running.facts()["grpc"]) as open_:
            call = open_.stream_stream(HOLD)()
            assert await call.read() == b"held"
            assert running.process.stderr is not None
            running.process.terminate()
            while "process.stopping" not in await asyncio.to_thread(
                running.process.stderr.readline
            ):
                pass
            running.process.terminate()
            await failure(call)

    with started(settings(pki, tmp_path), GRIDCORD_ECHO__LISTEN__GRACE_S="1000") as running:
        asyncio.run(asyncio.wait_for(hold(running), DEADLINE_S))
        exit_code, _ = running.ended()

    assert exit_code == 0


def test_a_task_that_matters_ends_the_program_with_1(pki: Pki, tmp_path: Path) -> None:
    with started(settings(pki, tmp_path, top="fails_after_s = 0.2")) as running:
        exit_code, lines = running.ended()

    assert exit_code == 1
    (failed,) = [line for line in lines if line["event"] == "task.failed"]
    assert failed["task"] == "fuse"
    assert "RuntimeError: as told" in failed["exception"]


@pytest.mark.parametrize(
    ("more", "top", "said"),
    [
        ("[lisen]", "", "did you mean 'listen'?"),
        ('[deny_list]\nfile = "absent"', "", "cannot read the deny list"),
        ('[metrics]\naddress = "192.0.2.1:1"', "", "192.0.2.1"),
        ('[listen]\naddress = "192.0.2.1:1"', "", "192.0.2.1"),
        ('[listen]\nready_file = "absent/ready"', "", "absent/"),
    ],
)
def test_what_cannot_be_used_ends_the_program_with_2(
    pki: Pki, tmp_path: Path, more: str, top: str, said: str
) -> None:
    with started(settings(pki, tmp_path, more, top)) as running:
        _, errors = running.process.communicate(timeout=DEADLINE_S)

    assert running.process.returncode == 2
    assert said in errors
    assert "Traceback" not in errors


def test_a_taken_port_ends_the_program_with_2(pki: Pki, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with started(settings(pki, tmp_path), GRIDCORD_ECHO__LISTEN__ADDRESS=address) as running:
            _, errors = running.process.communicate(timeout=DEADLINE_S)

    assert running.process.returncode == 2
    assert f"cannot listen on {address}" in errors


@pytest.mark.parametrize(
    ("arguments", "exit_code"),
    [(["--check"], 0), (["--version"], 0), (["--nope"], 2), (["--config", "absent.toml"], 2)],
)
def test_the_command_line_of_a_program(
    pki: Pki, tmp_path: Path, arguments: list[str], exit_code: int
) -> None:
    config = settings(pki, tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", PROGRAM, "--config", str(config), *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE_S,
        cwd=Path(__file__).parents[3],
    )

    assert done.returncode == exit_code
    assert "Traceback" not in done.stderr


def test_machines_can_watch_a_program(pki: Pki, tmp_path: Path) -> None:
    def get(address: str, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://{address}{path}", timeout=DEADLINE_S) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, ""

    async def call(facts: dict[str, Any]) -> None:
        async with channel(pki, facts["grpc"]) as open_:
            await who(open_)

    with started(settings(pki, tmp_path, '[metrics]\naddress = "127.0.0.1:0"')) as running:
        facts = running.facts()
        asyncio.run(call(facts))
        status, figures = get(facts["metrics"], "/metrics")
        assert status == 200
        assert 'grpc_server_call_started_total{grpc_method="/test.Echo/Who"} 1.0' in figures
        assert "process_resident_memory_bytes" in figures
        assert get(facts["metrics"], "/healthz") == (200, "ok\n")


def test_systemd_hears_that_a_program_is_ready_and_alive(pki: Pki, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        path = str(tmp_path / "notify")
        systemd.bind(path)
        systemd.settimeout(DEADLINE_S)
        config = settings(pki, tmp_path)
        with started(config, NOTIFY_SOCKET=path, WATCHDOG_USEC="100000") as running:
            assert systemd.recv(100) == b"READY=1"
            assert running.ready.exists(), "who hears READY may connect"
            assert systemd.recv(100) == b"WATCHDOG=1"
            assert systemd.recv(100) == b"WATCHDOG=1"
            running.process.send_signal(signal.SIGTERM)
            heard = systemd.recv(100)
            while heard == b"WATCHDOG=1":
                heard = systemd.recv(100)
            assert heard == b"STOPPING=1"
            assert running.ended()[0] == 0


def test_revocation_acts_within_ten_seconds_on_a_running_program(pki: Pki, tmp_path: Path) -> None:
    deny = tmp_path / "deny"
    deny.write_text("")

    async def scenario(address: str) -> tuple[str, float]:
        async with channel(pki, address) as open_:
            call = open_.stream_stream(ECHO)()
            await call.write(b"x")
            assert await call.read() == b"x"
            deny.write_text(CABLE)
            begin_s = time.monotonic()
            refused = await failure(call)
            return refused.reason, time.monotonic() - begin_s

    with started(settings(pki, tmp_path, '[deny_list]\nfile = "deny"')) as running:
        reason, took_s = asyncio.run(scenario(running.facts()["grpc"]))

    assert reason == CERTIFICATE_REVOKED
    assert took_s < 10


def test_processes_of_one_origin_agree_on_a_simulated_time(pki: Pki, tmp_path: Path) -> None:
    """A task that fails after 600 simulated seconds at 6,000 times the speed: a tenth of one."""
    clock = '[clock]\nspeed = 6000\norigin = "2026-01-01T00:00:00Z"'

    with started(settings(pki, tmp_path, clock, top="fails_after_s = 600")) as running:
        exit_code, lines = running.ended()

    assert exit_code == 1
    assert any(line["event"] == "task.failed" for line in lines)
