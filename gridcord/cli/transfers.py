"""`gridcord transfers`: what went through cables; `watch` follows it."""

from __future__ import annotations

from functools import partial
from typing import Annotated, NamedTuple

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
from gridcord.cli.ending import CommandError
from gridcord.cli.following import show_rows
from gridcord.cli.plain_message import plain
from gridcord.cli.tables import (
    AsJson,
    From,
    Limit,
    Shown,
    To,
    enum_text,
    money_text,
    period_text,
    print_line,
    print_text,
    within,
)
from gridcord.clients.manager import FROM_FIRST, ManagerClient

Site = Annotated[str, typer.Option(help="At this site.")]
Cable = Annotated[str, typer.Option(help="Of this cable.")]
Driver = Annotated[str, typer.Option(help="Of this driver.")]

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
    site: Site = "",
    cable: Cable = "",
    driver: Driver = "",
    start: From = None,
    end: To = None,
    limit: Limit = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C, as watch does.")
    ] = False,
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
    wanted = Wanted(site=site, cable=cable, driver=driver)
    if follow:
        if start or end or limit:
            message = "--follow goes on from now: leave out --from, --to and --limit"
            raise CommandError(message)
        ask(link, partial(_follow, begin="", wanted=wanted, as_json=as_json))
        return
    show_rows(
        link,
        lambda client: client.transfers(
            site_id=site, cable_id=cable, driver_id=driver, within=periods, limit=limit
        ),
        name="transfers",
        columns=COLUMNS,
        as_json=as_json,
    )


@app.command()
def watch(
    from_first: Annotated[
        bool, typer.Option("--from-first", help="Begin with everything that is stored.")
    ] = False,
    cursor: Annotated[
        str, typer.Option(help="Go on behind this cursor, the last that --json printed.")
    ] = "",
    site: Site = "",
    cable: Cable = "",
    driver: Driver = "",
    as_json: AsJson = False,
    manager: Manager = None,
    tls: Tls = None,
    server_name: ServerName = None,
    data: Data = None,
) -> None:
    """Follow transfers as they are stored or change, until Ctrl-C; with --json one line each."""
    link = connection(manager, tls, server_name, data)
    wanted = Wanted(site=site, cable=cable, driver=driver)
    begin = FROM_FIRST if from_first else cursor
    ask(link, partial(_follow, begin=begin, wanted=wanted, as_json=as_json))


class Wanted(NamedTuple):
    """Which transfers are printed; an empty text takes all."""

    site: str
    cable: str
    driver: str

    def includes(self, transfer: pb.Transfer) -> bool:
        """Whether it is one of them."""
        found = (transfer.site_id, transfer.key.cable_id, transfer.driver_id)
        return all(not asked or asked == each for asked, each in zip(self, found, strict=True))


async def _follow(client: ManagerClient, *, begin: str, wanted: Wanted, as_json: bool) -> None:
    async for told in client.watch_transfers(begin):
        if told.WhichOneof("message") != "transfer" or not wanted.includes(told.transfer):
            continue
        if as_json:
            print_line({"cursor": told.cursor, "transfer": plain(told.transfer)})
        else:
            print_text("  ".join(filter(None, (column.of(told.transfer) for column in COLUMNS))))
