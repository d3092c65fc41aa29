"""`gridcord reconcile`: what we told the utility, what it confirms, and where they differ."""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import sqlalchemy as sa
import typer
from rich.markup import escape
from rich.table import Table
from sqlalchemy.exc import SQLAlchemyError

from gridcord.chassis.exit_codes import ExitCode
from gridcord.chassis.settings import SettingsError, load_settings
from gridcord.cli.ending import CommandError
from gridcord.cli.tables import AsJson, From, To, console, within
from gridcord.clients.manager import Range
from gridcord.units import CableId
from utility_adapter.domain.reconciliation import (
    Finding,
    Reconciliation,
    ReconciliationLine,
    reconcile,
)
from utility_adapter.domain.transfers import (
    PeriodTransfer,
    ReportedTransfer,
    period_transfers,
)
from utility_adapter.settings import UtilityAdapterSettings
from utility_adapter.sources import FileRefused, ReadOptions, read_file
from utility_adapter.storage.store import Store

app = typer.Typer(help="Compare what was told to the utility with what it confirms.")

_WORST = 50  # lines of a table for people


@app.callback(invoke_without_command=True)
def reconcile_command(
    settings: Annotated[
        Path, typer.Option("--settings", metavar="FILE", help="Of the utility adapter (.toml).")
    ],
    confirmed: Annotated[
        Path,
        typer.Option(
            "--confirmed",
            metavar="FILE",
            help="What the utility holds: transfers as CSV, ESPI or NEM12, plain or zipped.",
        ),
    ],
    start: From = None,
    end: To = None,
    as_json: AsJson = False,
) -> None:
    """Compare by cable, site and period.

    Exit code 0 when the utility holds what it was told, 1 when it does not, 2 when a file cannot
    be used.
    """
    options = _settings(settings)
    times = within(start, end)
    found = reconcile(
        sent=_within(_sent(options.store.file), times),
        confirmed=_within(_confirmed(confirmed, options), times),
    )
    if as_json:
        typer.echo(json.dumps(_plain(found), indent=2))
    else:
        _print(found)
    if not found.settled:
        raise typer.Exit(ExitCode.NEGATIVE)


def _settings(path: Path) -> UtilityAdapterSettings:
    try:
        return load_settings(UtilityAdapterSettings, path)
    except SettingsError as error:
        raise CommandError(str(error)) from error


def _sent(file: Path) -> list[PeriodTransfer]:
    """Everything that was ever told, earlier states of a period included."""
    if not file.is_file():
        message = f"no such store: {file}"
        raise CommandError(message)
    engine = sa.create_engine(f"sqlite:///file:{file.resolve()}?mode=ro&uri=true")
    try:
        reports = Store(engine).transfers()
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", error)).splitlines()[0]
        message = f"{file} cannot be read as a utility adapter's store: {reason}"
        raise CommandError(message) from error
    finally:
        engine.dispose()
    return _history(reports)


def _history(reports: list[ReportedTransfer]) -> list[PeriodTransfer]:
    """The sums of each period after each report that changed it."""
    by_period: dict[Any, list[ReportedTransfer]] = {}
    for report in sorted(reports, key=lambda each: (each.received_at_s, each.revision)):
        place = (report.site_id, report.cable_id, report.period)
        by_period.setdefault(place, []).append(report)
    final = period_transfers(reports=reports)
    states = [
        state
        for others in by_period.values()
        for count in range(1, len(others))
        for state in period_transfers(reports=others[:count])
    ]
    return [*states, *final]


def _confirmed(path: Path, settings: UtilityAdapterSettings) -> list[PeriodTransfer]:
    names = settings.outbox.nem12.serials
    cables = {serial: CableId(cable) for cable, serial in names.items()}
    options = ReadOptions(
        received_at_s=time.time(),
        period_s=settings.inbox.period_s,
        cables=cables,
    )
    try:
        with read_file(path, options) as delivery:
            transfers = list(delivery.transfers)
    except FileRefused as refused:
        raise CommandError(str(refused)) from refused
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror}"
        raise CommandError(message) from error
    if not transfers:
        message = f"{path} holds no transfers through cables"
        raise CommandError(message)
    return transfers


def _within(transfers: list[PeriodTransfer], times: Range) -> list[PeriodTransfer]:
    first_s = -(2**62) if times.start_s is None else times.start_s
    end_s = 2**62 if times.end_s is None else times.end_s
    return [each for each in transfers if first_s <= each.period.start_s < end_s]


def _counts(found: Reconciliation) -> dict[str, int]:
    counts = Counter(line.finding for line in found.lines)
    return {finding.value: counts[finding] for finding in Finding}


def _plain(found: Reconciliation) -> dict[str, Any]:
    return {
        "settled": found.settled,
        "difference_wh": found.difference_wh,
        "found": _counts(found),
        "lines": [_line(each) for each in found.lines if each.finding is not Finding.AGREES],
    }


def _line(line: ReconciliationLine) -> dict[str, Any]:
    site_id, cable_id, period = line.key
    return {
        "site_id": site_id,
        "cable_id": cable_id,
        "period_start": str(period),
        "finding": line.finding.value,
        "sent_wh": None if line.sent is None else line.sent.transferred_wh,
        "confirmed_wh": None if line.confirmed is None else line.confirmed.transferred_wh,
        "difference_wh": line.difference_wh,
    }


def _print(found: Reconciliation) -> None:
    for finding, count in _counts(found).items():
        typer.echo(f"{finding.lower().replace('_', ' '):<14} {count:>9,}")
    typer.echo(f"they hold {found.difference_wh:+,} Wh net more than they were told")
    wrong = [_line(each) for each in found.lines if each.finding is not Finding.AGREES]
    if not wrong:
        return
    table = Table(box=None, pad_edge=False)
    for title in wrong[0]:
        table.add_column(title.replace("_", " "))
    for values in wrong[:_WORST]:
        table.add_row(*("" if v is None else escape(str(v)) for v in values.values()))
    console().print(table)
    if len(wrong) > _WORST:
        typer.echo(f"... and {len(wrong) - _WORST:,} more: --json lists all")
