"""`gridcord site-access`: which cables may read which smart meters, on the manager's machine.

The secrets come from a file or standard input, never from the command line, which every account of
the machine can see; no command prints them.
"""

from __future__ import annotations

import json
import sys
import tomllib
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from gridcord.chassis.exit_codes import ExitCode
from gridcord.cli.ending import CommandError
from gridcord.cli.tables import AsJson, console
from gridcord.units import CableId, IdentifierError, parse_device_id, parse_site_id
from manager.domain.trust.site_access import SiteAccess
from manager.site_access import SiteAccessError, read_site_access, write_site_access

app = typer.Typer(help="Which cables may read which smart meters.", no_args_is_help=True)

File = Annotated[Path, typer.Option("--file", help="site_access.file of the manager's settings.")]
Site = Annotated[str, typer.Argument(metavar="SITE", help="Id of the site.")]


@app.command("set")
def set_(
    site: Site,
    file: File,
    secret: Annotated[
        Path,
        typer.Option(
            "--from", metavar="FILE", help="TOML with route_b_id and password; - for input."
        ),
    ],
    cable: Annotated[
        list[str] | None, typer.Option(help="This cable gets it, wherever it connects.")
    ] = None,
    any_cable: Annotated[
        bool, typer.Option("--any-cable", help="Any cable that names the site gets it.")
    ] = False,
) -> None:
    """Let cables read the meter of a site; a running manager heeds it at the next connection."""
    try:
        access = SiteAccess(
            site_id=parse_site_id(site),
            cables=frozenset(CableId(parse_device_id(each)) for each in cable or ()),
            any_cable=any_cable,
            **_secret(secret),
        )
    except (IdentifierError, ValueError) as error:
        raise CommandError(str(error)) from None
    known = _known(file)
    known[site] = access
    _write(file, known)
    typer.echo(f"{site}: {_who(access)}")


@app.command("list")
def list_(file: File, as_json: AsJson = False) -> None:
    """List sites and who may read their meters; no secret is shown."""
    known = sorted(_known(file).values(), key=lambda each: each.site_id)
    if as_json:
        rows = [
            {"site_id": a.site_id, "cables": sorted(a.cables), "any_cable": a.any_cable}
            for a in known
        ]
        typer.echo(json.dumps({"site_access": rows}))
        return
    table = Table("site", "for", box=None, pad_edge=False)
    for access in known:
        table.add_row(access.site_id, _who(access))
    console().print(table if known else "[dim]no site access[/]")


@app.command()
def remove(site: Site, file: File) -> None:
    """Let no cable have the access of a site any more; one that has it keeps what it knows."""
    known = _known(file)
    if known.pop(site, None) is None:
        message = f"{site} is not in {file}"
        raise CommandError(message, exit_code=ExitCode.NEGATIVE)
    _write(file, known)
    typer.echo(f"{site}: removed")


def _who(access: SiteAccess) -> str:
    named = ", ".join(sorted(access.cables))
    return f"any cable there{f', and {named}' if named else ''}" if access.any_cable else named


def _secret(source: Path) -> dict[str, str]:
    """Route-B id and password of a file; an error never quotes it."""
    try:
        text = sys.stdin.read() if str(source) == "-" else source.read_text("utf-8")
        table = tomllib.loads(text)
    except (OSError, UnicodeDecodeError) as error:
        message = f"--from: cannot read {source}: {type(error).__name__}"
        raise CommandError(message) from None
    except tomllib.TOMLDecodeError:
        message = f'--from: {source} is no TOML; write route_b_id = "..." and password = "..."'
        raise CommandError(message) from None
    return {key: str(table.get(key, "")) for key in ("route_b_id", "password")}


def _known(file: Path) -> dict[str, SiteAccess]:
    try:
        return read_site_access(file) if file.exists() else {}
    except SiteAccessError as error:
        raise CommandError(str(error)) from None


def _write(file: Path, known: dict[str, SiteAccess]) -> None:
    try:
        write_site_access(file, known.values())
    except SiteAccessError as error:
        raise CommandError(str(error)) from None
