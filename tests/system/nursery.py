"""Starts programs by forking a process that has imported them: a restart costs milliseconds.

A test that kills a program a hundred times would otherwise spend its time on imports. What runs in
the child is the program's own `main`, with arguments, signals, log and exit code of its own;
nothing of gRPC or a database is open before the fork.

    with Nursery() as nursery:
        child = nursery.start("manager", ["--config", path], log)
        child.kill()

Children die with the nursery, and the nursery with the test.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

PROGRAMS = {
    "manager": "manager.__main__",
    "cable_node": "cable_node.__main__",
    "cable": "tests.system.cable_process",
}
_PR_SET_PDEATHSIG = 1


class Child:
    """A program that was started.

    Args:
        pid: Its process.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._handle = os.pidfd_open(pid)

    @property
    def running(self) -> bool:
        """Whether it lives."""
        return not self.ended(0.0)

    def ended(self, within_s: float) -> bool:
        """Wait until it has ended; False when it has not by then."""
        poll = select.poll()
        poll.register(self._handle, select.POLLIN)
        return bool(poll.poll(within_s * 1000))

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._handle, number)

    def kill(self) -> None:
        """Kill -9, and wait until nothing of it is left."""
        self.send(signal.SIGKILL)
        assert self.ended(30.0), "a killed process does not end"
        os.close(self._handle)


class Nursery:
    """The process that forks. Use it as a context."""

    def __enter__(self) -> Self:
        """Start it; returns once everything is imported."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={
                **os.environ,
                "GRPC_VERBOSITY": "NONE",
                "OPENBLAS_NUM_THREADS": "1",  # its threads would not survive a fork
                "GRPC_ENABLE_FORK_SUPPORT": "0",
            },
        )
        assert self._read() == "ready"
        return self

    def __exit__(self, *_: object) -> None:
        """End it and all its children."""
        self._process.kill()
        self._process.communicate()

    def start(
        self, program: str, arguments: Sequence[str | Path], log: Path, *, mutant: str = ""
    ) -> Child:
        """Start a program.

        Args:
            program: Of `PROGRAMS`.
            arguments: Its command line.
            log: Gets its standard output and error, appended.
            mutant: A deliberate bug of `tests.system.mutants`.
        """
        request = {
            "module": PROGRAMS[program],
            "arguments": [str(each) for each in arguments],
            "log": str(log),
            "mutant": mutant,
        }
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        self._process.stdin.flush()
        return Child(int(self._read()))

    def _read(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the nursery ended"
        return json.loads(line)


def main() -> None:
    """Fork for each line of standard input."""
    _die_with(os.getppid())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for module in (*PROGRAMS.values(), "tests.system.mutants"):
        importlib.import_module(module)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the system reaps
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        parent = os.getpid()
        if (pid := os.fork()) == 0:
            _become(request, parent)
        print(json.dumps(pid), flush=True)


def _become(request: dict[str, Any], parent: int) -> None:
    """Be the program; never returns."""
    code: Any = 1
    try:
        _die_with(parent)
        for number in (signal.SIGCHLD, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        _redirect(request["log"])
        if request["mutant"]:
            from tests.system.mutants import MUTANTS

            MUTANTS[request["mutant"]]()
        module = sys.modules[request["module"]]
        sys.argv = [request["module"], *request["arguments"]]
        module.main()
        code = 0
    except SystemExit as end:
        code = end.code or 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 1)


def _redirect(log: str) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    written = os.open(log, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
    for source, target in ((nothing, 0), (written, 1), (written, 2)):
        os.dup2(source, target)


def _die_with(parent: int) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it had died already
        os._exit(1)


if __name__ == "__main__":
    main()
