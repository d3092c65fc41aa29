"""The database that settings name, opened, with the tables of this version."""

from __future__ import annotations

from pathlib import Path

from gridcord.chassis.settings import SettingsError
from manager.ports import StoreUnavailable
from manager.settings import DatabaseSettings
from manager.storage.engine import Database
from manager.storage.schema import WrongTables, check_tables, migrate

DEFAULT_FILE = Path("manager.db")


def open_database(settings: DatabaseSettings) -> Database:
    """Open the database and bring its tables to this version.

    Raises:
        SettingsError: Its tables are of another version, and must or can only stay so; or it is a
            file that cannot be opened.
        StoreUnavailable: The server does not answer.
    """
    file = settings.file or DEFAULT_FILE
    database = Database(settings.url or f"sqlite:///{file}")
    try:
        check_tables(database, may_migrate=settings.migrate)
    except WrongTables as error:
        database.close()
        message = f"database: {error}"
        raise SettingsError(message) from error
    except StoreUnavailable as error:
        database.close()
        if not database.is_sqlite:
            raise
        message = f"database.file: cannot open {file}: {error}"
        raise SettingsError(message) from error
    if settings.migrate:
        migrate(database)
    return database
