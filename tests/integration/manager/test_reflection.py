"""A stranger's tool finds its way: buf curl with reflection and a client certificate."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gridcord.chassis.channel import server_name
from gridcord.chassis.identity import Kind, Role
from tests.integration.manager.conftest import DOMAIN, ManagerProcess
from tests.integration.manager.recording import (
    RecordingCable,
    eventually,
    listed,
    past_period,
    tools,
)

BUF = Path(sys.executable).with_name("buf")
SERVICES = {
    f"gridcord.api.manager.v1.{name}Service"
    for name in (
        "Audit",
        "CableSession",
        "Driver",
        "Fleet",
        "ResourceSession",
        "SiteBlock",
        "Transfer",
    )
}


def buf_curl(
    manager: ManagerProcess, tmp_path: Path, *arguments: str, role: Role = Role.VIEWER
) -> subprocess.CompletedProcess[str]:
    if not BUF.exists():
        pytest.skip("buf is not installed")
    files = manager.identity(Kind.OPERATOR, f"{role.value}-1", role)
    assert files.key is not None
    return subprocess.run(
        [
            BUF, "curl", "--protocol", "grpc", "--reflect",
            "--cacert", files.roots, "--cert", files.certificate, "--key", files.key,
            "--servername", server_name(Kind.MANAGER, DOMAIN), *arguments,
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")},
    )  # fmt: skip


def test_services_are_listed_and_transfers_read(manager: ManagerProcess, tmp_path: Path) -> None:
    async def delivered() -> RecordingCable:
        cable = RecordingCable(manager)
        await cable.deliver([cable.counted(past_period(), discharged_wh=321)])
        async with tools(manager, Role.VIEWER) as client:
            await eventually(
                lambda: listed(client.transfers(cable_id=cable.name)), lambda found: len(found) == 1
            )
        return cable

    cable = asyncio.run(delivered())
    told = buf_curl(manager, tmp_path, "--list-services", f"https://{manager.address}")
    assert told.returncode == 0, told.stderr
    assert set(told.stdout.split()) >= SERVICES

    read = buf_curl(
        manager,
        tmp_path,
        "--data",
        json.dumps({"cable_id": cable.name}),
        f"https://{manager.address}/gridcord.api.manager.v1.TransferService/ListTransfers",
    )
    assert read.returncode == 0, read.stderr
    (transfer,) = json.loads(read.stdout)["transfers"]
    assert transfer["key"]["cableId"] == cable.name
    assert transfer["transferredWh"] == "-321"


def test_reflection_is_for_operators_of_any_role_and_changes_no_right(
    manager: ManagerProcess, tmp_path: Path
) -> None:
    refused = buf_curl(
        manager,
        tmp_path,
        "--data",
        "{}",
        f"https://{manager.address}/gridcord.api.manager.v1.AuditService/ListAuditEntries",
    )
    assert refused.returncode != 0
    assert "permission_denied" in refused.stderr
    granted = buf_curl(
        manager,
        tmp_path,
        "--data",
        "{}",
        f"https://{manager.address}/gridcord.api.manager.v1.AuditService/ListAuditEntries",
        role=Role.ADMIN,
    )
    assert granted.returncode == 0, granted.stderr
