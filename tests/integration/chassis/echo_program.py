"""A program like the shipped ones, which only echoes: `python -m ...echo_program --config FILE`."""

from __future__ import annotations

import sys
from typing import Any, ClassVar

from gridcord.chassis.authorization import ANYBODY, Policy
from gridcord.chassis.exit_codes import ExitCode
from gridcord.chassis.lifecycle import Lifecycle, OnFailure
from gridcord.chassis.program import ServerSettings, run_program, start_server
from gridcord.chassis.server import Service
from tests.integration.chassis.loopback import ECHO_HANDLERS, SERVICE, registration


class EchoSettings(ServerSettings):
    """Settings of the program.

    Args:
        fails_after_s: Seconds after which a task that matters fails.
    """

    program: ClassVar[str] = "echo"

    fails_after_s: float | None = None


async def serve(settings: EchoSettings) -> ExitCode:
    clock = settings.clock.clock()

    async def fail() -> Any:
        await clock.sleep(settings.fails_after_s or 0)
        message = "as told"
        raise RuntimeError(message)

    async with Lifecycle(clock=clock) as lifecycle:
        await start_server(
            settings,
            lifecycle=lifecycle,
            policy=Policy(dict.fromkeys(ECHO_HANDLERS, ANYBODY)),
            services=[Service(name=SERVICE, register=registration(ECHO_HANDLERS))],
        )
        if settings.fails_after_s is not None:
            lifecycle.add("fuse", fail, on_failure=OnFailure.STOP)
        return await lifecycle.run()


if __name__ == "__main__":
    sys.exit(run_program(EchoSettings, serve))
