"""An adapter's real process with an authority of its own, and a manager's way to it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import grpc

from gridcord.chassis.channel import open_channel, server_name
from gridcord.chassis.credentials import client_credentials, load_identity
from gridcord.chassis.identity import Kind, Principal
from gridcord.chassis.pki import PkiFolder
from gridcord.simulation.processes import Program

DOMAIN = "grid.example"
PATIENCE_S = 90.0
_MODULES = {Kind.MARKET: "market_adapter", Kind.UTILITY: "utility_adapter"}

T = TypeVar("T")
Tables = dict[str, dict[str, Any]]


@dataclass
class Adapter:
    """An adapter that was started.

    Args:
        kind: MARKET or UTILITY.
        program: Its process.
        pki: The authority, which has issued it and a manager.
    """

    kind: Kind
    program: Program
    pki: PkiFolder

    @property
    def address(self) -> str:
        """Where it serves."""
        return str(self.program.wait_ready()["grpc"])

    @asynccontextmanager
    async def channel(self) -> AsyncIterator[grpc.aio.Channel]:
        """A manager's channel to it, with mutual TLS."""
        files = self.pki.files(_principal(Kind.MANAGER))
        channel = open_channel(
            self.address,
            credentials=client_credentials(load_identity(files)),
            expect=server_name(self.kind, DOMAIN),
        )
        async with channel:
            yield channel

    def restart(self, **tables: dict[str, Any]) -> None:
        """kill -9, and start it again with tables of its settings replaced."""
        self.program.kill()
        self.program.settings = {**self.program.settings, **tables}
        self.program.start()


@contextmanager
def running_adapter(
    kind: Kind, folder: Path, tables: Tables, *, pki: PkiFolder | None = None
) -> Iterator[Adapter]:
    """An adapter.

    Args:
        kind: MARKET or UTILITY.
        folder: Of its files.
        tables: Of its settings, beside those of TLS, the store and the log.
        pki: The authority, which has issued a manager; None for one of its own.
    """
    pki = pki or new_authority(folder / "pki")
    files = pki.issue(_principal(kind), now_s=time.time() - 60)
    program = Program(
        _MODULES[kind],
        folder / "adapter",
        {
            "tls": {"certificate": files.certificate, "key": files.key, "roots": files.roots},
            "store": {"file": str(folder / "store.db")},
            "log": {"format": "json"},
            **tables,
        },
    )
    program.start()
    try:
        yield Adapter(kind, program, pki)
    finally:
        program.stop()


def new_authority(folder: Path) -> PkiFolder:
    """An authority that has issued a manager."""
    pki = PkiFolder(folder)
    pki.create(domain=DOMAIN, now_s=time.time() - 60)
    pki.issue(_principal(Kind.MANAGER), now_s=time.time() - 60)
    return pki


def _principal(kind: Kind) -> Principal:
    return Principal(domain=DOMAIN, kind=kind, id="main")


async def first(messages: Any, wanted: Callable[[Any], bool]) -> Any:
    """The first message of a stream that is wanted."""
    async with asyncio.timeout(PATIENCE_S):
        async for message in messages:
            if wanted(message):
                return message
    raise AssertionError("the stream ended")


async def until(ask: Callable[[], Awaitable[T]], good: Callable[[T], bool]) -> T:
    """Ask again and again until the answer is good."""
    async with asyncio.timeout(PATIENCE_S):
        while not good(answer := await ask()):  # noqa: ASYNC110  the answer is another process's
            await asyncio.sleep(0.1)
    return answer
