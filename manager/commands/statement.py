"""`gridcord statement`: what a driver or a host earned and owes in a month."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import sqlalchemy as sa
import typer
from sqlalchemy.engine import Connection

from gridcord.cli.ending import CommandError
from gridcord.evidence.derivation import gathered
from gridcord.settlement.account import Account, AccountKind
from gridcord.settlement.statement import Statement
from gridcord.settlement.statement_lines import driver_statement, host_statement
from gridcord.settlement.statement_page import statement_page
from gridcord.settlement.statement_table import statement_csv, statement_json
from gridcord.settlement.terms import Terms
from manager.commands.ledger import MonthOption, Zone, month_of
from manager.commands.stored import (
    DatabaseOption,
    DataOption,
    currency_of,
    named_database,
    snapshot,
    terms_of,
)
from manager.storage.ledger.entries import FACT, LEDGER, POSTING, facts_of
from manager.storage.rows import TransferRow

app = typer.Typer(help="Monthly statements of drivers and hosts.", no_args_is_help=True)

TRANSFER: sa.Table = TransferRow.__table__  # type: ignore[attr-defined]


class Form(StrEnum):
    """How a statement is written."""

    JSON = "json"
    CSV = "csv"
    HTML = "html"


_WRITERS: dict[Form, Callable[[Statement], str]] = {
    Form.JSON: statement_json,
    Form.CSV: statement_csv,
    Form.HTML: statement_page,
}

Output = Annotated[
    Path | None, typer.Option("--output", "-o", help="A file; standard output if not said.")
]
FormOption = Annotated[Form, typer.Option("--format", help="How it is written.")]
AsJson = Annotated[bool, typer.Option("--json", help="The same as --format json.")]
CurrencyOption = Annotated[
    str | None, typer.Option("--currency", help="ISO 4217; the tariff's if not said.")
]


@app.command()
def driver(
    driver_id: Annotated[str, typer.Argument(help="The driver.")],
    month: MonthOption,
    database: DatabaseOption = None,
    data: DataOption = None,
    zone: Zone = None,
    currency: CurrencyOption = None,
    form: FormOption = Form.HTML,
    as_json: AsJson = False,
    output: Output = None,
) -> None:
    """What a driver earned and owes, every half hour of a month."""
    with snapshot(named_database(database, data)) as connection:
        _check_driver(connection, driver_id)
        statement = _made(
            connection,
            driver_statement,
            {"driver_id": driver_id},
            Account(AccountKind.DRIVER, driver_id),
            TRANSFER.c.driver_id == driver_id,
            (month, zone, currency),
        )
    _write(statement, Form.JSON if as_json else form, output)


@app.command()
def host(
    host_id: Annotated[str, typer.Argument(help="The host.")],
    month: MonthOption,
    database: DatabaseOption = None,
    data: DataOption = None,
    zone: Zone = None,
    currency: CurrencyOption = None,
    form: FormOption = Form.HTML,
    as_json: AsJson = False,
    output: Output = None,
) -> None:
    """What a host's own energy costs and what guests' fees bring, every half hour of a month."""
    with snapshot(named_database(database, data)) as connection:
        sites = _sites_of_host(terms_of(connection), host_id)
        statement = _made(
            connection,
            host_statement,
            {"host_id": host_id},
            Account(AccountKind.HOST, host_id),
            None,
            (month, zone, currency),
            sites,
        )
    _write(statement, Form.JSON if as_json else form, output)


def _check_driver(connection: Connection, driver_id: str) -> None:
    """Refuse a name that no record has: a mistyped one would get an empty statement."""
    query = sa.select(TRANSFER.c.driver_id).where(TRANSFER.c.driver_id == driver_id).limit(1)
    if connection.execute(query).first() is None:
        message = f"no record has a driver called {driver_id}"
        raise CommandError(message)


def _sites_of_host(terms: Terms, host_id: str) -> list[str]:
    sites = {each.site_id for each in terms.sites.values() if each.host_id == host_id}
    sites |= {each.site_id for each in terms.consents if each.host_id == host_id}
    if not sites:
        message = f"no site has a host called {host_id}"
        raise CommandError(message)
    return sorted(sites)


def _made(
    connection: Connection,
    make: Callable[..., Statement],
    who: dict[str, str],
    account: Account,
    own: Any,
    chosen: tuple[str, str | None, str | None],
    sites: list[str] | None = None,
) -> Statement:
    """The statement, from the facts of every site and cable that it concerns."""
    terms = terms_of(connection)
    month = month_of(chosen[0], chosen[1] or terms.tariffs.versions[0].schedule.zone)
    currency = chosen[2] or currency_of(terms)
    start_s, end_s = month.bounds()
    cables: list[str] = []
    if sites is None:
        within = (own, TRANSFER.c.period_start >= start_s, TRANSFER.c.period_start < end_s)
        query = sa.select(TRANSFER.c.site_id, TRANSFER.c.cable_id).where(*within).distinct()
        rows = connection.execute(query).all()
        sites = sorted({row.site_id for row in rows})
        cables = sorted({row.cable_id for row in rows})
    facts = facts_of(
        connection,
        FACT.c.period_start >= start_s,
        FACT.c.period_start < end_s,
        FACT.c.site_id.in_(sites) | FACT.c.cable_id.in_(cables),
    )
    return make(
        **who,
        month=month,
        currency=currency,
        known=gathered(each.known for each in facts),
        terms=terms,
        opening_micros=_opening(connection, account, currency, start_s),
    )


def _opening(connection: Connection, account: Account, currency: str, start_s: int) -> int:
    """What is known of the time before, micros."""
    query = (
        sa.select(sa.func.sum(POSTING.c.micros))
        .join(LEDGER, LEDGER.c.ledger_number == POSTING.c.ledger_number)
        .where(
            POSTING.c.account == str(account),
            POSTING.c.currency == currency,
            LEDGER.c.period_start < start_s,
        )
    )
    return int(connection.execute(query).scalar() or 0)


def _write(statement: Statement, form: Form, output: Path | None) -> None:
    text = _WRITERS[form](statement)
    if output is None:
        typer.echo(text, nl=not text.endswith("\n"))
        return
    try:
        output.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        message = f"{output} cannot be written: {error.strerror}"
        raise CommandError(message) from error
    typer.echo(f"{output}: {len(statement.lines)} half hours, {statement.payable} to be paid")
