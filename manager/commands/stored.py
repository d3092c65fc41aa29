"""Opens a manager's database for a command: one snapshot, read-only."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import sqlalchemy as sa
import typer
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from gridcord.chassis.settings import SettingsError, load_settings
from gridcord.cli.ending import CommandError
from gridcord.settlement.terms import Terms
from manager.settings import ManagerSettings
from manager.storage.terms import stored_terms

DatabaseOption = Annotated[
    str,
    typer.Option(
        "--database",
        metavar="FILE|URL",
        help="SQLite file, postgresql+psycopg:// address, or the manager's settings (.toml).",
    ),
]


@contextmanager
def snapshot(database: str) -> Iterator[Connection]:
    """A connection that sees one state of the database and can change nothing.

    Args:
        database: What `--database` takes.

    Raises:
        CommandError: There is no such database, or it is none of a manager.
    """
    engine = _engine(database)
    try:
        with engine.connect() as connection, connection.begin():
            yield connection
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", error)).splitlines()[0]
        message = f"{_shown(database)} cannot be read as a manager's database: {reason}"
        raise CommandError(message) from error
    finally:
        engine.dispose()


def terms_of(connection: Connection) -> Terms:
    """What the ledger goes by.

    Raises:
        CommandError: No manager has kept a ledger there yet.
    """
    terms = stored_terms(connection)
    if terms is None:
        message = "no manager has kept a ledger in this database yet"
        raise CommandError(message)
    return terms


def currency_of(terms: Terms) -> str:
    """The currency drivers are paid in."""
    return terms.tariffs.versions[0].schedule.currency


def _engine(database: str) -> Engine:
    if database.startswith("postgresql"):
        return _postgres(database)
    path = Path(database)
    if path.suffix == ".toml":
        return _of_settings(path)
    if not path.is_file():
        message = f"no such database: {database}"
        raise CommandError(message)
    engine = sa.create_engine(f"sqlite:///file:{path.resolve()}?mode=ro&uri=true")
    sa.event.listen(engine, "connect", _manual)
    sa.event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    return engine


def _manual(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the begin event says how a transaction starts


def _postgres(url: str) -> Engine:
    engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
    return engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)


def _of_settings(path: Path) -> Engine:
    try:
        settings = load_settings(ManagerSettings, path).database
    except SettingsError as error:
        raise CommandError(str(error)) from error
    if settings.url is None and settings.file is None:
        message = f"{path} names no database"
        raise CommandError(message)
    return _engine(settings.url or str(settings.file))


def _shown(database: str) -> str:
    """Without a password."""
    if not database.startswith("postgresql"):
        return database
    return sa.make_url(database).render_as_string(hide_password=True)
