"""Certificates are replaced while strangers and peers connect as fast as they can.

gRPC's core frees the TLS context it replaces while another thread may be beginning a handshake
with it (`gridcord.chassis.credentials.FollowedFiles`). Without the pause there, the first of these
tests ends the server with SIGSEGV in most of its runs, the long one in all.
"""

from __future__ import annotations

import asyncio
import itertools
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gridcord.chassis.channel import open_channel
from gridcord.simulation.processes import Program
from tests.integration.chassis.loopback import CABLE, DEADLINE_S, MANAGER, NAME, Pki, who

STRANGERS = 16  # threads that connect; they need no certificate for it


@pytest.fixture
def program(pki: Pki, tmp_path: Path) -> Iterator[Program]:
    """A server as the shipped programs make it, in a process that may crash."""
    files = pki.files(MANAGER)
    tls = {"certificate": files.certificate, "key": files.key, "roots": files.roots}
    log = {"format": "json"}
    program = Program("tests.integration.chassis.echo_program", tmp_path, {"tls": tls, "log": log})
    program.start()
    try:
        yield program
    finally:
        program.stop()


@contextmanager
def strangers(address: str) -> Iterator[Iterator[int]]:
    """Connect and hang up, over and over; gives a counter of connections."""
    host, _, port = address.rpartition(":")
    made, enough = itertools.count(), threading.Event()

    def connect() -> None:
        while not enough.is_set():
            try:
                socket.create_connection((host, int(port)), timeout=DEADLINE_S).close()
                next(made)
            except OSError:
                enough.wait(0.1)

    threads = [threading.Thread(target=connect) for _ in range(STRANGERS)]
    for thread in threads:
        thread.start()
    try:
        yield made
    finally:
        enough.set()
        for thread in threads:
            thread.join(DEADLINE_S)


async def asked(pki: Pki, address: str) -> str:
    """Whom the server takes a peer for that comes now."""
    async with open_channel(address, credentials=pki.credentials(CABLE), expect=NAME) as channel:
        return await who(channel)


@pytest.mark.parametrize(
    "seconds", [4, pytest.param(300, marks=(pytest.mark.soak, pytest.mark.timeout(600)))]
)
def test_a_server_survives_renewals_in_a_storm_of_connections(
    pki: Pki, program: Program, seconds: float
) -> None:
    address = str(program.wait_ready()["grpc"])
    certificate = pki.files(MANAGER).certificate
    before = certificate.read_bytes()
    pki.folder.renew(certificate.parent, now_s=time.time())
    others = itertools.cycle([before, certificate.read_bytes()])
    draft = certificate.with_name("draft.pem")
    with strangers(address) as made:
        end_s = time.monotonic() + seconds
        while time.monotonic() < end_s and program.running:
            draft.write_bytes(next(others))  # read at the next connection
            draft.replace(certificate)
            time.sleep(0.001)
    assert program.running, program.log.read_text("utf-8", "replace")[-2000:]
    assert asyncio.run(asked(pki, address)) == CABLE
    assert program.log.read_text("utf-8", "replace").count("certificate.loaded") > 1
    assert next(made) > STRANGERS
