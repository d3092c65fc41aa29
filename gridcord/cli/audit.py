"""`gridcord audit`: who did or was refused what; `verify` checks the chain of hashes."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from gridcord.chassis.exit_codes import ExitCode
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
from gridcord.cli.tables import AsJson, Limit, Shown, collected, print_rows, time_text
from gridcord.evidence.audit_chain import GENESIS, AuditEntry, first_break

app = typer.Typer(help="Who did or was refused what.", invoke_without_command=True)

COLUMNS = (
    Shown("number", lambda e: str(e.audit_number), number=True),
    Shown("when (UTC)", lambda e: time_text(e.create_time)),
    Shown("who", lambda e: e.actor),
    Shown("what", lambda e: e.action),
    Shown("on what", lambda e: e.subject),
    Shown("detail", lambda e: e.detail),
)


@app.callback()
def audit(
    ctx: typer.Context,
    after: Annotated[int, typer.Option(min=0, help="Entries behind this number.")] = 0,
    limit: Limit = None,
    as_json: AsJson = False,
    manager: Manager = None,
    tls: Tls = None,
    server_name: ServerName = None,
    data: Data = None,
) -> None:
    """List entries of the audit log, oldest first; only admins may."""
    if ctx.invoked_subcommand:
        hand_down(ctx)
        return
    link = connection(manager, tls, server_name, data)
    found = ask(link, lambda client: collected(client.audit_entries(after=after, limit=limit)))
    print_rows("entries", found, COLUMNS, as_json=as_json)


@app.command()
def verify(
    expect: Annotated[
        str, typer.Option(metavar="HASH", help="The last hash that was seen must be in the chain.")
    ] = "",
    as_json: AsJson = False,
    manager: Manager = None,
    tls: Tls = None,
    server_name: ServerName = None,
    data: Data = None,
) -> None:
    """Read the whole log and check its chain: 0 it holds, 1 somebody changed it.

    Whoever can write the database can make a new chain; keep the last hash elsewhere and give it
    with --expect, then an entry that was cut off or rewritten shows too.
    """
    link = connection(manager, tls, server_name, data)
    messages = ask(link, lambda client: collected(client.audit_entries()))
    entries = [
        AuditEntry(
            number=each.audit_number,
            at_s=each.create_time.seconds,
            actor=each.actor,
            action=each.action,
            subject=each.subject,
            detail=each.detail,
            chain_hash=each.chain_hash,
        )
        for each in messages
    ]
    wrong = first_break(entries)
    if wrong is None and expect and expect not in {entry.chain_hash for entry in entries}:
        wrong = f"{expect} is not in the chain: entries were cut off or rewritten"
    last = entries[-1].chain_hash if entries else GENESIS
    if as_json:
        typer.echo(json.dumps({"entries": len(entries), "last_hash": last, "first_break": wrong}))
    elif wrong is None:
        typer.echo(f"{len(entries)} entries hold together; the last hash is {last}")
    if wrong is not None:
        raise CommandError(wrong, exit_code=ExitCode.NEGATIVE)
