"""`gridcord resources`: which vehicles, stations and batteries can be dispatched."""

from __future__ import annotations

from typing import Any

import typer

from gridcord.cli.connection import Data, Manager, ServerName, Tls, connection
from gridcord.cli.following import EVERY_S, Every, Follow, show_rows
from gridcord.cli.tables import AsJson, Limit, Shown, enum_text

app = typer.Typer(help="Which vehicles, stations and batteries can be dispatched.")


def _of_telemetry(form: str, field: str) -> Any:
    def text(resource: Any) -> str:
        if not resource.HasField("telemetry"):
            return ""
        return format(getattr(resource.telemetry, field), form)

    return text


COLUMNS = (
    Shown("resource", lambda r: r.resource_id),
    Shown("kind", lambda r: enum_text(r, "kind")),
    Shown("cable", lambda r: r.cable_id),
    Shown("site", lambda r: r.site_id),
    Shown("area", lambda r: r.area_id),
    Shown("permission", lambda r: enum_text(r, "permission")),
    Shown("W", _of_telemetry("+,", "power_w"), number=True),
    Shown("charge (%)", _of_telemetry(".1f", "state_of_charge_percent"), number=True),
    Shown(
        "setpoint (W)",
        lambda r: f"{r.setpoint.power_w:+,}" if r.HasField("setpoint") else "",
        number=True,
    ),
    Shown("because", lambda r: r.setpoint.reason),
)


@app.command()
def resources(
    limit: Limit = None,
    follow: Follow = False,
    every: Every = EVERY_S,
    as_json: AsJson = False,
    manager: Manager = None,
    tls: Tls = None,
    server_name: ServerName = None,
    data: Data = None,
) -> None:
    """List connected resources by id."""
    show_rows(
        connection(manager, tls, server_name, data),
        lambda client: client.resources(limit=limit),
        name="resources",
        columns=COLUMNS,
        as_json=as_json,
        follow=follow,
        every_s=every,
    )
