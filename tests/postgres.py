"""A PostgreSQL server of the tests' own: finds the binaries, runs in a temporary folder.

No running service is needed, and root may run it: the server's processes are given to an
unprivileged user, as PostgreSQL demands.
"""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

import psycopg
from psycopg.sql import SQL, Identifier


def binaries() -> Path | None:
    """The folder that holds initdb and postgres; None where there is none."""
    candidates = [Path(os.environ.get("PG_BINDIR", "/nonexistent"))]
    candidates += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    if found := shutil.which("postgres"):
        candidates.append(Path(found).parent)
    return next((folder for folder in candidates if (folder / "initdb").exists()), None)


class PostgresServer:
    """A running server. `url()` makes a new empty database in it."""

    def __init__(self, folder: Path) -> None:
        self._bin = folder
        self._home = Path(tempfile.mkdtemp(prefix="gridcord-pg-"))
        self._user = self._unprivileged()
        self.port = self._free_port()
        self._names = (f"test{number}" for number in itertools.count())
        data = self._home / "data"
        self._run("initdb", "-D", data, "-U", "gridcord", "-A", "trust", "--no-sync", "-E", "UTF8")
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -k {self._home} -c fsync=on"
        self._run("pg_ctl", "-D", data, "-w", "-l", self._home / "log", "-o", options, "start")

    def url(self) -> str:
        """SQLAlchemy's address of a new empty database."""
        name = next(self._names)
        with psycopg.connect(self._address("postgres"), autocommit=True) as connection:
            connection.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
        return f"postgresql+psycopg://gridcord@127.0.0.1:{self.port}/{name}"

    def stop(self) -> None:
        """End the server and remove its folder."""
        self._run("pg_ctl", "-D", self._home / "data", "-m", "immediate", "-w", "stop")
        shutil.rmtree(self._home, ignore_errors=True)

    def _address(self, name: str) -> str:
        return f"postgresql://gridcord@127.0.0.1:{self.port}/{name}"

    def _unprivileged(self) -> str | None:
        if os.geteuid() != 0:
            return None
        name = next(n for n in ("postgres", "nobody") if self._exists(n))
        entry = pwd.getpwnam(name)
        os.chown(self._home, entry.pw_uid, entry.pw_gid)
        return name

    @staticmethod
    def _exists(name: str) -> bool:
        try:
            pwd.getpwnam(name)
        except KeyError:
            return False
        return True

    @staticmethod
    def _free_port() -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return int(probe.getsockname()[1])

    def _run(self, program: str, *arguments: str | Path) -> None:
        done = subprocess.run(
            [self._bin / program, *arguments],
            user=self._user,
            cwd=self._home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        if done.returncode:
            message = f"{program} failed: {done.stderr}"
            raise RuntimeError(message)
