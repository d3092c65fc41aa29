"""`gridcord resource`: drive a battery or a charging station for a manager.

As a program of its own, `gridcord-resource --config FILE`, it takes what every program takes.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from gridcord.chassis.exit_codes import ExitCode
from gridcord.chassis.lifecycle import Lifecycle, OnFailure
from gridcord.chassis.program import run_program
from gridcord.chassis.sections import SessionSettings
from gridcord.chassis.settings import SettingsError
from gridcord.cli.resource_settings import ResourceSettings
from gridcord.clients.connector import Connector
from gridcord.clients.fence_file import FenceFile
from gridcord.clients.resource_agent import OwnerLimits, ResourceAgent
from gridcord.clients.sunspec_device import DeviceAddress, SunSpecDevice
from gridcord.session.backoff import Backoff
from gridcord.session.resource import ResourcePolicy
from gridcord.wire.resource import DepartureNeed, ResourceIntroduction

app = typer.Typer(help="Drive a battery or a charging station for a manager.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Drive a battery or a charging station for a manager."""


@app.command()
def run(config: Annotated[Path, typer.Option(help="Settings, TOML.")]) -> None:
    """Hold the session of one SunSpec device until told to end; then it stands at 0 W."""
    exit_code = run_program(ResourceSettings, run_agent, ["--config", str(config)])
    raise typer.Exit(exit_code)


def main() -> None:
    """Run the program and exit with its code."""
    sys.exit(run_program(ResourceSettings, run_agent))


async def run_agent(settings: ResourceSettings) -> ExitCode:
    """Drive the device until told to stop."""
    clock = settings.clock.clock()
    async with Lifecycle(clock=clock) as lifecycle:
        agent = make_agent(settings)
        lifecycle.add("agent", agent.run, on_failure=OnFailure.STOP)
        lifecycle.on_drain(agent.rest)
        return await lifecycle.run()


def make_agent(settings: ResourceSettings) -> ResourceAgent:
    """The agent that settings describe.

    Raises:
        SettingsError: The file of the fence holds something else.
        CredentialsError: Own certificate, key or roots cannot be used.
        OSError: A file cannot be used.
    """
    resource, device, manager = settings.resource, settings.device, settings.manager
    connect = Connector(manager.target, files=settings.tls.files(), expect=manager.server_name)
    try:
        fence = FenceFile(resource.fence_file)
    except ValueError as error:
        message = f"resource.fence_file: {error}"
        raise SettingsError(message) from error
    return ResourceAgent(
        device=SunSpecDevice(
            DeviceAddress(
                host=device.host, port=device.port, unit=device.unit, timeout_s=device.timeout_s
            ),
            revert_s=device.revert_s,
        ),
        introduction=ResourceIntroduction(
            resource_id=connect.identity.principal.id,
            kind=resource.kind,
            cable_id=resource.cable_id,
            site_id=resource.site_id,
            area_id=resource.area_id,
            capacity_wh=resource.capacity_wh,
            need=DepartureNeed(reserve_percent=resource.reserve_percent),
            last_fence=fence.fence,
        ),
        connect=connect,
        clock=settings.clock.clock(),
        limits=OwnerLimits(
            is_permitted=resource.permitted,
            charge_w=resource.charge_limit_w,
            discharge_w=resource.discharge_limit_w,
        ),
        every_s=device.every_s,
        note_fence=fence.note,
        policy=_policy(settings.session, settings.clock.speed),
    )


def _policy(session: SessionSettings, speed: float) -> ResourcePolicy:
    """Delays of the session: the network lives in real time, whatever the clock plays."""
    return ResourcePolicy(
        backoff=Backoff(
            base_s=session.retry_first_s * speed, cap_s=session.retry_longest_s * speed
        ),
        welcome_within_s=session.welcome_within_s * speed,
        stable_after_s=session.stable_after_s * speed,
    )


if __name__ == "__main__":
    main()
