"""Records what a program does to its database file, system call by system call, with strace."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

_CALLS = (
    "openat,open,creat,write,pwrite64,writev,pwritev,pwritev2,fsync,fdatasync,sync_file_range,"
    "ftruncate,truncate,fallocate,unlink,unlinkat,rename,renameat,renameat2,copy_file_range"
)
_LINE = re.compile(r"(\d+)\s+(.*)")
_CALL = re.compile(r"(\w+)\((.*)\)\s+= (-?\d+)(<(.*)>)?.*")
_FD = re.compile(r"(\d+)<((?:\\x[0-9a-f]{2})*)")
_TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')


@dataclass(frozen=True, slots=True)
class Create:
    """A file came into being, empty."""

    path: str


@dataclass(frozen=True, slots=True)
class Write:
    """Bytes were handed to the system."""

    path: str
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Truncate:
    """A file got another size."""

    path: str
    size: int


@dataclass(frozen=True, slots=True)
class Unlink:
    """A file was removed."""

    path: str


@dataclass(frozen=True, slots=True)
class Sync:
    """A file (or a folder, as its path) was made durable."""

    path: str


@dataclass(frozen=True, slots=True)
class Ack:
    """The program told the world: so many steps are durable."""

    count: int


Operation = Create | Write | Truncate | Unlink | Sync | Ack


class RecordingFailed(Exception):
    """The program failed, or did something to its files that is not understood here."""


def require_strace() -> None:
    """Fail in continuous integration, skip elsewhere, where strace cannot be used."""
    found = shutil.which("strace")
    usable = (
        found and not subprocess.run([found, "true"], capture_output=True, check=False).returncode
    )
    if usable:
        return
    reason = "strace is missing or forbidden: no power-cut test (Debian: apt-get install strace)"
    if os.environ.get("CI", "").lower() in {"1", "true"}:
        pytest.fail(reason)
    pytest.skip(reason)


def record(command: Sequence[str], database: Path) -> list[Operation]:
    """Run a program and return what it did to a database and the files beside it.

    Args:
        command: The program. It prints "ACK <n>" when its first n steps are durable.
        database: Its database file; "-wal" and "-journal" belong to it, "-shm" is no storage.

    Raises:
        RecordingFailed: See there.
    """
    log = database.with_name(database.name + ".strace")
    strace = ["strace", "-f", "-y", "-xx", "-s", "1000000", "-e", f"trace={_CALLS}", "-o", str(log)]
    done = subprocess.run([*strace, *command], capture_output=True, text=True, check=False)
    if done.returncode:
        message = f"{command} ended with {done.returncode}: {done.stderr[-2000:]}"
        raise RecordingFailed(message)
    try:
        return list(_operations(_calls(log), str(database)))
    finally:
        log.unlink()


@dataclass(frozen=True, slots=True)
class _Syscall:
    name: str
    arguments: str
    result: int
    returned: str


def _calls(log: Path) -> Iterator[_Syscall]:
    """Calls that succeeded. A sync counts from its beginning: it covers what was written by then.

    Any other call counts from its end; so with several threads a sync never covers too much.
    """
    begun: dict[str, str] = {}
    lines = [_LINE.fullmatch(line) for line in log.read_text(encoding="ascii").splitlines()]
    for match in filter(None, lines):
        process, text = match[1], match[2]
        if text.endswith("<unfinished ...>"):
            begun[process] = text.removesuffix("<unfinished ...>")
            if text.startswith(("fsync(", "fdatasync(")):
                text = begun.pop(process).rstrip() + ") = 0"
            else:
                continue
        elif text.startswith("<... "):
            if process not in begun:  # a sync, counted when it began
                continue
            text = begun.pop(process) + text.partition(" resumed>")[2]
        call = _CALL.fullmatch(text)
        if call and int(call[3]) >= 0:
            yield _Syscall(call[1], call[2], int(call[3]), _plain(call[5] or ""))


def _plain(escaped: str) -> str:
    return _bytes(escaped).decode()


def _bytes(escaped: str) -> bytes:
    return bytes.fromhex(escaped.replace("\\x", ""))


def _operations(calls: Iterator[_Syscall], database: str) -> Iterator[Operation]:
    folder = os.path.dirname(database)  # noqa: PTH120
    known: set[str] = set()
    for call in calls:
        first = _FD.match(call.arguments)
        path = _plain(first[2]) if first else ""
        if call.name == "write" and first and first[1] == "1":
            yield from _acks(call)
        elif call.name in {"openat", "open", "creat"}:
            if _is_storage(call.returned, database) and call.returned not in known:
                known.add(call.returned)
                yield Create(call.returned)
        elif call.name in {"unlink", "unlinkat"}:
            removed = _plain(_text(call))
            if _is_storage(removed, database):
                known.discard(removed)
                yield Unlink(removed)
        elif call.name in {"fsync", "fdatasync"} and (
            path == folder or _is_storage(path, database)
        ):
            yield Sync(path)
        elif _is_storage(path, database):
            yield _change(call, path)


def _is_storage(path: str, database: str) -> bool:
    return path in {database, database + "-wal", database + "-journal"}


def _change(call: _Syscall, path: str) -> Operation:
    numbers = call.arguments.rsplit(",", 1)
    match call.name:
        case "pwrite64":
            return Write(path, int(numbers[1]), _bytes(_text(call))[: call.result])
        case "ftruncate":
            return Truncate(path, int(numbers[1]))
    message = f"{call.name} on {path} is not understood"
    raise RecordingFailed(message)


def _text(call: _Syscall) -> str:
    found = _TEXT.search(call.arguments)
    if found is None:
        message = f"no text in {call.name}({call.arguments[:200]})"
        raise RecordingFailed(message)
    return found[1]


def _acks(call: _Syscall) -> Iterator[Ack]:
    for line in _bytes(_text(call)).splitlines():
        if line.startswith(b"ACK "):
            yield Ack(int(line.split()[1]))
