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

from manager.storage.engine import Database
from manager.storage.ledger import rows as ledger_rows  # noqa: F401  (tables of the metadata)
from manager.storage.market import bid_rows, result_rows  # noqa: F401  (tables of the metadata)
from manager.storage.rows import metadata

MIGRATIONS = Path(__file__).parent / "migrations"


def configuration(connection: Connection) -> Config:
    """Alembic's configuration for one connection; no ini file is needed."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    return config


class WrongTables(ValueError):
    """The tables are not those of this version, and may not or cannot be brought there."""


def check_tables(database: Database, *, may_migrate: bool) -> None:
    """Refuse a database that this version must not work on.

    Args:
        database: Open.
        may_migrate: Whether older tables are brought to this version next.

    Raises:
        WrongTables: They are newer, or older and must stay so.
    """
    script = ScriptDirectory(str(MIGRATIONS))
    stands_at = database.read_now(
        lambda connection: MigrationContext.configure(connection).get_current_revision()
    )
    known = {each.revision for each in script.walk_revisions()}
    if stands_at is not None and stands_at not in known:
        message = f"its tables are of a newer version (step {stands_at}): start that version"
        raise WrongTables(message)
    if not may_migrate and stands_at != script.get_current_head():
        message = (
            f"its tables are of an older version (step {stands_at or 'none'}): "
            "start once with database.migrate = true"
        )
        raise WrongTables(message)


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
