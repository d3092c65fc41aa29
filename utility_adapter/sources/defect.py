"""What is wrong with a file."""

from __future__ import annotations


class Defect(Exception):
    """What a reader finds wrong, before the file's name is added (see `FileRefused`).

    Args:
        line: Where, from 1; None when it is not about one line.
        reason: Why, for the utility's staff.
    """

    def __init__(self, line: int | None, reason: str) -> None:
        self.line = line
        self.reason = reason
        super().__init__(reason)


class FileRefused(Exception):
    """A file that is broken, of no known format, or too big; nothing of it was imported.

    Args:
        file: Its name.
        line: Where, from 1; None when it is not about one line.
        reason: Why, for the utility's staff.
    """

    def __init__(self, *, file: str, line: int | None, reason: str) -> None:
        self.file = file
        self.line = line
        self.reason = reason
        where = file if line is None else f"{file}:{line}"
        super().__init__(f"{where}: {reason}")
