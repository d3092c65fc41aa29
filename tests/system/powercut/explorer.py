"""Cuts the power after every system call of a program and asks what is left.

    report = explore(command, database, check)
    assert report.first is None, report

`command` writes to `database` step by step and prints "ACK <n>" once n steps are durable. `check`
opens what a cut left and says what is wrong with it, given how many steps had been acknowledged.
"""

from __future__ import annotations

import hashlib
import random
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.system.powercut.disk import Disk, Files
from tests.system.powercut.recording import Ack, Operation, Sync, record

Check = Callable[[Path, int], str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A disk that is not as it must be.

    Args:
        after: How many operations had happened.
        operation: The last of them.
        left: What the cut left of what was pending.
        acknowledged: Steps that had been acknowledged.
        problem: What the check says.
    """

    after: int
    operation: str
    left: str
    acknowledged: int
    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What an exploration found.

    Args:
        operations: Operations recorded.
        syncs: How many of them were syncs.
        acknowledged: Steps acknowledged in the end.
        states: Different disks checked.
        wrong: How many of them are not as they must be.
        first: The first of those.
    """

    operations: int
    syncs: int
    acknowledged: int
    states: int
    wrong: int
    first: Finding | None

    def __str__(self) -> str:
        counts = (
            f"{self.acknowledged} steps acknowledged, {self.operations} operations,"
            f" {self.syncs} syncs, {self.states} disks, {self.wrong} wrong"
        )
        return counts if self.first is None else f"{counts}; first: {self.first}"


def explore(
    writer_command: Sequence[str],
    database_path: Path,
    check: Check,
    *,
    samples: int = 8,
    seed: int = 0,
) -> Report:
    """Record a program, rebuild the disks and check each once.

    Args:
        writer_command: The program.
        database_path: The database it writes; does not exist before.
        check: Given the database of a rebuilt disk and the steps acknowledged before the cut, says
            what is wrong, or None.
        samples: Random parts of what is pending, per operation.
        seed: Of the random parts.
    """
    operations = record(writer_command, database_path)
    dice, disk, acknowledged = random.Random(seed), Disk(), 0
    seen: set[bytes] = set()
    findings: list[Finding] = []
    for number, operation in enumerate(operations, 1):
        disk.take(operation)
        if isinstance(operation, Ack):
            acknowledged = operation.count
        for left, files in disk.leavings(samples=samples, dice=dice):
            state = _name(files, acknowledged)
            if state in seen:
                continue
            seen.add(state)
            problem = _check(files, database_path.name, acknowledged, check)
            if problem is not None:
                finding = Finding(
                    after=number,
                    operation=_brief(operation),
                    left=left,
                    acknowledged=acknowledged,
                    problem=problem,
                )
                findings.append(finding)
    return Report(
        operations=len(operations),
        syncs=sum(isinstance(operation, Sync) for operation in operations),
        acknowledged=acknowledged,
        states=len(seen),
        wrong=len(findings),
        first=findings[0] if findings else None,
    )


def _name(files: Files, acknowledged: int) -> bytes:
    digest = hashlib.sha256(b"%d" % acknowledged)
    for path in sorted(files):
        digest.update(path.encode() + b"\0" + hashlib.sha256(files[path]).digest())
    return digest.digest()


def _brief(operation: Operation) -> str:
    text = repr(operation)
    return text if len(text) < 120 else f"{text[:120]}..."


def _check(files: Files, database: str, acknowledged: int, check: Check) -> str | None:
    memory = Path("/dev/shm")  # a disk that is written a thousand times had better be memory
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        for path, content in files.items():
            Path(folder, Path(path).name).write_bytes(content)
        return check(Path(folder, database), acknowledged)
