"""`gridcord config`: look at settings before a program does."""

from __future__ import annotations

import json
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Column, Table

from gridcord.chassis.settings import (
    ProgramSettings,
    SettingsError,
    effective_values,
    load_settings,
)
from gridcord.cli.ending import CommandError

GROUP = "gridcord.settings"

_WIDE = 200  # columns, where no terminal says how many

app = typer.Typer(help="Check and show the settings of a program.", no_args_is_help=True)

Program = Annotated[str, typer.Argument(help="cable-node, manager, market-adapter ...")]
File = Annotated[Path, typer.Argument(help="Its settings, TOML.")]
AsJson = Annotated[bool, typer.Option("--json", help="Answer in JSON.")]


@app.command()
def check(program: Program, file: File) -> None:
    """Say whether a program would start with a file."""
    try:
        load_settings(settings_of(program), file)
    except SettingsError as error:
        raise CommandError(str(error)) from error
    typer.echo(f"{file}: good")


@app.command()
def show(program: Program, file: File, as_json: AsJson = False) -> None:
    """Print every setting with its value and where it comes from."""
    try:
        values = effective_values(settings_of(program), file)
    except SettingsError as error:
        raise CommandError(str(error)) from error
    if as_json:
        rows = [{"key": v.key, "value": v.value, "origin": v.origin} for v in values]
        typer.echo(json.dumps(rows, default=str, indent=2))
        return
    table = Table("key", Column("value", overflow="fold"), "origin", box=None)
    for value in values:
        table.add_row(value.key, "" if value.value is None else str(value.value), value.origin)
    Console(width=None if sys.stdout.isatty() else _WIDE).print(table)


def settings_of(program: str) -> type[ProgramSettings]:
    """The settings model of a program that is installed.

    Raises:
        CommandError: There is none of that name.
    """
    installed = {entry.name: entry for entry in entry_points(group=GROUP)}
    if program not in installed:
        message = f"no program {program!r}: known are {', '.join(sorted(installed)) or 'none'}"
        raise CommandError(message)
    try:
        model = installed[program].load()
    except (ImportError, AttributeError) as error:
        message = f"{program} is not complete on this machine: {error}"
        raise CommandError(message) from error
    assert issubclass(model, ProgramSettings)
    return model  # type: ignore[no-any-return]
