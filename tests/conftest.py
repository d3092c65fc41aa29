"""What several levels of tests need: databases."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.postgres import PostgresServer, binaries

os.environ.setdefault("GRPC_VERBOSITY", "NONE")

# Whoever runs the tests in the background ignores Ctrl-C for them; what they start must hear it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# How long one example takes says more of the machine than of the code.
settings.register_profile("gridcord", deadline=None)
settings.load_profile("gridcord")


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server; where there is none the tests are skipped, but never in CI."""
    folder = binaries()
    if folder is None:
        message = "PostgreSQL's server is not installed (Debian: apt-get install postgresql)"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    server = PostgresServer(folder)
    yield server
    server.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database, once on SQLite and once on PostgreSQL."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/manager.db"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.url()
