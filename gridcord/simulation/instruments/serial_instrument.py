"""What every simulated instrument on a serial port has in common."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

from gridcord.simulation.instruments.faults import Faults, FaultyLine
from gridcord.simulation.pty import PtyPort


class SerialInstrument:
    """An instrument on a pseudo-terminal. A subclass says what it does with bytes, and of itself.

    Args:
        link: A stable name for the port, like those in `/dev/serial/by-id`; None = none.
    """

    def __init__(self, link: Path | None = None) -> None:
        self.faults = Faults()
        self.port = PtyPort(self.received, link)
        self.line = FaultyLine(self.port.write, self.faults)
        self._task: asyncio.Task[None] | None = None

    @property
    def path(self) -> str:
        """What a driver opens."""
        return self.port.path

    async def start(self) -> None:
        """Plug in and begin to live."""
        self.port.plug()
        if self._task is None:
            self._task = asyncio.create_task(self.run())

    async def stop(self) -> None:
        """Unplug for good; raises what went wrong in `run`."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self.line.close()
        self.port.unplug()

    def plug(self) -> None:
        """Plug in again; what it counted and whom it knows are kept."""
        self.port.plug()

    def unplug(self) -> None:
        """Pull it out."""
        self.port.unplug()

    def received(self, data: bytes) -> None:
        """Take bytes that the driver wrote; an instrument that only talks ignores them."""

    async def run(self) -> None:
        """What it does of itself; one that only answers does nothing."""
