"""A serial line without a cable: a pseudo-terminal whose far end is served by the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import pty
import struct
import termios
import tty
from collections.abc import Callable
from pathlib import Path

# What a tty keeps for a reader; more than that unread means that nobody reads.
_UNREAD_LIMIT = 4000
_CHUNK = 4096


class PtyPort:
    """One serial port that can be plugged in and pulled out.

    The terminal is raw. `path` is a symbolic link when `link` is given, and stays the same over
    unplugging, like a name in `/dev/serial/by-id`; without it the path changes with each plug.

    A real port forgets what arrives while nobody reads: so does this one, it flushes instead of
    handing a late reader old bytes.

    Args:
        receive: Called in the event loop with the bytes that the driver wrote.
        link: Where to put the symbolic link; its folder exists.
    """

    def __init__(self, receive: Callable[[bytes], None], link: Path | None = None) -> None:
        self._receive = receive
        self._link = link
        self._master: int | None = None
        self._slave: int | None = None
        self.overruns = 0

    @property
    def path(self) -> str:
        """What a driver opens.

        Raises:
            OSError: It is unplugged and has no link.
        """
        if self._link is not None:
            return str(self._link)
        if self._slave is None:
            raise OSError("the port is unplugged")
        return os.ttyname(self._slave)

    @property
    def plugged(self) -> bool:
        """A driver can open it."""
        return self._master is not None

    def plug(self) -> None:
        """Make the port appear; nothing happens when it is there already."""
        if self._master is not None:
            return
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        asyncio.get_running_loop().add_reader(self._master, self._read)
        if self._link is not None:
            self._link.unlink(missing_ok=True)
            self._link.symlink_to(os.ttyname(self._slave))

    def unplug(self) -> None:
        """Make it vanish: whoever has it open gets an input/output error."""
        if self._master is None or self._slave is None:
            return
        asyncio.get_running_loop().remove_reader(self._master)
        os.close(self._master)
        os.close(self._slave)
        self._master = self._slave = None
        if self._link is not None:
            self._link.unlink(missing_ok=True)

    def write(self, data: bytes) -> None:
        """Send bytes to the driver; lost when nothing is plugged in."""
        if self._master is None:
            return
        self._forget_unread(len(data))
        try:
            written = os.write(self._master, data)
        except BlockingIOError:
            written = 0
        if written < len(data):
            self.overruns += 1

    def _forget_unread(self, coming: int) -> None:
        assert self._slave is not None
        buffer = fcntl.ioctl(self._slave, termios.FIONREAD, b"\0\0\0\0")
        if struct.unpack("i", buffer)[0] + coming > _UNREAD_LIMIT:
            termios.tcflush(self._slave, termios.TCIFLUSH)
            self.overruns += 1

    def _read(self) -> None:
        assert self._master is not None
        with contextlib.suppress(BlockingIOError, OSError):
            if data := os.read(self._master, _CHUNK):
                self._receive(data)
