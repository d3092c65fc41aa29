"""The `gridcord` command.

Exit codes: 0 yes or done, 1 the answer is no, 2 arguments or files cannot be used, 3 somebody who
is needed does not answer, 130 Ctrl-C.
"""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup

from gridcord import __version__
from gridcord.chassis.exit_codes import ExitCode
from gridcord.cli.ending import CommandError

GROUP = "gridcord.commands"  # entry points of commands that other packages bring


class Mounted(NamedTuple):
    """A group of commands that is imported when it is used.

    Args:
        target: "module:attribute" of a `typer.Typer`.
        summary: For the list of commands.
    """

    target: str
    summary: str


_COMPLETION = ("install_completion", "show_completion")  # of the whole command, not of a part

COMMANDS: Mapping[str, Mounted] = {
    "audit": Mounted("gridcord.cli.audit:app", "Who did or was refused what; check its chain."),
    "block": Mounted("gridcord.cli.blocks:block_app", "Limit what may flow at a site."),
    "blocks": Mounted("gridcord.cli.blocks:list_app", "Sites where something is withheld."),
    "ca": Mounted("gridcord.cli.ca:app", "Certificates for development and tests."),
    "cable": Mounted("gridcord.cli.cable:app", "What a cable says of itself, on its own machine."),
    "config": Mounted("gridcord.cli.config:app", "Check and show settings of a program."),
    "demand": Mounted("gridcord.cli.demand:app", "What was asked of the fleet, and done."),
    "demo": Mounted("gridcord.cli.demo:app", "See everything work on simulated houses."),
    "earnings": Mounted("gridcord.cli.earnings:app", "What drivers earned."),
    "evidence": Mounted("gridcord.cli.evidence:app", "Check what was earned and billed."),
    "match": Mounted("gridcord.cli.match:app", "Match a cable's energy with its house's meter."),
    "notices": Mounted("gridcord.cli.earnings:notices_app", "What drivers and hosts were told."),
    "prove": Mounted("gridcord.cli.blocks:prove_app", "Ask for an active proof at a site."),
    "resource": Mounted("gridcord.cli.resource:app", "Drive a battery or a station."),
    "resources": Mounted("gridcord.cli.resources:app", "Vehicles, stations and batteries."),
    "sessions": Mounted("gridcord.cli.sessions:app", "Which cables are connected; end one."),
    "sites": Mounted("gridcord.cli.sites:app", "Where cables have been and what may flow there."),
    "transfers": Mounted("gridcord.cli.transfers:app", "What went through cables; watch it."),
    "unblock": Mounted("gridcord.cli.blocks:unblock_app", "Lift the block of a site."),
}


class Mount(TyperGroup):
    """Knows its commands by name and imports the one that is called."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Names, our own first; those whose module is absent are left out."""
        ours = [name for name, command in COMMANDS.items() if _present(command)]
        return [*ours, *sorted(set(_others()) - set(COMMANDS))]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """A stand-in that knows its summary, for lists and suggestions."""
        if cmd_name not in self.list_commands(ctx):
            return None
        ours = COMMANDS.get(cmd_name)
        summary = _said_of_itself(cmd_name) if ours is None else ours.summary
        return TyperCommand(name=cmd_name, help=summary)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that is called, imported now.

        Raises:
            CommandError: There is none of that name, but some that are alike.
        """
        known = self.list_commands(ctx)
        if args and args[0] not in known and (alike := get_close_matches(args[0], known)):
            message = f"no command {args[0]!r}: did you mean {' or '.join(alike)}?"
            raise CommandError(message)
        name, found, rest = super().resolve_command(ctx, args)
        return name, found and load_command(str(name)), rest


app = typer.Typer(
    cls=Mount,
    name="gridcord",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Electric cars feed the grid from any ordinary outlet.",
    epilog="Exit codes: 0 yes or done, 1 no, 2 arguments or files, 3 nobody answers, 130 Ctrl-C.",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"gridcord {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Say it.")
    ] = False,
) -> None:
    """Electric cars feed the grid from any ordinary outlet."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: None for those of the process.

    Returns:
        The exit code.
    """
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # what fails is said below, in one line
    try:
        app(args=arguments, prog_name="gridcord")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else ExitCode.OK
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except CommandError as error:
        return _say(str(error), error.exit_code)
    except Exception as error:
        if (failure := _failure_of(error)) is None:
            raise
        return _say(*failure)
    return ExitCode.OK


def _say(message: str, exit_code: ExitCode) -> ExitCode:
    sys.stderr.write(f"gridcord: {message}\n")
    return exit_code


def _failure_of(error: Exception) -> tuple[str, ExitCode] | None:
    """What a failed call means to the user; None when it was no call that failed."""
    if "grpc" not in sys.modules:
        return None
    import grpc

    from gridcord.chassis.failures import Failure, failure_of

    if isinstance(error, grpc.aio.AioRpcError):
        error = failure_of(error)
    if not isinstance(error, Failure):
        return None
    absent = error.code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
    exit_code = ExitCode.UNAVAILABLE if absent else ExitCode.NEGATIVE
    return f"{error.reason}: {error.message}", exit_code


def load_command(name: str) -> Any:
    """The command of a name, imported now.

    Raises:
        CommandError: Something it needs is not installed.
    """
    target = COMMANDS[name].target if name in COMMANDS else _others()[name].value
    module, _, attribute = target.partition(":")
    try:
        mounted = getattr(import_module(module), attribute)
    except ImportError as error:
        message = f"the command {name} is not complete on this machine: {error}"
        raise CommandError(message) from error
    command = typer.main.get_command(mounted)
    command.name = name
    command.params = [each for each in command.params if each.name not in _COMPLETION]
    return command


def _said_of_itself(name: str) -> str:
    """The summary of a command that another package brings: its module's, read without import."""
    found = find_spec(_others()[name].module)
    if found is None or found.origin is None:
        return _others()[name].value
    told = ast.get_docstring(ast.parse(Path(found.origin).read_bytes())) or ""
    sentence = told.split("\n\n", 1)[0].partition(": ")[2] or told
    return sentence[:1].upper() + sentence[1:]


def _present(command: Mounted) -> bool:
    return find_spec(command.target.partition(":")[0]) is not None


def _others() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=GROUP)}


if __name__ == "__main__":
    sys.exit(main())
