"""`gridcord demand`: what was asked of the fleet and what it delivered."""

from __future__ import annotations

from typing import Annotated

import typer

from gridcord.cli.connection import Data, Manager, ServerName, Tls, connection
from gridcord.cli.following import EVERY_S, Every, Follow, show_rows
from gridcord.cli.tables import (
    AsJson,
    From,
    Limit,
    Shown,
    To,
    money_text,
    period_text,
    within,
)

app = typer.Typer(help="What was asked of the fleet and what it delivered.")

COLUMNS = (
    Shown("period (UTC)", lambda r: period_text(r.period)),
    Shown("area", lambda r: r.area_id),
    Shown("contracted (Wh)", lambda r: f"{r.contracted_wh:+,}", number=True),
    Shown("requested (Wh)", lambda r: f"{r.requested_wh:+,}", number=True),
    Shown("allocated (Wh)", lambda r: f"{r.allocated_wh:+,}", number=True),
    Shown("delivered (Wh)", lambda r: f"{r.delivered_wh:+,}", number=True),
    Shown("imbalance (Wh)", lambda r: f"{r.imbalance_wh:+,}", number=True),
    Shown(
        "imbalance",
        lambda r: money_text(r.imbalance) if r.HasField("imbalance") else "-",
        number=True,
    ),
    Shown("", lambda r: "closed" if r.closed else "open"),
)


@app.command()
def demand(
    area: Annotated[str, typer.Option(help="Of this market area.")] = "",
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
    """List demand by area and period, oldest first."""
    link, periods = connection(manager, tls, server_name, data), within(start, end)
    show_rows(
        link,
        lambda client: client.demand(area_id=area, within=periods, limit=limit),
        name="demand",
        columns=COLUMNS,
        as_json=as_json,
        follow=follow,
        every_s=every,
    )
