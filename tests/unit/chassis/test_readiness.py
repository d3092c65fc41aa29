"""What would keep a program from starting is told before it does: a line each, and what to do."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

import pytest

from gridcord.chassis.identity import Kind, Principal
from gridcord.chassis.pki import PkiFolder
from gridcord.chassis.program import ServerSettings
from gridcord.chassis.readiness import obstacles
from gridcord.chassis.settings import FilledFolder, PlacedFile, Section, WrittenFile, load_settings
from gridcord.chassis.supervisor import write_ready_file

NOBODY = 65_534


class StoreSettings(Section):
    """Paths of all kinds."""

    file: WrittenFile | None = None
    socket: PlacedFile | None = None
    folder: FilledFolder | None = None


class TestSettings(ServerSettings):
    """A program that only exists here."""

    __test__ = False
    program: ClassVar[str] = "test"

    store: StoreSettings = StoreSettings()


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder that other accounts can see, with an identity that they can read."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    pki = PkiFolder(folder / "pki")
    pki.create(domain="grid.example", now_s=time.time() - 60)
    for name in ("main", "other"):
        principal = Principal(domain="grid.example", kind=Kind.MANAGER, id=name)
        pki.issue(principal, now_s=time.time() - 60)
    for each in (folder / "pki").rglob("*"):
        each.chmod(0o755)
    (folder / "pki").chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@contextmanager
def nobody() -> Iterator[None]:
    """Without the rights of root, which the tests may run as."""
    if os.geteuid() != 0:
        yield
        return
    "".encode("idna")  # a codec of the standard library, which nobody may be unable to load
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def told(home: Path, text: str = "", *, certificate: str = "main") -> list[str]:
    """What is in the way of a program with such settings."""
    own, key = home / "pki" / f"manager-{certificate}", home / "pki" / "manager-main" / "key.pem"
    config = home / "test.toml"
    config.write_text(
        f'[tls]\ncertificate = "{own}/certificate.pem"\nkey = "{key}"\nroots = "{own}/roots.pem"\n'
        + text
    )
    settings = load_settings(TestSettings, config)
    with nobody():
        return list(obstacles(settings))


def the_one(complaints: list[str], *parts: str) -> None:
    """Exactly one complaint, on one line, that says all of it."""
    (complaint,) = complaints
    assert "\n" not in complaint
    assert [part for part in parts if part not in complaint] == []


def test_nothing_is_in_the_way_of_good_settings(home: Path) -> None:
    data = home / "data"
    data.mkdir()
    data.chmod(0o777)
    tables = '[store]\nfile = "data/new/store.db"\nsocket = "data/socket"\nfolder = "data/inbox"'
    assert told(home, tables) == []
    assert list(data.iterdir()) == [], "it looks, and changes nothing"


def test_a_folder_that_is_not_writable_is_named(home: Path) -> None:
    data = home / "data"
    data.mkdir()
    (data / "store.db").touch()
    (data / "store.db").chmod(0o444)
    data.chmod(0o555)
    account = pwd.getpwuid(os.geteuid() or NOBODY).pw_name
    folder = told(home, '[store]\nfolder = "data"')
    the_one(folder, "store.folder:", "cannot write to", f"chown {account} {data}")
    the_one(told(home, '[store]\nfile = "data/store.db"'), "store.file:", "cannot write")
    the_one(
        told(home, '[store]\nfile = "data/absent/store.db"'),
        "store.file:",
        "there is no folder",
        f"install -d -o {account} {data}/absent",
    )


def test_what_is_no_folder_or_no_file_is_named(home: Path) -> None:
    home.chmod(0o777)
    (home / "file").touch()
    (home / "folder").mkdir()
    the_one(told(home, '[store]\nfile = "file/store.db"'), "store.file:", "file is no folder")
    the_one(told(home, '[store]\nfile = "folder"'), "store.file:", "is a folder: name a file")
    the_one(told(home, '[store]\nsocket = "absent/s"'), "store.socket:", "no folder", "install -d")


def test_an_identity_that_cannot_be_used_is_named(home: Path) -> None:
    the_one(told(home, certificate="other"), "tls:", "is not the key of", "of one identity")
    key = home / "pki" / "manager-main" / "key.pem"
    key.write_text("damaged")
    the_one(told(home), "tls:", "no unencrypted PEM key")
    key.unlink()
    the_one(told(home), "tls.key:", "finds no", "key.pem")


def test_a_certificate_that_expired_is_named(home: Path) -> None:
    folder = home / "pki" / "manager-main"
    PkiFolder(home / "pki").renew(folder, now_s=time.time() - 20 * 86_400, days=7)
    (folder / "certificate.pem").chmod(0o644)
    the_one(told(home), "tls: ", "expired at", "renew it")


def test_a_deny_list_that_means_nothing_is_named(home: Path) -> None:
    (home / "deny").write_text("c-0001\n")
    the_one(told(home, '[deny_list]\nfile = "deny"'), "deny_list:", "c-0001", "mend the line")
    the_one(told(home, '[deny_list]\nfile = "absent"'), "deny_list.file:", "finds no")


@pytest.mark.parametrize("table", ["listen", "metrics"])
def test_an_address_that_is_taken_or_not_ours_is_named(home: Path, table: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        the_one(told(home, f'[{table}]\naddress = "{address}"'), f"{table}.address:", address)
    assert told(home, f'[{table}]\naddress = "{address}"') == []
    foreign = f'[{table}]\naddress = "192.0.2.1:0"'
    the_one(told(home, foreign), f"{table}.address:", "not an address of this machine")
    the_one(told(home, f'[{table}]\naddress = "no.such.host.invalid:0"'), f"{table}.address:")


def test_a_program_that_runs_does_not_stand_in_its_own_way(home: Path) -> None:
    ready, text = home / "ready.json", '[listen]\nready_file = "ready.json"\naddress = "{}"'
    home.chmod(0o777)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        write_ready_file(ready, {"grpc": address, "pid": os.getpid()})
        ready.chmod(0o666)
        assert told(home, text.format(address)) == []
        write_ready_file(ready, {"grpc": "127.0.0.1:1", "pid": os.getpid()})
        ready.chmod(0o666)
        the_one(told(home, text.format(address)), "listen.address:", "perhaps this program")
