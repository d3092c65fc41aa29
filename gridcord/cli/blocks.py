"""`gridcord blocks`, `block`, `unblock` and `prove`: sites at which not everything is permitted."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from gridcord.cli.connection import Data, Manager, ServerName, Tls, ask, connection
from gridcord.cli.ending import CommandError
from gridcord.cli.following import EVERY_S, Every, Follow, show_rows
from gridcord.cli.tables import (
    AsJson,
    Limit,
    Shown,
    enum_text,
    print_facts,
    seconds_of,
    time_text,
)
from gridcord.metering.reading import Permission

list_app = typer.Typer(help="Sites at which not everything is permitted.")
block_app = typer.Typer(help="Limit what may flow at a site.")
unblock_app = typer.Typer(help="Lift the block of a site.")
prove_app = typer.Typer(help="Ask for an active proof at a site.")

COLUMNS = (
    Shown("block", lambda b: str(b.block_number), number=True),
    Shown("site", lambda b: b.site_id),
    Shown("cable", lambda b: b.cable_id),
    Shown("permission", lambda b: enum_text(b, "permission")),
    Shown("state", lambda b: enum_text(b, "state")),
    Shown("cause", lambda b: enum_text(b, "cause")),
    Shown("since (UTC)", lambda b: time_text(b.create_time)),
    Shown("by", lambda b: b.created_by),
    Shown("reason", lambda b: b.lift_reason or b.reason),
)


class Withheld(StrEnum):
    """What a block may leave."""

    NONE = "NONE"
    CHARGE_ONLY = "CHARGE_ONLY"
    CHARGE_TO_SOC = "CHARGE_TO_SOC"


Site = Annotated[str, typer.Argument(metavar="SITE", help="Id of the site.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; kept in the audit log.")]


@list_app.command()
def blocks(
    site: Annotated[str, typer.Option(help="Of this site.")] = "",
    ended: Annotated[bool, typer.Option("--ended", help="Also those no longer in force.")] = False,
    limit: Limit = None,
    follow: Follow = False,
    every: Every = EVERY_S,
    as_json: AsJson = False,
    manager: Manager = None,
    tls: Tls = None,
    server_name: ServerName = None,
    data: Data = None,
) -> None:
    """List blocks, newest first."""
    show_rows(
        connection(manager, tls, server_name, data),
        lambda client: client.blocks(site_id=site, include_ended=ended, limit=limit),
        name="blocks",
        columns=COLUMNS,
        as_json=as_json,
        follow=follow,
        every_s=every,
    )


@block_app.command()
def block(
    site: Site,
    reason: Reason,
    permission: Annotated[
        Withheld, typer.Option(case_sensitive=False, help="What may still flow.")
    ] = Withheld.NONE,
    until: Annotated[
        str | None, typer.Option(metavar="TIME", help="Runs out by itself then, ISO 8601 (UTC).")
    ] = None,
    as_json: AsJson = False,
    manager: Manager = None,
    tls: Tls = None,
    server_name: ServerName = None,
    data: Data = None,
) -> None:
    """Limit what may flow at a site; cables there obey within seconds."""
    reason = said(reason)
    expire_s = seconds_of(until, "--until")
    made = ask(
        connection(manager, tls, server_name, data),
        lambda client: client.block(site, Permission(permission.value), reason, expire_s=expire_s),
    )
    print_facts(made, as_json=as_json)


@unblock_app.command()
def unblock(
    site: Site,
    reason: Reason,
    cable: Annotated[
        str, typer.Option(metavar="CABLE", help="Only what is about this cable there.")
    ] = "",
    as_json: AsJson = False,
    manager: Manager = None,
    tls: Tls = None,
    server_name: ServerName = None,
    data: Data = None,
) -> None:
    """Lift all blocks of a site, or those of one cable there; their records stay."""
    reason = said(reason)
    link = connection(manager, tls, server_name, data)
    lifted = ask(link, lambda client: client.lift(site, reason, cable_id=cable))
    print_facts(lifted, as_json=as_json)


@prove_app.command()
def prove(
    site: Site,
    reason: Reason,
    as_json: AsJson = False,
    manager: Manager = None,
    tls: Tls = None,
    server_name: ServerName = None,
    data: Data = None,
) -> None:
    """Ask for an active proof: a vehicle plays a pattern that the site's meter must show."""
    reason = said(reason)
    link = connection(manager, tls, server_name, data)
    print_facts(ask(link, lambda client: client.prove(site, reason)), as_json=as_json)


def said(reason: str) -> str:
    """A reason that says something.

    Raises:
        CommandError: It is empty.
    """
    if not reason.strip():
        message = "--reason says nothing: whoever reads the audit log wants to know why"
        raise CommandError(message)
    return reason.strip()
