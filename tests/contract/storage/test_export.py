"""`gridcord export`: every row once, in files that are whole or not there, in bounded memory."""

from __future__ import annotations

import csv
import json
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from pyarrow import parquet

from gridcord.cli.main import main
from gridcord.metering.reading import ReadingSource, SiteReading
from gridcord.units import Period, SiteId
from manager.commands.export import BATCH
from manager.commands.row_files import Form, open_rows
from manager.storage.engine import Database
from manager.storage.ledger.entries import LedgerWriter
from manager.storage.ledger.terms import adopt_terms
from manager.storage.schema import migrate
from manager.storage.sites.readings import insert_readings
from tests.contract.storage.test_ledger import NOW_S, TERMS, facts
from tests.unit.settlement.cases import PERIOD

COUNT = 2 * BATCH + 17
SITE = SiteId("obis:4530303033")


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = Database(database_url)
    migrate(opened)
    opened.write_now(lambda c: adopt_terms(c, TERMS, now_s=NOW_S, period_s=1800))
    yield opened
    opened.close()


@pytest.fixture
def address(database_url: str) -> str:
    return database_url.removeprefix("sqlite:///")


def fill(database: Database, count: int) -> None:
    """Readings of one site, one a period."""
    readings = [
        SiteReading(
            site_id=SITE,
            period=PERIOD.next(number),
            source=ReadingSource.UTILITY,
            import_wh=number,
            export_wh=None,
        )
        for number in range(count)
    ]
    database.write_now(lambda c: insert_readings(c, readings, receive_s=NOW_S))


def test_every_reading_once_in_each_form(
    database: Database, address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(database, COUNT)
    for name in ("a.csv", "a.parquet", "a.jsonl"):
        assert main(["export", "readings", "--database", address, "-o", str(tmp_path / name)]) == 0
        assert f"{name}: {COUNT:,} rows, " in capsys.readouterr().err
    with (tmp_path / "a.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    table = parquet.read_table(tmp_path / "a.parquet")
    lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert table.to_pylist() == lines
    assert [int(row["import_wh"]) for row in rows] == list(range(COUNT))
    assert [line["import_wh"] for line in lines] == list(range(COUNT))
    assert {line["export_wh"] for line in lines} == {None}
    assert rows[0]["period_start"] == lines[0]["period_start"] == str(PERIOD)
    assert {"a.csv", "a.parquet", "a.jsonl"} <= {each.name for each in tmp_path.iterdir()}
    assert not list(tmp_path.glob(".*.draft"))


def test_from_and_to_bound_the_periods(
    database: Database, address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(database, 10)
    begin, end = (
        datetime.fromtimestamp(PERIOD.next(number).start_s, UTC).isoformat() for number in (2, 5)
    )
    wanted = ("--from", begin, "--to", end, "--json")
    assert main(["export", "readings", "--database", address, *wanted]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["import_wh"] for line in lines] == [2, 3, 4]


def test_lines_of_the_ledger_sum_to_zero_in_a_file(
    database: Database, address: str, tmp_path: Path
) -> None:
    database.write_now(lambda c: LedgerWriter(c, TERMS, now_s=NOW_S).add(facts()))
    path = tmp_path / "ledger.parquet"
    month = Period.containing(PERIOD.start_s).start.strftime("%Y-%m")
    wanted = ("--month", month, "--zone", "UTC")
    assert main(["export", "ledger", "--database", address, *wanted, "-o", str(path)]) == 0
    lines = parquet.read_table(path).to_pylist()
    assert len(lines) > 4
    assert sum(line["micros"] for line in lines) == 0
    assert {line["currency"] for line in lines} == {"JPY"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--format", "parquet"), "give -o FILE.parquet"),
        (("--month", "2026-13"), "2026-13"),
        (("--month", "2026-11", "--from", "2026-11-01"), "--month, or --from"),
        (("--from", "yesterday"), "no time"),
        (("-o", "nowhere/rows.csv"), "nowhere/rows.csv cannot be written"),
    ],
)
def test_what_is_wrong_is_said(
    database: Database,
    address: str,
    arguments: tuple[str, ...],
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["export", "readings", "--database", address, *arguments]) == 2
    assert said in capsys.readouterr().err


def test_a_file_that_was_there_stays_when_an_export_fails(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("before")
    columns = [sa.Column("number", sa.BigInteger())]
    message = "the database went away"

    def export(form: Form) -> None:
        with open_rows(path, form, columns) as file:
            file.add([(1,), (2,)])
            raise ConnectionError(message)

    for form in (Form.CSV, Form.PARQUET):
        with pytest.raises(Exception, match=r"went away|cannot be written"):
            export(form)
        assert path.read_text() == "before"
        assert [each.name for each in tmp_path.iterdir()] == ["rows.csv"]


def test_memory_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    columns: list[sa.Column[Any]] = [sa.Column("number", sa.BigInteger())]
    columns.append(sa.Column("text", sa.Text()))

    def peak(batches: int) -> int:
        tracemalloc.start()
        with open_rows(tmp_path / "rows.csv", Form.CSV, columns) as file:
            for batch in range(batches):
                file.add([(batch * 1_000 + n, f"site-{n}") for n in range(1_000)])
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    assert peak(40) < 2 * peak(2)
