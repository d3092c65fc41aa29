"""The frame of every program: arguments, settings, logs, the standard server, an exit code."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Coroutine, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from gridcord import __version__
from gridcord.chassis.admission import Admission, DenyListError
from gridcord.chassis.authorization import Policy
from gridcord.chassis.clock import SystemClock
from gridcord.chassis.credentials import CredentialsError, load_identity, server_credentials
from gridcord.chassis.endpoint import HttpEndpoint
from gridcord.chassis.exit_codes import ExitCode
from gridcord.chassis.guard import Refused
from gridcord.chassis.lifecycle import Lifecycle, OnFailure
from gridcord.chassis.limits import ServerLimits
from gridcord.chassis.logging import configure_logging
from gridcord.chassis.metrics import tell_expiry
from gridcord.chassis.process import FEW_FILES, SlowProtobuf, run
from gridcord.chassis.readiness import obstacles
from gridcord.chassis.sections import (
    ClockSettings,
    DenyListSettings,
    ListenSettings,
    LogSettings,
    MetricsSettings,
    TlsSettings,
)
from gridcord.chassis.server import LocalSocket, Server, Service
from gridcord.chassis.settings import ProgramSettings, SettingsError, load_settings
from gridcord.chassis.supervisor import write_ready_file


class ServerSettings(ProgramSettings):
    """The tables of every program that serves over TCP; subclass it and add its own."""

    tls: TlsSettings
    listen: ListenSettings = ListenSettings()
    deny_list: DenyListSettings = DenyListSettings()
    log: LogSettings = LogSettings()
    metrics: MetricsSettings = MetricsSettings()
    clock: ClockSettings = ClockSettings()


Settings = TypeVar("Settings", bound=ProgramSettings)
Main = Callable[[Settings], Coroutine[Any, Any, ExitCode]]


def run_program(
    model: type[Settings],
    main: Main[Settings],
    arguments: Sequence[str] | None = None,
    *,
    files: int = FEW_FILES,
) -> int:
    """Run a program from its command line: `[--config FILE] [--check] [--version]`.

    Args:
        model: Its settings, with a `log` table.
        main: Runs it; its exit code is the process's.
        arguments: Of the command line; None for those of the process.
        files: Open files wanted, see `process.run`.

    Returns:
        The exit code: `ExitCode.USAGE`, with a line on standard error, when settings, files or
        addresses it names cannot be used.
    """
    options = _parser(model.program).parse_args(arguments)
    try:
        settings = load_settings(model, options.config)
        if options.check:
            return _checked(settings)
        configure_logging(_log_settings(settings), program=model.program)
        return run(main(settings), files=files)
    except (SettingsError, CredentialsError, DenyListError, OSError) as error:
        sys.stderr.write(f"gridcord-{model.program}: {error}\n")
        return ExitCode.USAGE
    except SlowProtobuf as error:
        sys.stderr.write(f"gridcord-{model.program}: {error}\n")
        return ExitCode.NEGATIVE


async def start_server(
    settings: ServerSettings,
    *,
    lifecycle: Lifecycle,
    policy: Policy,
    services: Iterable[Service],
    limits: ServerLimits | None = None,
    socket: LocalSocket | None = None,
    refused: Refused | None = None,
) -> Server:
    """Start a program's server with everything that belongs to it, under its lifecycle.

    That is admission with the deny list, the server, `/metrics` and `/healthz`, the ready file,
    and a graceful drain.

    Raises:
        CredentialsError: Own certificate, key or roots cannot be used.
        DenyListError: The deny list cannot be used.
        OSError: An address or path cannot be used.
    """
    files = settings.tls.files()
    admission = Admission(
        domain=load_identity(files).principal.domain,
        clock=SystemClock(),  # certificates live in real time, whatever a demonstration plays
        deny_list=settings.deny_list.file,
        interval_s=settings.deny_list.interval_s,
    )
    server = Server(
        address=settings.listen.address,
        credentials=server_credentials(files),
        admission=admission,
        policy=policy,
        services=services,
        limits=limits or ServerLimits(share_port=settings.listen.share_port),
        with_reflection=settings.listen.reflection,
        socket=socket,
        refused=refused,
    )
    facts: dict[str, str | int] = {"pid": os.getpid()}
    if settings.metrics.address is not None:
        tell_expiry(lambda: load_identity(files).own.not_after_s)
        endpoint = HttpEndpoint(
            settings.metrics.address, healthy=lambda: not server.draining.is_set()
        )
        await endpoint.start()
        lifecycle.on_drain(endpoint.stop)
        facts["metrics"] = endpoint.address
    await server.start()
    lifecycle.on_drain(lambda: _drain(server, settings.listen))
    lifecycle.add("admission", admission.run, on_failure=OnFailure.STOP)
    facts["grpc"] = server.address
    if settings.listen.ready_file is not None:
        write_ready_file(settings.listen.ready_file, facts)
    return server


async def _drain(server: Server, listen: ListenSettings) -> None:
    await server.drain(grace_s=listen.grace_s, notice_s=listen.notice_s)
    if listen.ready_file is not None:
        listen.ready_file.unlink(missing_ok=True)


def _checked(settings: ProgramSettings) -> ExitCode:
    """Say on standard error what would keep the program from starting."""
    found = list(obstacles(settings))
    sys.stderr.writelines(f"gridcord-{settings.program}: {each}\n" for each in found)
    return ExitCode.USAGE if found else ExitCode.OK


def _parser(program: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"gridcord-{program}")
    parser.add_argument(
        "--config",
        type=Path,
        default=Path(f"/etc/gridcord/{program}.toml"),
        metavar="FILE",
        help="settings, TOML (default: %(default)s)",
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="say what would keep it from starting: settings, files, ports; then end",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    return parser


def _log_settings(settings: ProgramSettings) -> LogSettings:
    log = getattr(settings, "log", None)
    return log if isinstance(log, LogSettings) else LogSettings()
