"""`gridcord sessions`: which cables are connected; `end` asks one to finish."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from gridcord.cli.blocks import Reason, said
from gridcord.cli.connection import (
    Data,
    Manager,
    ServerName,
    Tls,
    ask,
    connection,
    hand_down,
)
from gridcord.cli.following import EVERY_S, Every, Follow, show_rows
from gridcord.cli.tables import (
    AsJson,
    Limit,
    Shown,
    enum_text,
    time_text,
    watts_text,
)

app = typer.Typer(help="Which cables are connected.", invoke_without_command=True)

COLUMNS = (
    Shown("cable", lambda s: s.cable_id),
    Shown("site", lambda s: s.site_id),
    Shown("driver", lambda s: s.driver_id),
    Shown("vehicle", lambda s: s.vehicle_id),
    Shown("since (UTC)", lambda s: time_text(s.start_time)),
    Shown("until (UTC)", lambda s: time_text(s.end_time)),
    Shown("permission", lambda s: enum_text(s, "permission")),
    Shown("because", lambda s: s.permission_reason),
    Shown("W", watts_text, number=True),
    Shown("entries", lambda s: str(s.committed_sequence_number), number=True),
)


@app.callback()
def sessions(
    ctx: typer.Context,
    site: Annotated[str, typer.Option(help="At this site.")] = "",
    ended: Annotated[bool, typer.Option("--ended", help="Also those that ended.")] = False,
    limit: Limit = None,
    follow: Follow = False,
    every: Every = EVERY_S,
    as_json: AsJson = False,
    manager: Manager = None,
    tls: Tls = None,
    server_name: ServerName = None,
    data: Data = None,
) -> None:
    """List sessions of cables, newest first."""
    if ctx.invoked_subcommand:
        hand_down(ctx)
        return
    show_rows(
        connection(manager, tls, server_name, data),
        lambda client: client.sessions(site_id=site, include_ended=ended, limit=limit),
        name="sessions",
        columns=COLUMNS,
        as_json=as_json,
        follow=follow,
        every_s=every,
    )


@app.command()
def end(
    cable: Annotated[str, typer.Argument(metavar="CABLE", help="Id of the cable.")],
    reason: Reason,
    as_json: AsJson = False,
    manager: Manager = None,
    tls: Tls = None,
    server_name: ServerName = None,
    data: Data = None,
) -> None:
    """Ask a cable to finish its session: it sends the running period and closes."""
    reason = said(reason)
    link = connection(manager, tls, server_name, data)
    ask(link, lambda client: client.end_session(cable, reason))
    answer = {"cable_id": cable, "asked_to_end": True}
    typer.echo(json.dumps(answer) if as_json else f"{cable} was asked to finish")
