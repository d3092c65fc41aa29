"""How commands reach a manager: three options, the environment, or the folder of a kept demo."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

import grpc
import typer

from gridcord.chassis.channel import open_channel, server_name
from gridcord.chassis.credentials import (
    CredentialsError,
    TlsFiles,
    client_credentials,
    load_identity,
)
from gridcord.chassis.exit_codes import ExitCode
from gridcord.chassis.failures import failure_of
from gridcord.chassis.identity import Kind
from gridcord.chassis.pki import CERTIFICATE, KEY, ROOTS
from gridcord.cli.ending import CommandError
from gridcord.clients.manager import ManagerClient

MANAGER, TLS, SERVER_NAME, DATA = (
    f"GRIDCORD_{name}" for name in ("MANAGER", "TLS", "SERVER_NAME", "DATA")
)
DEMO_FILE = "demo.json"
_PATHS = ("tls", "database")  # of that file, relative to its folder

Manager = Annotated[
    str | None, typer.Option("--manager", metavar="HOST:PORT", help=f"Where it is [{MANAGER}].")
]
Tls = Annotated[
    Path | None,
    typer.Option("--tls", metavar="DIR", help=f"Your identity, made by gridcord ca issue [{TLS}]."),
]
ServerName = Annotated[
    str | None,
    typer.Option(
        "--server-name",
        metavar="NAME",
        help=f"Name in the manager's certificate; manager.<your domain> if not said "
        f"[{SERVER_NAME}].",
    ),
]
Data = Annotated[
    Path | None,
    typer.Option("--data", metavar="DIR", help=f"Of a kept demo, which knows all three [{DATA}]."),
]

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """A manager and who calls it.

    Args:
        target: "host:port".
        tls: Folder with certificate.pem, key.pem and roots.pem.
        server_name: Name in the manager's certificate; None for manager.<domain of the caller>.
    """

    target: str
    tls: Path
    server_name: str | None = None

    def channel(self) -> grpc.aio.Channel:
        """A channel; call it where an event loop runs.

        Raises:
            CommandError: The identity cannot be used.
        """
        files = TlsFiles(
            certificate=self.tls / CERTIFICATE, key=self.tls / KEY, roots=self.tls / ROOTS
        )
        try:
            identity = load_identity(files)
            credentials = client_credentials(identity)
        except CredentialsError as error:
            message = f"{error}: make an identity with gridcord ca issue and name its folder"
            raise CommandError(message) from error
        expect = self.server_name or server_name(Kind.MANAGER, identity.principal.domain)
        return open_channel(self.target, credentials=credentials, expect=expect)


def connection(
    manager: str | None, tls: Path | None, name: str | None, data: Path | None
) -> Connection:
    """The manager that options mean: what they say, else the demo's folder, else the environment.

    Raises:
        CommandError: Something is missing; the text says how to give it.
    """
    demo = _demo(demo_folder(data) if manager is None or tls is None else data)
    target = manager or demo.get("manager") or os.environ.get(MANAGER)
    folder = tls or _path_of(demo.get("tls")) or _path(TLS)
    if not target:
        message = f"which manager? Give --manager HOST:PORT or set {MANAGER}"
        raise CommandError(message)
    if folder is None:
        message = f"who are you? Give --tls DIR or set {TLS}; gridcord ca issue makes one"
        raise CommandError(message)
    given = name or demo.get("server_name") or os.environ.get(SERVER_NAME)
    return Connection(target=_target(target), tls=folder, server_name=given or None)


def demo_folder(given: Path | None) -> Path | None:
    """The folder of a kept demo that is meant: the option's, else the environment's."""
    return given or _path(DATA)


def demo_fact(folder: Path, name: str) -> str | None:
    """What a kept demo's folder says of itself; None when it does not say that.

    Raises:
        CommandError: It is none.
    """
    return _demo(folder).get(name)


def ask(link: Connection, work: Callable[[ManagerClient], Coroutine[Any, Any, Answer]]) -> Answer:
    """Do something with a manager.

    Raises:
        CommandError: It refused, or does not answer; the text says what to do.
    """

    async def scenario() -> Answer:
        async with link.channel() as channel:
            return await work(ManagerClient(channel, lost=lost))

    try:
        return asyncio.run(scenario())
    except grpc.aio.AioRpcError as error:
        raise refusal(error, f"the manager at {link.target}") from error


def refusal(error: grpc.aio.AioRpcError, who: str) -> CommandError:
    """What a failed call means to the user.

    Args:
        error: Of the call.
        who: Was called.
    """
    failure = failure_of(error)
    match failure.code:
        case grpc.StatusCode.UNAVAILABLE | grpc.StatusCode.DEADLINE_EXCEEDED:
            advice = "is it running, is the address right, do both trust the same authority?"
            message = f"{who} does not answer: {advice} ({_line(failure.message)})"
            return CommandError(message, exit_code=ExitCode.UNAVAILABLE)
        case grpc.StatusCode.INVALID_ARGUMENT:
            return CommandError(_told(failure.reason, failure.message))
        case grpc.StatusCode.PERMISSION_DENIED | grpc.StatusCode.UNAUTHENTICATED:
            message = f"{_told(failure.reason, failure.message)}: name another identity with --tls"
            return CommandError(message, exit_code=ExitCode.NEGATIVE)
    return CommandError(_told(failure.reason, failure.message), exit_code=ExitCode.NEGATIVE)


def hand_down(ctx: typer.Context) -> None:
    """Let a group's options stand before its command too: `transfers --tls DIR watch`."""
    given = {name: value for name, value in ctx.params.items() if value}
    ctx.default_map = {str(ctx.invoked_subcommand): given}


def _told(reason: str, message: str) -> str:
    return f"{reason}: {_line(message)}"


def _line(text: str) -> str:
    return " ".join(text.split())[:300]


def lost() -> None:
    """Say that what is followed does not answer now."""
    sys.stderr.write("gridcord: the manager does not answer, trying again\n")


def _target(text: str) -> str:
    host, separator, port = text.rpartition(":")
    if not separator or not host or not port.isdecimal():
        message = f"no address: {text!r}; give host:port, such as 127.0.0.1:50051"
        raise CommandError(message)
    return text


def _demo(folder: Path | None) -> dict[str, str]:
    if folder is None:
        return {}
    file = folder / DEMO_FILE
    try:
        content = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        message = f"{file} cannot be read: is it the folder of a demo with --keep? ({error})"
        raise CommandError(message) from error
    if not isinstance(content, dict):
        message = f"{file} holds no table"
        raise CommandError(message)
    facts = {key: str(value) for key, value in content.items() if value is not None}
    paths = {name: facts[name] for name in _PATHS if "://" not in facts.get(name, "://")}
    return facts | {name: str(folder / path) for name, path in paths.items()}


def _path(variable: str) -> Path | None:
    return _path_of(os.environ.get(variable))


def _path_of(text: str | None) -> Path | None:
    return Path(text).expanduser() if text else None
