"""`gridcord export`: transfers, readings and ledger lines, row by row, however many there are."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import sqlalchemy as sa
import typer
from sqlalchemy.engine import Connection

from gridcord.cli.ending import CommandError
from gridcord.cli.tables import From, To, within
from gridcord.units import Period, epoch_text
from manager.commands.ledger import Zone, month_of
from manager.commands.row_files import Form, form_of, open_rows
from manager.commands.stored import DatabaseOption, DataOption, named_database, snapshot, terms_of
from manager.storage.ledger.entries import LEDGER, POSTING
from manager.storage.rows import TransferRow
from manager.storage.sites.readings import READING

app = typer.Typer(help="Rows for other programs.", no_args_is_help=True)

TRANSFER: sa.Table = TransferRow.__table__  # type: ignore[attr-defined]
BATCH = 10_000
_SHOW_S = 0.5

MonthOption = Annotated[
    str | None, typer.Option("--month", metavar="YYYY-MM", help="Instead of --from and --to.")
]
FormOption = Annotated[
    Form | None,
    typer.Option("--format", help="csv, json (one object a line) or parquet; by -o if not said."),
]
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
_READINGS = (
    READING.c.site_id,
    READING.c.period_start,
    READING.c.period_length,
    READING.c.source,
    READING.c.revision,
    READING.c.import_wh,
    READING.c.export_wh,
    READING.c.consumption_wh,
    READING.c.step_wh,
    READING.c.quality,
    READING.c.receive_s,
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


def _time(start_s: int) -> str:
    return str(Period(start_s, 1))


_AS_TEXT: dict[str, Callable[[int], str]] = {"period_start": _time, "journal_epoch": epoch_text}


@app.command()
def transfers(
    database: DatabaseOption = None,
    data: DataOption = None,
    start: From = None,
    end: To = None,
    month: MonthOption = None,
    zone: Zone = None,
    form: FormOption = None,
    as_json: AsJson = False,
    output: Output = None,
) -> None:
    """Every record with what it earned, by period."""
    query = sa.select(*_TRANSFERS).order_by(TRANSFER.c.period_start, TRANSFER.c.cable_id)
    query = query.order_by(TRANSFER.c.journal_epoch, TRANSFER.c.sequence)
    chosen = Form.JSON if as_json else form
    named = named_database(database, data)
    _export(named, query, TRANSFER.c.period_start, (start, end, month, zone), chosen, output)


@app.command()
def readings(
    database: DatabaseOption = None,
    data: DataOption = None,
    start: From = None,
    end: To = None,
    month: MonthOption = None,
    zone: Zone = None,
    form: FormOption = None,
    as_json: AsJson = False,
    output: Output = None,
) -> None:
    """Every reading of a site, by cables and by the utility, with all revisions, by site."""
    query = sa.select(*_READINGS).order_by(*READING.primary_key)
    chosen = Form.JSON if as_json else form
    named = named_database(database, data)
    _export(named, query, READING.c.period_start, (start, end, month, zone), chosen, output)


@app.command()
def ledger(
    database: DatabaseOption = None,
    data: DataOption = None,
    start: From = None,
    end: To = None,
    month: MonthOption = None,
    zone: Zone = None,
    form: FormOption = None,
    as_json: AsJson = False,
    output: Output = None,
) -> None:
    """Every line of the ledger about those periods, in the order in which entries were made."""
    query = (
        sa.select(*_LEDGER)
        .join(POSTING, POSTING.c.ledger_number == LEDGER.c.ledger_number)
        .order_by(LEDGER.c.ledger_number, POSTING.c.line)
    )
    chosen = Form.JSON if as_json else form
    named = named_database(database, data)
    _export(named, query, LEDGER.c.period_start, (start, end, month, zone), chosen, output)


def _export(
    database: str,
    query: sa.Select[Any],
    period_start: sa.Column[int],
    asked: tuple[str | None, str | None, str | None, str | None],
    form: Form | None,
    output: Path | None,
) -> None:
    chosen = form_of(output, form)
    with snapshot(database) as connection:
        start_s, end_s = _bounds(connection, *asked)
        if start_s is not None:
            query = query.where(period_start >= start_s)
        if end_s is not None:
            query = query.where(period_start < end_s)
        columns = [_shown(column) for column in query.selected_columns]
        progress = _Progress(output)
        with open_rows(output, chosen, columns) as file:
            for rows in _batches(connection, query):
                file.add(rows)
                progress.more(len(rows))
    progress.done()


def _bounds(
    connection: Connection, start: str | None, end: str | None, month: str | None, zone: str | None
) -> tuple[int | None, int | None]:
    """Begin and end of the periods wanted, seconds since 1970 UTC; None is open.

    Raises:
        CommandError: A month and times, or what is no month or time.
    """
    if month is None:
        times = within(start, end)
        return times.start_s, times.end_s
    if start or end:
        message = "give --month, or --from and --to"
        raise CommandError(message)
    return month_of(month, zone or terms_of(connection).tariffs.versions[0].schedule.zone).bounds()


def _shown(column: Any) -> sa.Column[Any]:
    """A column as it is written: see `_AS_TEXT`."""
    name: str = column.name
    return sa.Column(name, sa.Text() if name in _AS_TEXT else column.type)


def _batches(connection: Connection, query: sa.Select[Any]) -> Iterator[list[tuple[Any, ...]]]:
    """Rows, never all of them at once."""
    names = list(query.selected_columns.keys())
    texts = [(at, _AS_TEXT[name]) for at, name in enumerate(names) if name in _AS_TEXT]
    found = connection.execution_options(yield_per=BATCH).execute(query)
    for rows in found.partitions():
        yield [_written(row, texts) for row in rows]


def _written(row: Sequence[Any], texts: list[tuple[int, Callable[[int], str]]]) -> tuple[Any, ...]:
    values = list(row)
    for at, text in texts:
        values[at] = text(values[at])
    return tuple(values)


class _Progress:
    """One line on standard error that tells how far an export is.

    Args:
        output: What is written; None for standard output, then nothing is told.
    """

    def __init__(self, output: Path | None) -> None:
        self._output = output
        self._rows = 0
        self._begin_s = self._shown_s = time.monotonic()

    def more(self, rows: int) -> None:
        """Count rows; show them on a terminal, not too often."""
        self._rows += rows
        now_s = time.monotonic()
        if self._output and sys.stderr.isatty() and now_s - self._shown_s >= _SHOW_S:
            self._shown_s = now_s
            sys.stderr.write(f"\r{self._output}: {self._text(now_s)} ...")
            sys.stderr.flush()

    def done(self) -> None:
        """Say how many there were."""
        if self._output:
            lead = "\r" if sys.stderr.isatty() else ""
            sys.stderr.write(f"{lead}{self._output}: {self._text(time.monotonic())}    \n")

    def _text(self, now_s: float) -> str:
        speed = self._rows / max(now_s - self._begin_s, 1e-3)
        return f"{self._rows:,} rows, {speed:,.0f} rows/s"
