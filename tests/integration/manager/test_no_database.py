"""A manager without its database ends with one line that says so, and never with a traceback."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest

from gridcord.chassis.identity import Kind, Principal
from gridcord.chassis.pki import PkiFolder
from gridcord.simulation.processes import Program, ProgramFailed
from tests.integration.manager.conftest import DOMAIN


def ended(folder: Path, database: dict[str, str]) -> tuple[int, str]:
    """Exit code and log of a manager that cannot start."""
    pki = PkiFolder(folder / "pki")
    pki.create(domain=DOMAIN, now_s=time.time() - 60)
    own = Principal(domain=DOMAIN, kind=Kind.MANAGER, id="main")
    files = pki.issue(own, now_s=time.time() - 60)
    tls = {"certificate": files.certificate, "key": files.key, "roots": files.roots}
    program = Program(
        "manager",
        folder / "manager",
        {"tls": tls, "database": database, "log": {"format": "json"}},
    )
    program.start()
    with pytest.raises(ProgramFailed):
        program.wait_ready()
    return program.stop(), program.log.read_text("utf-8")


def test_a_file_that_cannot_be_opened_is_named_and_not_tried_again(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    exit_code, log = ended(tmp_path, {"file": str(tmp_path / "taken")})
    assert exit_code == 2
    assert f"database.file: cannot open {tmp_path}/taken" in log
    assert "Traceback" not in log


def test_a_server_that_does_not_answer_is_a_failure_that_is_tried_again(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    exit_code, log = ended(tmp_path, {"url": f"postgresql+psycopg://nobody@127.0.0.1:{port}/none"})
    assert exit_code == 1, "systemd starts it again"
    assert '"event": "database.unavailable"' in log
    assert "Traceback" not in log
