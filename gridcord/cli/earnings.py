"""`gridcord earnings` and `gridcord notices`: what a driver sees."""

from __future__ import annotations

from typing import Annotated

import typer

from gridcord.cli.connection import Data, Manager, ServerName, Tls, ask, connection
from gridcord.cli.following import EVERY_S, Every, Follow, show_rows
from gridcord.cli.plain_message import plain
from gridcord.cli.tables import (
    AsJson,
    From,
    Limit,
    Shown,
    To,
    console,
    enum_text,
    money_text,
    period_text,
    print_line,
    print_text,
    rows_total,
    time_text,
    within,
)
from gridcord.clients.manager import FROM_FIRST, ManagerClient

app = typer.Typer(help="What drivers earned.")
notices_app = typer.Typer(help="What drivers and hosts were told.", no_args_is_help=True)

COLUMNS = (
    Shown("period (UTC)", lambda t: period_text(t.period)),
    Shown("driver", lambda t: t.driver_id),
    Shown("site", lambda t: t.site_id),
    Shown("Wh", lambda t: f"{t.transferred_wh:+,}", number=True),
    Shown("for being there", lambda t: money_text(t.earning.availability), number=True),
    Shown("for energy", lambda t: money_text(t.earning.energy), number=True),
    Shown("together", lambda t: money_text(t.earning.availability, t.earning.energy), number=True),
    Shown("tariff", lambda t: t.earning.tariff_version),
)

Driver = Annotated[str, typer.Option(help="Of this driver; your own, or everybody's, if not said.")]


@app.command()
def earnings(
    driver: Driver = "",
    start: From = None,
    end: To = None,
    limit: Limit = None,
    follow: Follow = False,
    every: Every = EVERY_S,
    as_json: AsJson = False,
    manager: Manager = None,
    tls: Tls = None,
    server_name: ServerName = None,
    data: Data = None,
) -> None:
    """List what drivers earned per half hour, and the sum."""
    link, periods = connection(manager, tls, server_name, data), within(start, end)
    found = show_rows(
        link,
        lambda client: client.earnings(driver_id=driver, within=periods, limit=limit),
        name="earnings",
        columns=COLUMNS,
        as_json=as_json,
        follow=follow,
        every_s=every,
    )
    if not as_json:
        for total in rows_total(found, lambda t: (t.earning.availability, t.earning.energy)):
            console().print(f"[bold]together {total}[/]")


@notices_app.callback()
def notices() -> None:
    """What drivers and hosts were told."""


@notices_app.command()
def watch(
    driver: Driver = "",
    from_first: Annotated[
        bool, typer.Option("--from-first", help="Begin with everything that was ever told.")
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
    """Follow notices as they come, until Ctrl-C; with --json one line each."""
    begin = FROM_FIRST if from_first else cursor

    async def follow(client: ManagerClient) -> None:
        async for told in client.watch_notices(begin, driver_id=driver):
            if not told.HasField("notice"):
                continue
            if as_json:
                print_line({"cursor": told.cursor, "notice": plain(told.notice)})
                continue
            notice = told.notice
            whom = notice.driver_id or "host"
            allowed = enum_text(notice, "permission")
            when = time_text(notice.create_time)
            print_text(f"{when}  {whom}  {notice.site_id}  {notice.reason}  {allowed}")
            print_text(f"    {notice.text}")

    ask(connection(manager, tls, server_name, data), follow)
