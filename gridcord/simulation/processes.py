"""Starts the shipped programs as processes, with settings in a folder of their own."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from gridcord.chassis.supervisor import read_ready_file

READY_WITHIN_S = 30.0
STOP_WITHIN_S = 20.0

Toml = Mapping[str, Mapping[str, Any]]


class ProgramFailed(RuntimeError):
    """A program ended, or did not become ready; the text holds the end of its log."""


@dataclass(slots=True)
class Program:
    """One program with its settings, log and process.

    Args:
        module: What `python -m` runs, such as "manager".
        folder: Where its settings, log and ready file are; made when missing.
        settings: Tables of its TOML file; `listen.ready_file` is added unless `ready` is False.
        ready: The program writes a ready file.
    """

    module: str
    folder: Path
    settings: Toml
    ready: bool = True
    environment: Mapping[str, str] = field(default_factory=dict)
    _process: subprocess.Popen[bytes] | None = None
    _log: IO[bytes] | None = None

    @property
    def config(self) -> Path:
        """Its settings file."""
        return self.folder / "settings.toml"

    @property
    def ready_file(self) -> Path:
        """What it writes when it serves."""
        return self.folder / "ready.json"

    @property
    def log(self) -> Path:
        """What it writes to standard error and output, over all starts."""
        return self.folder / "log"

    @property
    def running(self) -> bool:
        """Whether its process lives."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Of the process; it was started."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it; `wait_ready` says when it serves."""
        self.folder.mkdir(parents=True, exist_ok=True)
        tables = {name: dict(table) for name, table in self.settings.items()}
        if self.ready:
            tables.setdefault("listen", {}).setdefault("ready_file", str(self.ready_file))
        self.config.write_text(to_toml(tables), "utf-8")
        self.ready_file.unlink(missing_ok=True)
        self._log = self.log.open("ab")
        self._process = subprocess.Popen(
            [sys.executable, "-m", self.module, "--config", str(self.config)],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            env={**os.environ, "GRPC_VERBOSITY": "NONE", **self.environment},
            start_new_session=True,  # a Ctrl-C is for whoever started us; we end it in order
        )

    def wait_ready(self, within_s: float = READY_WITHIN_S) -> dict[str, str | int]:
        """What its ready file says, once it is there.

        Raises:
            ProgramFailed: It ended, or took longer.
        """
        end = time.monotonic() + within_s
        while time.monotonic() < end:
            if not self.running:
                raise ProgramFailed(self._told("ended at once"))
            if (facts := read_ready_file(self.ready_file)) is not None:
                return facts
            time.sleep(0.02)
        raise ProgramFailed(self._told(f"not ready within {within_s:g} s"))

    def kill(self) -> None:
        """End it without a chance to tidy up (kill -9)."""
        self._signal(signal.SIGKILL)
        self._reap(STOP_WITHIN_S)

    def stop(self, within_s: float = STOP_WITHIN_S) -> int:
        """Ask it to end; kill it when it does not. Returns its exit code."""
        self._signal(signal.SIGTERM)
        try:
            return self._reap(within_s)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            return self._reap(within_s)

    def send(self, number: signal.Signals) -> None:
        """Send it a signal, such as SIGSTOP."""
        self._signal(number)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

    def _reap(self, within_s: float) -> int:
        if self._process is None:
            return 0
        code = self._process.wait(within_s)
        if self._log is not None:
            self._log.close()
            self._log = None
        return code

    def _told(self, what: str) -> str:
        tail = self.log.read_text("utf-8", "replace")[-3000:] if self.log.exists() else ""
        return f"{self.module} in {self.folder}: {what}; its log ends with:\n{tail}"


def to_toml(tables: Toml) -> str:
    """Write tables of plain values as TOML; None is left out."""
    lines: list[str] = []
    for name, table in tables.items():
        lines.append(f"[{name}]")
        lines += [f"{key} = {_value(value)}" for key, value in table.items() if value is not None]
        lines.append("")
    return "\n".join(lines)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(each) for each in value) + "]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key} = {_value(each)}" for key, each in value.items()) + "}"
    escaped = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
