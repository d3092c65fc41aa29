"""`gridcord ledger`: whether it is right, whether the utility agrees, and closing a month."""

from __future__ import annotations

import getpass
import json
import time
from dataclasses import asdict
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table
from sqlalchemy.engine import Connection

from gridcord.chassis.exit_codes import ExitCode
from gridcord.cli.ending import CommandError
from gridcord.cli.tables import AsJson, console
from gridcord.settlement.facts import Payout
from gridcord.settlement.statement import Month
from gridcord.units import Money
from manager.commands.stored import (
    DatabaseOption,
    DataOption,
    changed,
    currency_of,
    named_database,
    snapshot,
    terms_of,
)
from manager.storage.ledger.check import check_ledger, reconcile
from manager.storage.ledger.payouts import NotOver, close_month

app = typer.Typer(
    help="Check the ledger; compare with the utility; close a month.", no_args_is_help=True
)

MonthOption = Annotated[str, typer.Option("--month", metavar="YYYY-MM", help="Which month.")]
Zone = Annotated[str | None, typer.Option("--zone", help="Its local time; the tariff's if not.")]


@app.callback()
def main() -> None:
    """Check the ledger; compare with the utility; close a month."""


@app.command()
def check(
    database: DatabaseOption = None, data: DataOption = None, as_json: AsJson = False
) -> None:
    """Sum every line, derive every entry again from its facts, and look for each record once.

    Exit code 0 when the ledger is right, 1 when it is not, 2 when it cannot be read.
    """
    with snapshot(named_database(database, data)) as connection:
        found = check_ledger(connection, terms_of(connection))
    if as_json:
        typer.echo(json.dumps({"ok": not found.problems, **asdict(found)}, indent=2))
    else:
        typer.echo(f"{found.entries:,} entries follow from {found.facts:,} facts")
        for currency, micros in found.sums.items():
            typer.echo(f"all lines in {currency} sum to {Money(currency, micros)}")
        if found.waiting:
            typer.echo(f"{found.waiting:,} records wait to be settled")
        for problem in found.problems:
            typer.echo(f"wrong: {problem}")
        typer.echo("the ledger is not right" if found.problems else "the ledger is right")
    if found.problems:
        raise typer.Exit(ExitCode.NEGATIVE)


@app.command("reconcile")
def reconcile_command(
    month: MonthOption,
    database: DatabaseOption = None,
    data: DataOption = None,
    zone: Zone = None,
    as_json: AsJson = False,
) -> None:
    """Compare what cables and meters told with the utility's readings, by site.

    Exit code 1 when a period of a site differs by more than the steps of both meters.
    """
    with snapshot(named_database(database, data)) as connection:
        terms = terms_of(connection)
        chosen = month_of(month, zone or terms.tariffs.versions[0].schedule.zone)
        start_s, end_s = chosen.bounds()
        sites = reconcile(connection, start_s=start_s, end_s=end_s)
    if as_json:
        plain = {"month": chosen.name, "zone": chosen.zone, "sites": [asdict(s) for s in sites]}
        typer.echo(json.dumps(plain, indent=2))
    else:
        table = Table(box=None, pad_edge=False)
        for title in ("site", "periods", "charged Wh", "discharged Wh", "read", "import Wh"):
            table.add_column(title)
        for title in ("export Wh", "revised", "compared", "differing", "difference Wh"):
            table.add_column(title)
        for each in sites:
            values = asdict(each)
            order = ("site_id", "periods", "charged_wh", "discharged_wh", "read")
            more = ("utility_import_wh", "utility_export_wh", "revised", "compared")
            names = (*order, *more, "differing", "difference_wh")
            table.add_row(*(escape(str(values[name])) for name in names))
        console().print(table if sites else "[dim]no records[/]")
    if any(each.differing for each in sites):
        raise typer.Exit(ExitCode.NEGATIVE)


@app.command("close")
def close_command(
    month: MonthOption,
    database: DatabaseOption = None,
    data: DataOption = None,
    zone: Zone = None,
    currency: Annotated[
        str | None, typer.Option("--currency", help="ISO 4217; the tariff's if not said.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Post what every driver and host is paid for a month, rounded once; the manager may run.

    Whoever was paid for the month is not paid again. What comes in later is carried over.
    """

    def work(connection: Connection) -> list[Payout]:
        terms = terms_of(connection)
        chosen = month_of(month, zone or terms.tariffs.versions[0].schedule.zone)
        return close_month(
            connection,
            terms,
            chosen,
            currency=currency or currency_of(terms),
            actor=f"local/{getpass.getuser()}",
            now_s=int(time.time()),
        )

    try:
        payouts = changed(named_database(database, data), work)
    except NotOver as error:
        raise CommandError(str(error), exit_code=ExitCode.NEGATIVE) from error
    if as_json:
        paid = [{"account": str(p.account), "amount": str(p.amount)} for p in payouts]
        typer.echo(json.dumps({"month": month, "payouts": paid}, indent=2))
        return
    for payout in payouts:
        typer.echo(f"{payout.account}  {payout.amount}")
    typer.echo(f"{month}: {len(payouts)} payouts posted")


def month_of(name: str, zone: str) -> Month:
    """The month of the options.

    Raises:
        CommandError: There is no such month or zone.
    """
    try:
        return Month(name=name, zone=zone)
    except ValueError as error:
        raise CommandError(str(error)) from error
