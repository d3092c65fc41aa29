"""Lists that are read once, or again and again until Ctrl-C (`--follow`).

On a terminal the table is redrawn in place; into a pipe it is printed anew whenever it changed, as
a table or, with `--json`, as one line. A manager that was heard once is waited for.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

import grpc
import typer
from rich.live import Live

from gridcord.cli.connection import Connection, ask, lost
from gridcord.cli.plain_message import plain
from gridcord.cli.tables import (
    Shown,
    collected,
    console,
    print_line,
    print_rows,
    table_of,
)
from gridcord.clients.manager import ManagerClient

_ABSENT = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)

Follow = Annotated[
    bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C; with --json a line per change.")
]
Every = Annotated[float, typer.Option("--every", min=0.1, help="Seconds between two looks.")]
EVERY_S = 2.0

Read = Callable[[ManagerClient], AsyncIterator[Any]]
Show = Callable[[Sequence[Any]], None]


def show_rows(
    link: Connection,
    read: Read,
    *,
    name: str,
    columns: Sequence[Shown],
    as_json: bool,
    follow: bool = False,
    every_s: float = EVERY_S,
) -> Sequence[Any]:
    """Print what a manager answers, once, or until Ctrl-C.

    Returns:
        The rows, when they are printed once.

    Raises:
        CommandError: As `ask`.
    """
    if not follow:
        rows = ask(link, lambda client: collected(read(client)))
        print_rows(name, rows, columns, as_json=as_json)
        return rows
    with _screen(name, columns, as_json=as_json) as show:
        ask(link, lambda client: look_again(client, read, show, every_s))
    return ()


async def look_again(client: ManagerClient, read: Read, show: Show, every_s: float) -> None:
    """Read for ever, and show what is read whenever it changed.

    Raises:
        grpc.aio.AioRpcError: The manager refuses, or does not answer the first time.
    """
    shown: list[Any] | None = None
    while True:
        try:
            rows = await collected(read(client))
        except grpc.aio.AioRpcError as error:
            if shown is None or error.code() not in _ABSENT:
                raise
            lost()
        else:
            if rows != shown:
                show(rows)
                shown = rows
        await asyncio.sleep(every_s)


@contextmanager
def _screen(name: str, columns: Sequence[Shown], *, as_json: bool) -> Iterator[Show]:
    """Where rows are shown each time they changed."""
    if as_json:
        yield lambda rows: print_line({name: [plain(row) for row in rows]})
    elif sys.stdout.isatty():
        with Live(console=console(), auto_refresh=False) as live:
            yield lambda rows: live.update(table_of(name, rows, columns), refresh=True)
    else:
        yield lambda rows: _print_again(name, rows, columns)


def _print_again(name: str, rows: Sequence[Any], columns: Sequence[Shown]) -> None:
    print_rows(name, rows, columns, as_json=False)
    sys.stdout.write("\n")
    sys.stdout.flush()
