"""A TCP link between two peers that can freeze: nothing passes, nobody hangs up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field


@dataclass
class Link:
    """A running link.

    Args:
        address: Where it listens, "host:port".
        flowing: Cleared to freeze it.
    """

    address: str = ""
    flowing: asyncio.Event = field(default_factory=asyncio.Event)


@asynccontextmanager
async def linked(target: str) -> AsyncIterator[Link]:
    """Forward connections to `target` until the block ends."""
    link = Link()
    link.flowing.set()
    tasks: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, _, port = target.rpartition(":")
        far_reader, far_writer = await asyncio.open_connection(host, int(port))
        for source, sink in ((reader, far_writer), (far_reader, writer)):
            tasks.add(asyncio.create_task(_pump(link, source, sink)))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    link.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield link
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _pump(link: Link, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while content := await source.read(65_536):
            await link.flowing.wait()
            sink.write(content)
            await sink.drain()
    sink.close()
