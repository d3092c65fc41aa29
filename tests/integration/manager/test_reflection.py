"""A stranger's tool finds its way: buf curl with reflection and a client certificate."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from gridcord.chassis.channel import server_name
from gridcord.chassis.credentials import TlsFiles
from gridcord.chassis.identity import Kind, Role
from gridcord.units import SiteId
from tests.integration.manager.conftest import DOMAIN, ManagerProcess
from tests.integration.manager.recording import (
    RecordingCable,
    eventually,
    listed,
    past_period,
    tools,
)
from tests.structure.tree import ROOT

PROTOS = ROOT / "protos"
LIST_TRANSFERS = "gridcord.api.manager.v1.TransferService/ListTransfers"
CONNECT = "gridcord.api.manager.v1.CableSessionService/Connect"
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
    manager: ManagerProcess,
    tmp_path: Path,
    *arguments: str,
    role: Role = Role.VIEWER,
    identity: tuple[str | Path, ...] | None = None,
) -> subprocess.CompletedProcess[str]:
    """What `buf curl` answers, as an operator; or with the options of another `identity`."""
    if not BUF.exists():
        pytest.skip("buf is not installed")
    files = manager.identity(Kind.OPERATOR, f"{role.value}-1", role)
    schema = ("--reflect",) if identity is None else ("--schema", PROTOS)
    return subprocess.run(
        [
            BUF, "curl", "--protocol", "grpc", *schema, "--cacert", files.roots,
            *(identity if identity is not None else options(files)),
            "--servername", server_name(Kind.MANAGER, DOMAIN), *arguments,
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")},
    )  # fmt: skip


def options(files: TlsFiles) -> tuple[str | Path, ...]:
    """The options that name an identity."""
    assert files.key is not None
    return ("--cert", files.certificate, "--key", files.key)


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


def test_without_a_certificate_there_is_no_connection(
    manager: ManagerProcess, tmp_path: Path
) -> None:
    refused = buf_curl(
        manager,
        tmp_path,
        "--data",
        "{}",
        f"https://{manager.address}/{LIST_TRANSFERS}",
        identity=(),
    )
    assert refused.returncode != 0
    assert json.loads(refused.stderr)["code"] in {"unavailable", "canceled"}  # TLS alert or EOF
    assert_tells_nothing(refused.stderr)


def test_a_cables_certificate_reads_nothing_and_is_noted(
    manager: ManagerProcess, tmp_path: Path
) -> None:
    cable = manager.identity(Kind.CABLE, "curious")
    refused = buf_curl(
        manager,
        tmp_path,
        "--data",
        "{}",
        f"https://{manager.address}/{LIST_TRANSFERS}",
        identity=options(cable),
    )
    assert refused.returncode != 0
    told = json.loads(refused.stderr)
    assert told["code"] == "permission_denied"
    assert_tells_nothing(refused.stderr)
    assert asyncio.run(noted(manager, "cable/curious")) == [("NOT_PERMITTED", f"/{LIST_TRANSFERS}")]


def test_another_cables_id_in_the_payload_is_refused_and_noted(
    manager: ManagerProcess, tmp_path: Path
) -> None:
    cable = manager.identity(Kind.CABLE, "impostor")
    hello = {"hello": {"protocol_version": 1, "cable_id": "somebody-else"}}
    refused = buf_curl(
        manager,
        tmp_path,
        "--data",
        json.dumps(hello),
        f"https://{manager.address}/{CONNECT}",
        identity=options(cable),
    )
    assert refused.returncode != 0
    assert json.loads(refused.stderr)["code"] == "permission_denied"
    assert_tells_nothing(refused.stderr)
    assert asyncio.run(noted(manager, "cable/impostor")) == [("IDENTITY_MISMATCH", "somebody-else")]


def assert_tells_nothing(text: str) -> None:
    assert not re.search(r"Traceback|\.py\b|sqlalchemy|sqlite|psycopg|SELECT", text), text


async def noted(manager: ManagerProcess, actor: str) -> list[tuple[str, str]]:
    """What the audit log says of somebody."""
    async with tools(manager) as admin:

        async def look() -> list[tuple[str, str]]:
            entries = await listed(admin.audit_entries())
            return [(entry.action, entry.subject) for entry in entries if entry.actor == actor]

        return await eventually(look, lambda found: len(found) > 0)


def documented_commands() -> list[str]:
    """The commands of docs/cli.md, one a line."""
    page = (ROOT / "docs" / "cli.md").read_text("utf-8")
    _, _, section = page.partition("## A client that is not ours")
    block = section.split("```")[1].replace("\\\n", "")
    return [line for line in block.splitlines() if line]


def test_the_documented_commands_work_as_they_stand(
    manager: ManagerProcess, tmp_path: Path
) -> None:
    """All but where the identity and the manager are, which is the first and third line."""
    cable = RecordingCable(manager, site_id=SiteId("obis:4530303033"))
    asyncio.run(cable.deliver([cable.counted(past_period(), discharged_wh=5)]))
    commands = documented_commands()
    assert [line.split("=")[0] for line in commands[:3]] == ["ID", "ME", "AT"]
    files = manager.identity(Kind.OPERATOR, "viewer-1", Role.VIEWER)
    me = commands[1].replace("manager.grid.example", server_name(Kind.MANAGER, DOMAIN))
    setting = [f"ID={files.certificate.parent}", me, f"AT=https://{manager.address}"]
    answers = []
    for command in commands[3:]:
        assert command.startswith("buf curl ")
        limited = f"timeout 3 {command}" if "Watch" in command else command
        done = subprocess.run(
            ["bash", "-c", "\n".join([*setting, limited])],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            cwd=tmp_path,
            env={
                **os.environ,
                "HOME": str(tmp_path),
                "XDG_CACHE_HOME": str(tmp_path / "cache"),
                "PATH": f"{BUF.parent}:{os.environ['PATH']}",
            },
        )
        assert done.returncode in ({124} if "Watch" in command else {0}), done.stderr
        answers.append(done.stdout)
    listed_services, listed_methods, transfers, _ = answers
    assert set(listed_services.split()) >= SERVICES
    assert LIST_TRANSFERS in listed_methods
    assert "obis:4530303033" in transfers
