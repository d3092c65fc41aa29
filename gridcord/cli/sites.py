"""`gridcord sites`: where cables have been and what may flow there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

import typer

from gridcord.cli.connection import Data, Manager, ServerName, Tls, connection
from gridcord.cli.following import EVERY_S, Every, Follow, show_rows
from gridcord.cli.tables import (
    AsJson,
    Limit,
    Shown,
    enum_text,
    period_text,
)
from gridcord.clients.manager import ManagerClient

app = typer.Typer(help="Where cables have been.")

COLUMNS = (
    Shown("site", lambda s: s.site_id),
    Shown("permission", lambda s: enum_text(s, "permission")),
    Shown("blocked for", lambda s: enum_text(s.site_block, "cause")),
    Shown("only the cable", lambda s: s.site_block.cable_id),
    Shown("evidence (nats)", lambda s: f"{s.evidence_nats:.1f}", number=True),
    Shown("last match", lambda s: enum_text(s.last_match, "verdict")),
    Shown("of period (UTC)", lambda s: period_text(s.last_match_period)),
    Shown(
        "distance (m)",
        lambda s: f"{s.distance_m:,.0f}" if s.HasField("distance_m") else "",
        number=True,
    ),
    Shown("charged (Wh)", lambda s: f"{s.site_to_vehicle_wh:,}", number=True),
    Shown("discharged (Wh)", lambda s: f"{s.vehicle_to_site_wh:,}", number=True),
)


@app.command()
def sites(
    site: Annotated[str, typer.Option(help="Only this one.")] = "",
    limit: Limit = None,
    follow: Follow = False,
    every: Every = EVERY_S,
    as_json: AsJson = False,
    manager: Manager = None,
    tls: Tls = None,
    server_name: ServerName = None,
    data: Data = None,
) -> None:
    """List sites by id, or show one."""

    async def found(client: ManagerClient) -> AsyncIterator[Any]:
        if site:
            yield await client.site(site)
            return
        async for each in client.sites(limit=limit):
            yield each

    show_rows(
        connection(manager, tls, server_name, data),
        found,
        name="sites",
        columns=COLUMNS,
        as_json=as_json,
        follow=follow,
        every_s=every,
    )
