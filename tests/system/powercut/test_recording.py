"""The explorer's own parts: reading a recording, and what a cut leaves of it."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.system.powercut.disk import Disk
from tests.system.powercut.recording import (
    Ack,
    Create,
    Operation,
    RecordingFailed,
    Sync,
    Truncate,
    Unlink,
    Write,
    _calls,
    _operations,
    require_strace,
)


def hexed(text: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in text.encode())


def read(tmp_path: Path, *lines: str) -> list[Operation]:
    log = tmp_path / "log"
    log.write_text("\n".join(lines) + "\n")
    return list(_operations(_calls(log), "/d/x.db"))


DB, WAL = hexed("/d/x.db"), hexed("/d/x.db-wal")


def test_a_recording_is_read(tmp_path: Path) -> None:
    assert read(
        tmp_path,
        f'7 openat(AT_FDCWD<{hexed("/")}>, "{DB}", O_RDWR|O_CREAT, 0600) = 3<{DB}>',
        f'7 openat(AT_FDCWD<{hexed("/")}>, "{hexed("/etc/x")}", O_RDONLY) = 4<{hexed("/etc/x")}>',
        f'7 pwrite64(3<{DB}>, "{hexed("abc")}", 3, 8) = 3',
        f"7 fdatasync(3<{DB}>) = 0",
        f"7 fsync(5<{hexed('/d')}>) = 0",
        f"7 ftruncate(3<{DB}>, 4) = 0",
        f'7 unlink("{WAL}") = -1 ENOENT (No such file or directory)',
        f'7 unlink("{DB}") = 0',
        f'7 write(1<{hexed("pipe:[9]")}>, "{hexed("ACK 3")}\\x0a", 6) = 6',
        f'7 write(2<{hexed("pipe:[8]")}>, "{hexed("oops")}", 4) = 4',
        "7 +++ exited with 0 +++",
    ) == [
        Create("/d/x.db"),
        Write("/d/x.db", 8, b"abc"),
        Sync("/d/x.db"),
        Sync("/d"),
        Truncate("/d/x.db", 4),
        Unlink("/d/x.db"),
        Ack(3),
    ]


def test_a_sync_covers_what_was_written_before_it_began(tmp_path: Path) -> None:
    assert read(
        tmp_path,
        f'7 pwrite64(3<{DB}>, "{hexed("a")}", 1, 0 <unfinished ...>',
        f"8 fdatasync(3<{DB}> <unfinished ...>",
        "7 <... pwrite64 resumed>) = 1",
        "8 <... fdatasync resumed>) = 0",
    ) == [Sync("/d/x.db"), Write("/d/x.db", 0, b"a")]


def test_what_is_not_understood_is_not_passed_over(tmp_path: Path) -> None:
    with pytest.raises(RecordingFailed, match="fallocate"):
        read(tmp_path, f"7 fallocate(3<{DB}>, 0, 0, 4096) = 0")


def leavings(*operations: Operation) -> set[tuple[tuple[str, bytes], ...]]:
    disk = Disk()
    for operation in operations:
        disk.take(operation)
    found = disk.leavings(samples=2_000, dice=random.Random(1))
    return {tuple(sorted(files.items())) for _, files in found}


def test_what_is_not_synced_may_be_there_or_not() -> None:
    assert leavings(Create("x"), Write("x", 0, b"a")) == {(), (("x", b""),), (("x", b"a"),)}
    assert leavings(Create("x"), Write("x", 0, b"a"), Sync("x")) == {(("x", b"a"),)}


def test_a_sync_of_one_file_keeps_nothing_of_another_but_its_name() -> None:
    assert leavings(Create("x"), Write("x", 0, b"a"), Create("y"), Sync("y")) == {
        (("x", b""), ("y", b"")),
        (("x", b"a"), ("y", b"")),
    }


def test_a_removal_is_undone_unless_something_was_synced_after() -> None:
    written: list[Operation] = [Create("x"), Write("x", 0, b"a"), Sync("x"), Unlink("x")]

    assert leavings(*written) == {(("x", b"a"),), ()}
    assert leavings(*written, Sync("y")) == {()}


def test_a_write_may_be_torn_at_any_sector() -> None:
    old: list[Operation] = [Create("x"), Write("x", 0, b"o" * 1536), Sync("x")]

    contents = {dict(files)["x"] for files in leavings(*old, Write("x", 256, b"n" * 1024))}

    assert b"o" * 256 + b"n" * 256 + b"o" * 1024 in contents
    assert b"o" * 512 + b"n" * 512 + b"o" * 512 in contents
    assert b"o" * 256 + b"n" * 1024 + b"o" * 256 in contents
    assert len(contents) == 2**3


def test_a_truncation_can_shorten_and_lengthen() -> None:
    disk = Disk()
    for operation in (Create("x"), Write("x", 2, b"ab"), Truncate("x", 3), Sync("x")):
        disk.take(operation)
    assert disk.durable == {"x": bytearray(b"\0\0a")}
    disk.take(Truncate("x", 5))
    disk.take(Sync("x"))
    assert disk.durable == {"x": bytearray(b"\0\0a\0\0")}


def test_without_strace_continuous_integration_fails_and_others_skip(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="apt-get install strace"):
        require_strace()
    monkeypatch.delenv("CI")
    with pytest.raises(pytest.skip.Exception, match="no power-cut test"):
        require_strace()
