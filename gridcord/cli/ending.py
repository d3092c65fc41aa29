"""How a command says that it cannot go on."""

from __future__ import annotations

from gridcord.chassis.exit_codes import ExitCode


class CommandError(Exception):
    """Ends a command with a message for its user.

    Args:
        message: What is wrong and what to do next.
        exit_code: See `ExitCode`.
    """

    def __init__(self, message: str, *, exit_code: ExitCode = ExitCode.USAGE) -> None:
        super().__init__(message)
        self.exit_code = exit_code
