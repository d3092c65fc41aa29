"""The `gridcord` command against a manager process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from gridcord.chassis.identity import Kind, Role
from gridcord.cli.main import main
from tests.integration.manager.conftest import ManagerProcess, running_manager
from tests.integration.manager.recording import (
    RecordingCable,
    eventually,
    listed,
    past_period,
    tools,
)


@dataclass(frozen=True, slots=True)
class Answer:
    """How a command ended.

    Args:
        exit_code: Its exit code.
        out: What it printed.
        err: What it said on standard error.
    """

    exit_code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """What it printed as JSON."""
        assert self.exit_code == 0, self.err
        return json.loads(self.out)


@dataclass(frozen=True, slots=True)
class Command:
    """Runs `gridcord` as somebody.

    Args:
        manager: Whom it calls.
        capsys: Catches what it prints.
    """

    manager: ManagerProcess
    capsys: pytest.CaptureFixture[str]

    def options(self, role: Role = Role.ADMIN, driver: str = "") -> list[str]:
        """The options that reach the manager with an identity."""
        kind = Kind.DRIVER if driver else Kind.OPERATOR
        files = self.manager.identity(kind, driver or f"{role.value}-1", None if driver else role)
        return ["--manager", self.manager.address, "--tls", str(files.certificate.parent)]

    def plain(self, *arguments: str) -> Answer:
        """Run it as it stands."""
        self.capsys.readouterr()
        exit_code = main(arguments)
        return Answer(exit_code, *self.capsys.readouterr())

    def __call__(self, *arguments: str, role: Role = Role.ADMIN, driver: str = "") -> Answer:
        """Run it with an identity of the manager's domain."""
        return self.plain(*arguments, *self.options(role, driver))


@pytest.fixture(scope="session")
def manager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ManagerProcess]:
    """A manager for all tests of the command."""
    with running_manager(tmp_path_factory.mktemp("manager"), "") as process:
        yield process


@pytest.fixture
def gridcord(manager: ManagerProcess, capsys: pytest.CaptureFixture[str]) -> Command:
    """The command."""
    return Command(manager, capsys)


@pytest.fixture(scope="session")
def delivered(manager: ManagerProcess) -> RecordingCable:
    """A cable with two stored transfers."""

    async def deliver() -> RecordingCable:
        cable = RecordingCable(manager)
        records = [cable.counted(past_period(number), discharged_wh=100) for number in range(2)]
        await cable.deliver(records)
        async with tools(manager, Role.VIEWER) as client:
            await eventually(
                lambda: listed(client.transfers(cable_id=cable.name)), lambda found: len(found) == 2
            )
        return cable

    return asyncio.run(deliver())
