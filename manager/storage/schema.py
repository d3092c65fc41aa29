"""Brings a database to the tables that this version works with."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Connection

from manager.storage import bid_rows, ledger_rows, market_rows  # noqa: F401  (tables of the metadata)
from manager.storage.engine import Database
from manager.storage.rows import metadata

MIGRATIONS = Path(__file__).parent / "migrations"


def configuration(connection: Connection) -> Config:
    """Alembic's configuration for one connection; no ini file is needed."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    return config


def migrate(database: Database) -> None:
    """Bring the tables to the newest step; nothing happens when they are there."""
    database.write_now(lambda connection: command.upgrade(configuration(connection), "head"))


def other_version(connection: Connection) -> str | None:
    """The step that a database's tables stand at where it is not this version's; None else.

    A database without any steps is none of a manager: None as well.
    """
    stands_at = MigrationContext.configure(connection).get_current_revision()
    newest = ScriptDirectory(str(MIGRATIONS)).get_current_head()
    return None if stands_at == newest else stands_at


def differences(connection: Connection) -> Iterable[Any]:
    """What the tables and the code's picture of them disagree about; empty when nothing."""
    options = {"compare_type": True}
    found: list[Any] = compare_metadata(
        MigrationContext.configure(connection, opts=options), metadata
    )
    return found
