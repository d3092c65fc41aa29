"""`gridcord transfers`: what went through cables; `watch` follows it."""

from __future__ import annotations

from typing import Annotated

import typer

from gridcord.api.manager.v1 import transfer_service_pb2 as pb
from gridcord.cli.connection import (
    Data,
    Manager,
    ServerName,
    Tls,
    ask,
    connection,
    hand_down,
)
from gridcord.cli.plain_message import plain
from gridcord.cli.tables import (
    AsJson,
    From,
    Limit,
    Shown,
    To,
    collected,
    enum_text,
    money_text,
    period_text,
    print_line,
    print_rows,
    within,
)
from gridcord.clients.manager import FROM_FIRST, ManagerClient

app = typer.Typer(help="What went through cables.", invoke_without_command=True)


def _match_text(transfer: pb.Transfer) -> str:
    stated = transfer.manager_match if transfer.HasField("manager_match") else transfer.cable_match
    return enum_text(stated, "verdict")


COLUMNS = (
    Shown("period (UTC)", lambda t: period_text(t.period)),
    Shown("cable", lambda t: t.key.cable_id),
    Shown("site", lambda t: t.site_id),
    Shown("driver", lambda t: t.driver_id),
    Shown("Wh", lambda t: f"{t.transferred_wh:+,}", number=True),
    Shown("match", _match_text),
    Shown("earned", lambda t: money_text(t.earning.availability, t.earning.energy), number=True),
)


@app.callback()
def transfers(
    ctx: typer.Context,
    site: Annotated[str, typer.Option(help="At this site.")] = "",
    cable: Annotated[str, typer.Option(help="Of this cable.")] = "",
    driver: Annotated[str, typer.Option(help="Of this driver.")] = "",
    start: From = None,
    end: To = None,
    limit: Limit = None,
    as_json: AsJson = False,
    manager: Manager = None,
    tls: Tls = None,
    server_name: ServerName = None,
    data: Data = None,
) -> None:
    """List transfers, oldest first in the order they were stored."""
    if ctx.invoked_subcommand:
        hand_down(ctx)
        return
    link, periods = connection(manager, tls, server_name, data), within(start, end)
    found = ask(
        link,
        lambda client: collected(
            client.transfers(
                site_id=site, cable_id=cable, driver_id=driver, within=periods, limit=limit
            )
        ),
    )
    print_rows("transfers", found, COLUMNS, as_json=as_json)


@app.command()
def watch(
    from_first: Annotated[
        bool, typer.Option("--from-first", help="Begin with everything that is stored.")
    ] = False,
    cursor: Annotated[
        str, typer.Option(help="Go on behind this cursor, the last that --json printed.")
    ] = "",
    as_json: AsJson = False,
    manager: Manager = None,
    tls: Tls = None,
    server_name: ServerName = None,
    data: Data = None,
) -> None:
    """Follow transfers as they are stored or change, until Ctrl-C; with --json one line each."""
    begin = FROM_FIRST if from_first else cursor

    async def follow(client: ManagerClient) -> None:
        async for told in client.watch_transfers(begin):
            if told.WhichOneof("message") != "transfer":
                continue
            if as_json:
                print_line({"cursor": told.cursor, "transfer": plain(told.transfer)})
            else:
                texts = (column.of(told.transfer) for column in COLUMNS)
                typer.echo("  ".join(text for text in texts if text))

    ask(connection(manager, tls, server_name, data), follow)
