"""How commands and programs end."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """The exit code of a command or program; documented, scripts rely on it."""

    OK = 0
    NEGATIVE = 1
    """A command: the answer is no. A program: a task failed."""
    USAGE = 2
    """Arguments, files or settings cannot be used."""
    UNAVAILABLE = 3
    """Somebody who is needed does not answer."""
    INTERRUPTED = 130
    """Ctrl-C."""
