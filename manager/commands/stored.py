"""Opens a manager's database for a command: one snapshot, or one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, TypeVar

import sqlalchemy as sa
import typer
from sqlalchemy.engine import Connection
from sqlalchemy.exc import SQLAlchemyError

from gridcord.chassis.settings import SettingsError, load_settings
from gridcord.cli.connection import DATA, demo_fact, demo_folder
from gridcord.cli.ending import CommandError
from gridcord.settlement.terms import Terms
from manager.ports import StoreFull, StoreUnavailable
from manager.settings import ManagerSettings
from manager.storage.engine import Database
from manager.storage.ledger.terms import stored_terms
from manager.storage.schema import other_version
from manager.storage.snapshot import open_snapshot

DatabaseOption = Annotated[
    str | None,
    typer.Option(
        "--database",
        metavar="FILE|URL",
        help="SQLite file, postgresql+psycopg:// address, or the manager's settings (.toml).",
    ),
]
DataOption = Annotated[
    Path | None,
    typer.Option("--data", metavar="DIR", help=f"Instead: the folder of a kept demo [{DATA}]."),
]

Value = TypeVar("Value")


def named_database(database: str | None, data: Path | None) -> str:
    """The database that options mean: --database, else the demo's of --data or the environment.

    Raises:
        CommandError: None is named, or the folder is none of a kept demo.
    """
    if database:
        return database
    folder = demo_folder(data)
    if folder is None:
        message = "which database? Give --database FILE|URL, or --data DIR for a kept demo"
        raise CommandError(message)
    kept = demo_fact(folder, "database")
    if kept is None:
        message = f"the demo in {folder} names no database"
        raise CommandError(message)
    return kept


@contextmanager
def snapshot(database: str) -> Iterator[Connection]:
    """A connection that sees one state of the database and can change nothing.

    Args:
        database: What `--database` takes.

    Raises:
        CommandError: There is no such database, or it is none of a manager.
    """
    url = _url(database)
    try:
        with open_snapshot(url) as connection:
            _check_version(connection, url)
            yield connection
    except SQLAlchemyError as error:
        message = f"{_shown(url)} cannot be read as a manager's database: {_reason(error)}"
        raise CommandError(message) from error


def changed(database: str, work: Callable[[Connection], Value]) -> Value:
    """Change a database in one transaction, also while a manager runs on it.

    Args:
        database: What `--database` takes.
        work: What is done.

    Raises:
        CommandError: There is no such database, it is none of a manager, or it cannot be written.
    """
    url = _url(database)

    def checked(connection: Connection) -> Value:
        _check_version(connection, url)
        return work(connection)

    opened = Database(url.render_as_string(hide_password=False))
    try:
        return opened.write_now(checked)
    except (SQLAlchemyError, StoreFull, StoreUnavailable) as error:
        message = f"{_shown(url)} cannot be changed: {_reason(error)}"
        raise CommandError(message) from error
    finally:
        opened.close()


def _check_version(connection: Connection, url: sa.URL) -> None:
    """Refuse tables of another version: what they say could be misread.

    Raises:
        CommandError: They are.
    """
    stands_at = other_version(connection)
    if stands_at is not None:
        message = (
            f"{_shown(url)} has the tables of another version of Gridcord (step {stands_at}): "
            "use that version, or start a manager of this version on it once"
        )
        raise CommandError(message)


def _reason(error: Exception) -> str:
    return str(getattr(error, "orig", error)).splitlines()[0]


def _shown(url: sa.URL) -> str:
    """Without a password."""
    return url.render_as_string(hide_password=True) if url.host else str(url.database)


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


def _url(database: str) -> sa.URL:
    if database.startswith("postgresql"):
        return sa.make_url(database)
    path = Path(database)
    if path.suffix == ".toml":
        return _of_settings(path)
    if not path.is_file():
        message = f"no such database: {database}"
        raise CommandError(message)
    return sa.URL.create("sqlite", database=str(path))


def _of_settings(path: Path) -> sa.URL:
    try:
        settings = load_settings(ManagerSettings, path).database
    except SettingsError as error:
        raise CommandError(str(error)) from error
    if settings.url is None and settings.file is None:
        message = f"{path} names no database"
        raise CommandError(message)
    return _url(settings.url or str(settings.file))
