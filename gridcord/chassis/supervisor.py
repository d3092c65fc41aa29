"""Tells whoever started this process how it is: systemd's protocol, and a file for others."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping
from pathlib import Path

from gridcord.chassis.clock import Clock

READY = "READY=1"
STOPPING = "STOPPING=1"
WATCHDOG = "WATCHDOG=1"


def notify(state: str) -> bool:
    """Send a state to systemd (sd_notify(3)); False where nobody listens."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return False
    if address.startswith("@"):  # Linux' abstract namespace
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as link:
            link.sendto(state.encode(), address)
    except OSError:
        return False
    return True


def watchdog_interval_s() -> float | None:
    """Half of the time after which systemd restarts a silent process, None without a watchdog."""
    timeout_us = os.environ.get("WATCHDOG_USEC", "")
    for_us = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    return int(timeout_us) / 2_000_000 if timeout_us.isdecimal() and for_us else None


async def feed_watchdog(clock: Clock, interval_s: float) -> None:
    """Say that the event loop turns, again and again, until cancelled."""
    while True:
        notify(WATCHDOG)
        await clock.sleep(interval_s)


def write_ready_file(path: Path, facts: Mapping[str, str | int]) -> None:
    """Write what the process turned out to be, all at once: it is whole as soon as it exists.

    Args:
        path: Its folder exists.
        facts: Such as {"grpc": "127.0.0.1:43211", "pid": 4711}.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(json.dumps(dict(facts)) + "\n", "utf-8")
    draft.replace(path)


def read_ready_file(path: Path) -> dict[str, str | int] | None:
    """What `write_ready_file` wrote, None while it is not there."""
    try:
        facts: dict[str, str | int] = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return None
    return facts
