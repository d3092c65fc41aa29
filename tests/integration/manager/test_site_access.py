"""Route-B secrets: an operator registers them, the right cable gets them, nobody else sees them."""

from __future__ import annotations

import asyncio
import io
import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from gridcord.api.manager.v1 import cable_session_service_pb2 as pb
from gridcord.cli.main import main
from gridcord.units import SiteId
from manager.site_access import SiteAccessError, read_site_access
from tests.integration.manager.conftest import ManagerProcess, running_manager
from tests.integration.manager.recording import (
    RecordingCable,
    listed,
    new_site,
    past_period,
    read_until,
    tools,
)

ROUTE_B_ID = "00112233445566778899AABBCCDDEEFF"
PASSWORD = "Secret123456"
SECRETS = (ROUTE_B_ID, PASSWORD)

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """What the owner of a site gave."""
    path = tmp_path / "owner.toml"
    path.write_text(f'route_b_id = "{ROUTE_B_ID}"\npassword = "{PASSWORD}"\n')
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the manager looks; there is nothing in it yet."""
    path = tmp_path / "site-access.toml"
    path.touch(mode=0o600)
    return path


@pytest.fixture
def manager(tmp_path: Path, file: Path) -> Iterator[ManagerProcess]:
    """A manager with that file."""
    settings: dict[str, object] = {"file": str(file)}
    with running_manager(tmp_path, "", site_access=settings) as process:
        yield process


def register(file: Path, secret: Path, site: str, *options: str) -> int:
    """What an operator does on the manager's machine."""
    return main(["site-access", "set", site, "--from", str(secret), "--file", str(file), *options])


async def handed(cable: RecordingCable) -> list[pb.SiteAccess]:
    """What a cable is handed when it connects."""
    found = []
    async with cable.session() as (call, _):
        await call.write(cable.next_entry(cable.counted(past_period(cable.sequence))))

        def noted(told: pb.ConnectResponse) -> bool:
            if told.HasField("site_access"):
                found.append(told.site_access)
            return told.ack.committed_sequence_number >= cable.sequence

        await read_until(call, noted)
        # It may stand behind the first acknowledgement in one batch, never behind the second.
        await call.write(cable.next_entry(cable.counted(past_period(cable.sequence))))
        await read_until(call, noted)
    return found


def test_the_cable_it_is_for_gets_it_and_nobody_else(
    manager: ManagerProcess, file: Path, secret: Path, capsys: Capture
) -> None:
    async def scenario() -> None:
        site, own, other = new_site(), RecordingCable(manager), RecordingCable(manager)
        stranger = RecordingCable(manager, site_id=site)
        assert await handed(own) == []
        assert register(file, secret, site, "--cable", own.name) == 0
        assert await handed(own) == [
            pb.SiteAccess(site_id=site, route_b_id=ROUTE_B_ID, route_b_password=PASSWORD)
        ]
        assert await handed(other) == []
        assert await handed(stranger) == [], "to name the site is not enough"
        assert register(file, secret, site, "--any-cable") == 0
        assert [access.site_id for access in await handed(stranger)] == [site]
        assert await handed(own) == [], "it is replaced, not added to"
        async with tools(manager) as admin:
            entries = await listed(admin.audit_entries())
        noted = [(e.actor, e.subject) for e in entries if e.action == "SITE_ACCESS_HANDED_OVER"]
        assert noted == [(f"cable/{own.name}", site), (f"cable/{stranger.name}", site)]
        assert main(["site-access", "remove", site, "--file", str(file)]) == 0
        assert await handed(stranger) == []
        everything = "".join(str(entry) for entry in entries)
        assert not [each for each in SECRETS if each in everything]

    asyncio.run(scenario())
    told = manager.program.log.read_text() + "".join(capsys.readouterr())
    assert "site_access.handed_over" in told
    assert not [each for each in SECRETS if each in told]
    database = b"".join(path.read_bytes() for path in manager.program.folder.parent.glob("*.db*"))
    assert not [each for each in SECRETS if each.encode() in database]


def test_a_file_that_is_damaged_leaves_what_was_there_and_says_no_secret(
    manager: ManagerProcess, file: Path, secret: Path
) -> None:
    async def scenario() -> None:
        cable = RecordingCable(manager)
        assert register(file, secret, cable.site_id, "--cable", cable.name) == 0
        assert len(await handed(cable)) == 1
        good = await asyncio.to_thread(file.read_text)
        for damaged in (good + f"broken {PASSWORD}", good.replace(PASSWORD, f"{PASSWORD}!"), "[a"):
            await asyncio.to_thread(file.write_text, damaged)
            assert len(await handed(cable)) == 1
        await asyncio.to_thread(file.chmod, 0o644)
        assert len(await handed(cable)) == 1

    asyncio.run(scenario())
    log = manager.program.log.read_text()
    assert log.count("site_access.refused") >= 4
    assert not [each for each in SECRETS if each in log]


def test_the_command_keeps_the_file_to_its_owner_and_shows_no_secret(
    tmp_path: Path, secret: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, first, second = tmp_path / "new.toml", new_site(), new_site()
    assert register(file, secret, first, "--cable", "c-1", "--cable", "c-2") == 0
    monkeypatch.setattr("sys.stdin", io.StringIO(secret.read_text()))
    assert register(file, Path("-"), second, "--any-cable") == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert read_site_access(file)[SiteId(first)].password == PASSWORD
    capsys.readouterr()
    assert main(["site-access", "list", "--file", str(file), "--json"]) == 0
    told = capsys.readouterr().out
    assert {row["site_id"]: row["cables"] for row in json.loads(told)["site_access"]} == {
        first: ["c-1", "c-2"],
        second: [],
    }
    assert main(["site-access", "list", "--file", str(file)]) == 0
    told += capsys.readouterr().out
    assert "any cable there" in told
    assert not [each for each in SECRETS if each in told]
    assert main(["site-access", "remove", "obis:9999999999", "--file", str(file)]) == 1


@pytest.mark.parametrize(
    ("content", "options", "advice"),
    [
        (f'route_b_id = "{ROUTE_B_ID}"\npassword = "{PASSWORD}"', [], "name the cables"),
        (f'route_b_id = "{ROUTE_B_ID}1"\npassword = "{PASSWORD}"', ["--any-cable"], "32 hexa"),
        (f'route_b_id = "{ROUTE_B_ID}"\npassword = "{PASSWORD}x"', ["--any-cable"], "12 letters"),
        (f"password = {PASSWORD}", ["--any-cable"], "is no TOML"),
        (f'password = "{PASSWORD}"', ["--cable", "C 1"], "not an id"),
    ],
    ids=["for_nobody", "no_id", "no_password", "no_toml", "no_cable"],
)
def test_what_cannot_be_registered_is_2_and_says_no_secret(
    tmp_path: Path, file: Path, capsys: Capture, content: str, options: list[str], advice: str
) -> None:
    secret = tmp_path / "owner.toml"
    secret.write_text(content)
    assert register(file, secret, new_site(), *options) == 2
    told = "".join(capsys.readouterr())
    assert advice in told
    assert not [each for each in SECRETS if each in told]
    assert file.read_text() == ""


def test_a_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "site-access.toml"
    file.touch(mode=0o640)
    with pytest.raises(SiteAccessError, match="chmod 600"):
        read_site_access(file)
