"""Answers as tables for people or JSON for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, NamedTuple

import typer
from google.protobuf.timestamp_pb2 import Timestamp
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from gridcord.api.types.v1 import types_pb2
from gridcord.cli.ending import CommandError
from gridcord.cli.plain_message import enum_name, plain
from gridcord.clients.manager import Range
from gridcord.units import Money

_WIDE = 200  # columns, where no terminal says how many

AsJson = Annotated[bool, typer.Option("--json", help="Answer in JSON.")]
Limit = Annotated[int | None, typer.Option("--limit", min=1, help="Most rows; all if not said.")]
From = Annotated[
    str | None,
    typer.Option("--from", metavar="TIME", help="Periods from this time on, ISO 8601 (UTC)."),
]
To = Annotated[
    str | None,
    typer.Option("--to", metavar="TIME", help="Periods that start before it, ISO 8601 (UTC)."),
]


class Shown(NamedTuple):
    """A column: its title, what it shows of a row, and whether it is a number."""

    title: str
    of: Callable[[Any], str]
    number: bool = False


async def collected(rows: AsyncIterator[Any]) -> list[Any]:
    """All rows of all pages."""
    return [row async for row in rows]


def print_rows(name: str, rows: Sequence[Any], columns: Sequence[Shown], *, as_json: bool) -> None:
    """Print rows as a table, or as the JSON document {name: [...]}."""
    if as_json:
        typer.echo(json.dumps({name: [plain(row) for row in rows]}, indent=2))
        return
    console().print(table_of(name, rows, columns))


def table_of(name: str, rows: Sequence[Any], columns: Sequence[Shown]) -> Table | str:
    """Rows as a table; a line where there are none."""
    if not rows:
        return f"[dim]no {name}[/]"
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(
            column.title, justify="right" if column.number else "left", overflow="fold"
        )
    for row in rows:
        table.add_row(*(escape(column.of(row)) for column in columns))
    return table


def print_facts(message: Any, *, as_json: bool) -> None:
    """Print one message as lines of key and value, or as a JSON document."""
    facts = plain(message)
    if as_json:
        typer.echo(json.dumps(facts, indent=2))
        return
    for key, value in facts.items():
        if value not in (None, "", [], {}):
            shown = value if isinstance(value, str | int | float) else json.dumps(value)
            typer.echo(f"{key:<26} {shown}")


def print_line(content: Any) -> None:
    """Print one line of JSON now, also into a pipe."""
    print_text(json.dumps(content))


def print_text(text: str) -> None:
    """Print a line now, also into a pipe."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def console() -> Console:
    """Standard output; wide where no terminal says how wide."""
    return Console(width=None if sys.stdout.isatty() else _WIDE)


def within(start: str | None, end: str | None) -> Range:
    """The range of `--from` and `--to`.

    Raises:
        CommandError: One is no time.
    """
    return Range(start_s=seconds_of(start, "--from"), end_s=seconds_of(end, "--to"))


def time_text(time: Timestamp) -> str:
    """A time for a table."""
    return f"{datetime.fromtimestamp(time.seconds, UTC):%Y-%m-%d %H:%M:%S}" if time.seconds else ""


def period_text(period: types_pb2.SettlementPeriod) -> str:
    """The start of a period for a table."""
    return time_text(period.start_time)[:16]


def money_text(*amounts: types_pb2.Money) -> str:
    """The sum of amounts of one currency; empty where there is none."""
    given = [amount for amount in amounts if amount.currency_code]
    if not given:
        return ""
    micros = sum(amount.amount_micros for amount in given)
    return str(Money(given[0].currency_code, micros))


def enum_text(message: Any, field: str) -> str:
    """The name of an enumeration's value for a table."""
    kind = message.DESCRIPTOR.fields_by_name[field].enum_type
    return enum_name(kind, getattr(message, field)) or ""


def watts_text(message: Any, field: str = "power_w") -> str:
    """A power that may not be known."""
    return f"{getattr(message, field):,}" if message.HasField(field) else ""


def rows_total(rows: Iterable[Any], of: Callable[[Any], Iterable[types_pb2.Money]]) -> list[str]:
    """Sums of money, one text per currency."""
    sums: dict[str, int] = {}
    for row in rows:
        for amount in of(row):
            if amount.currency_code:
                before = sums.get(amount.currency_code, 0)
                sums[amount.currency_code] = before + amount.amount_micros
    return [str(Money(currency, micros)) for currency, micros in sorted(sums.items())]


def seconds_of(text: str | None, option: str) -> int | None:
    """The time of an option, seconds since 1970 UTC.

    Raises:
        CommandError: It is no time.
    """
    if text is None:
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        message = f"{option}: no time: {text!r}; give one such as 2026-11-23T09:30:00Z"
        raise CommandError(message) from error
    return int((instant if instant.tzinfo else instant.replace(tzinfo=UTC)).timestamp())
