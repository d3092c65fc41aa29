"""The highest fence that a resource ever saw, in a file: an older manager is never obeyed again."""

from __future__ import annotations

import os
from pathlib import Path


class FenceFile:
    """One number.

    Args:
        path: The file; its folder is made when it is not there.

    Raises:
        ValueError: The file holds something else.
        OSError: It cannot be read, or its folder cannot be made.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self.fence = 0
        if path.exists():
            text = path.read_text("ascii", "replace").strip()
            if not text.isdecimal():
                message = f"{path} holds no fence: {text[:40]!r}"
                raise ValueError(message)
            self.fence = int(text)

    def note(self, fence: int) -> None:
        """Keep a fence; it is on the disk when this returns. A lower one changes nothing.

        Raises:
            OSError: It cannot be written.
        """
        if fence <= self.fence:
            return
        draft = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        with draft.open("w", encoding="ascii") as file:
            file.write(f"{fence}\n")
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        self.fence = fence
