"""The tables are the same on both databases, and facts cannot be changed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from manager.storage.engine import Database, insert_many, take_numbers
from manager.storage.rows import AuditRow
from manager.storage.schema import WrongTables, check_tables, differences, migrate


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = Database(database_url)
    migrate(opened)
    yield opened
    opened.close()


def test_the_migrations_lead_to_what_the_code_expects(database: Database) -> None:
    assert list(database.write_now(differences)) == []


def test_migrating_twice_changes_nothing(database: Database) -> None:
    migrate(database)
    assert list(database.write_now(differences)) == []


def stand_at(database: Database, step: str) -> None:
    text = sa.text("UPDATE alembic_version SET version_num = :step")
    database.write_now(lambda connection: connection.execute(text, {"step": step}))


def test_tables_of_another_version_are_refused(database: Database) -> None:
    check_tables(database, may_migrate=False)
    stand_at(database, "0001")
    check_tables(database, may_migrate=True)
    with pytest.raises(WrongTables, match=r"older version \(step 0001\)"):
        check_tables(database, may_migrate=False)
    stand_at(database, "9999")
    for may_migrate in (False, True):
        with pytest.raises(WrongTables, match=r"newer version \(step 9999\)"):
            check_tables(database, may_migrate=may_migrate)


def test_a_commit_on_sqlite_reaches_the_disk(database: Database) -> None:
    if not database.is_sqlite:
        pytest.skip("PostgreSQL has its own setting")
    for ask in (database.write_now, database.read_now):
        mode = ask(lambda c: c.exec_driver_sql("PRAGMA journal_mode").scalar())
        sync = ask(lambda c: c.exec_driver_sql("PRAGMA synchronous").scalar())
        assert (mode, sync) == ("wal", 2)


@pytest.mark.parametrize("verb", ["UPDATE audit SET actor = 'x'", "DELETE FROM audit"])
def test_a_fact_is_never_changed(database: Database, verb: str) -> None:
    columns = ["audit_number", "create_s", "actor", "action", "subject", "detail", "chain_hash"]
    row = (1, 0, "manager", "TEST", "site", "{}", "0" * 64)
    database.write_now(
        lambda c: insert_many(c, AuditRow.__table__, columns, [row])  # type: ignore[attr-defined]
    )
    with pytest.raises(sa.exc.DBAPIError, match="append-only"):
        database.write_now(lambda c: c.exec_driver_sql(verb))


def test_numbers_rise_without_a_gap(database: Database) -> None:
    first = database.write_now(lambda c: take_numbers(c, "entry", 3))
    second = database.write_now(lambda c: take_numbers(c, "entry", 1))
    assert (first, second) == (1, 4)


def test_a_failed_transaction_gives_its_numbers_back(database: Database) -> None:
    def fail(connection: sa.Connection) -> None:
        take_numbers(connection, "entry", 5)
        message = "no"
        raise RuntimeError(message)

    with pytest.raises(RuntimeError):
        database.write_now(fail)
    assert database.write_now(lambda c: take_numbers(c, "entry", 1)) == 1
