"""The two folders: files appear whole or not at all, and every one read is acknowledged.

A file is written under a name that starts with a dot, brought to the disk, and renamed. Beside
every file that was read stands `<name>.ok` or `<name>.error` with its digest.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

FORMS = ("csv", "jsonl")
MAX_BYTES = 64 * 1024 * 1024


class Folder:
    """Outgoing and incoming files under one root.

    Args:
        root: Holds `out` and `in`; made when they are not there.
        form: What our own files are, "csv" or "jsonl"; both are read.

    Raises:
        ValueError: There is no such form.
        OSError: The folders cannot be made.
    """

    def __init__(self, *, root: Path, form: str = "csv") -> None:
        if form not in FORMS:
            message = f"files are {' or '.join(FORMS)}, not {form!r}"
            raise ValueError(message)
        self.form = form
        self._out = root / "out"
        self._in = root / "in"
        for folder in (self._out, self._in):
            folder.mkdir(parents=True, exist_ok=True)

    def drop(self, kind: str, text: str) -> None:
        """Have a file out; the same text twice is one file.

        Raises:
            OSError: It cannot be written.
        """
        data = text.encode()
        name = f"{kind}-{hashlib.sha256(data).hexdigest()[:24]}.{self.form}"
        if not (self._out / name).exists():
            write_whole(self._out / name, data)

    def dropped(self, kind: str) -> Iterator[tuple[str, str]]:
        """(form, text) of every file of a kind that is out."""
        for path in _files(self._out, kind):
            yield path.suffix[1:], path.read_text("utf-8")

    def incoming(self, kind: str) -> Iterator[tuple[Path, str]]:
        """(path, text) of every file of a kind that came, by name.

        Files that cannot be text are acknowledged as errors and left out.
        """
        for path in _files(self._in, kind):
            try:
                if path.stat().st_size > MAX_BYTES:
                    message = f"larger than {MAX_BYTES} bytes"
                    raise ValueError(message)
                yield path, path.read_bytes().decode("utf-8-sig")
            except ValueError as error:
                acknowledge(path, error=str(error))


def acknowledge(path: Path, *, error: str = "", rows: int = 0) -> None:
    """Say beside a file that it was read, or why not."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    note = {"sha256": digest, "error": error} if error else {"sha256": digest, "rows": rows}
    fresh, stale = ("error", "ok") if error else ("ok", "error")
    data = (json.dumps(note) + "\n").encode()
    target = path.with_name(f"{path.name}.{fresh}")
    if not target.exists() or target.read_bytes() != data:
        write_whole(target, data)
    path.with_name(f"{path.name}.{stale}").unlink(missing_ok=True)


def write_whole(path: Path, data: bytes) -> None:
    """Write a file that appears whole or not at all, and is on the disk when this returns."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with draft.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _files(folder: Path, kind: str) -> list[Path]:
    return sorted(p for form in FORMS for p in folder.glob(f"{kind}-*.{form}"))
