"""`gridcord export`: transfers and ledger entries of a month, row by row."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, TextIO

import sqlalchemy as sa
import typer
from sqlalchemy.engine import Connection

from gridcord.cli.ending import CommandError
from gridcord.units import Period
from manager.commands.ledger import MonthOption, Zone, month_of
from manager.commands.stored import DatabaseOption, snapshot, terms_of
from manager.storage.ledger import LEDGER, POSTING
from manager.storage.rows import TransferRow

app = typer.Typer(help="Rows for other programs.", no_args_is_help=True)

TRANSFER: sa.Table = TransferRow.__table__  # type: ignore[attr-defined]
_BATCH = 1_000


class Form(StrEnum):
    """How rows are written."""

    CSV = "csv"
    JSON = "json"


FormOption = Annotated[Form, typer.Option("--format", help="csv, or json: one object a line.")]
AsJson = Annotated[bool, typer.Option("--json", help="The same as --format json.")]
Output = Annotated[
    Path | None, typer.Option("--output", "-o", help="A file; standard output if not said.")
]

_TRANSFERS = (
    TRANSFER.c.cable_id,
    TRANSFER.c.journal_epoch,
    TRANSFER.c.sequence,
    TRANSFER.c.period_start,
    TRANSFER.c.period_length,
    TRANSFER.c.start_s,
    TRANSFER.c.end_s,
    TRANSFER.c.site_id,
    TRANSFER.c.driver_id,
    TRANSFER.c.vehicle_id,
    (TRANSFER.c.site_to_vehicle_end_wh - TRANSFER.c.site_to_vehicle_start_wh).label(
        "site_to_vehicle_wh"
    ),
    (TRANSFER.c.vehicle_to_site_end_wh - TRANSFER.c.vehicle_to_site_start_wh).label(
        "vehicle_to_site_wh"
    ),
    TRANSFER.c.quality,
    TRANSFER.c.clock_state,
    TRANSFER.c.currency,
    TRANSFER.c.availability_micros,
    TRANSFER.c.energy_micros,
    TRANSFER.c.tariff_version,
)
_LEDGER = (
    LEDGER.c.ledger_number,
    LEDGER.c.subject,
    LEDGER.c.serial,
    LEDGER.c.period_start,
    LEDGER.c.known_s,
    LEDGER.c.rule,
    LEDGER.c.reverses,
    POSTING.c.line,
    POSTING.c.account,
    POSTING.c.purpose,
    POSTING.c.currency,
    POSTING.c.micros,
    LEDGER.c.sources,
)


@app.command()
def transfers(
    database: DatabaseOption,
    month: MonthOption,
    zone: Zone = None,
    form: FormOption = Form.CSV,
    as_json: AsJson = False,
    output: Output = None,
) -> None:
    """Every record of a month with what it earned."""
    query = sa.select(*_TRANSFERS).order_by(TRANSFER.c.period_start, TRANSFER.c.entry_number)
    chosen = Form.JSON if as_json else form
    _export(database, query, TRANSFER.c.period_start, (month, zone), chosen, output)


@app.command()
def ledger(
    database: DatabaseOption,
    month: MonthOption,
    zone: Zone = None,
    form: FormOption = Form.CSV,
    as_json: AsJson = False,
    output: Output = None,
) -> None:
    """Every line of the ledger about a month, in the order in which entries were made."""
    query = (
        sa.select(*_LEDGER)
        .join(POSTING, POSTING.c.ledger_number == LEDGER.c.ledger_number)
        .order_by(LEDGER.c.ledger_number, POSTING.c.line)
    )
    chosen = Form.JSON if as_json else form
    _export(database, query, LEDGER.c.period_start, (month, zone), chosen, output)


def _export(
    database: str,
    query: Any,
    period_start: Any,
    chosen: tuple[str, str | None],
    form: Form,
    output: Path | None,
) -> None:
    with snapshot(database) as connection:
        zone = chosen[1] or terms_of(connection).tariffs.versions[0].schedule.zone
        start_s, end_s = month_of(chosen[0], zone).bounds()
        within = query.where(period_start >= start_s, period_start < end_s)
        with _opened(output) as file:
            count = _write(file, _rows(connection, within), form, within.selected_columns.keys())
    if output is not None:
        typer.echo(f"{output}: {count:,} rows", err=True)


def _rows(connection: Connection, query: Any) -> Iterator[dict[str, Any]]:
    """Rows, never all of them at once; periods by their time."""
    found = connection.execution_options(yield_per=_BATCH).execute(query)
    for row in found:
        values = dict(row._mapping)  # noqa: SLF001  (SQLAlchemy's public name of it)
        values["period_start"] = str(Period(values["period_start"], 1))
        yield values


def _write(file: TextIO, rows: Iterable[dict[str, Any]], form: Form, columns: Sequence[str]) -> int:
    count = 0
    table = csv.DictWriter(file, columns)
    if form is Form.CSV:
        table.writeheader()
    for row in rows:
        count += 1
        if form is Form.CSV:
            table.writerow(row)
        else:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    return count


@contextmanager
def _opened(output: Path | None) -> Iterator[TextIO]:
    if output is None:
        yield sys.stdout
        return
    try:
        with output.open("w", encoding="utf-8", newline="") as file:
            yield file
    except OSError as error:
        message = f"{output} cannot be written: {error.strerror}"
        raise CommandError(message) from error
