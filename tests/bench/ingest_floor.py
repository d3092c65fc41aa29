"""The smallest program that makes entries durable and confirms them: what the manager is held to.

The same transport (grpc.aio, one stream a cable, mutual TLS), the same messages, the same
durability: everything that has come since the last commit is one SQLite transaction with
`synchronous=FULL`, and is confirmed after it. No identity, no fence, no cursor, no digest, nothing
derived, no content looked at.
"""

from __future__ import annotations

import asyncio
import gc
import sqlite3
import sys
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import uvloop

from gridcord.api.manager.v1 import cable_session_service_pb2 as pb
from gridcord.api.manager.v1.cable_session_service_pb2_grpc import (
    CableSessionServiceServicer,
    add_CableSessionServiceServicer_to_server,
)

MOST_ROWS = 2_000


class Floor(CableSessionServiceServicer):
    """Reads, stores, confirms."""

    def __init__(self, file: str) -> None:
        self._thread = ThreadPoolExecutor(1)
        self._database = self._thread.submit(_open, file).result()
        self._pending: list[tuple[tuple[Any, ...], asyncio.Queue[int]]] = []
        self._work = asyncio.Event()
        self._cables = 0

    async def Connect(  # noqa: N802  (gRPC's name)
        self, request_iterator: AsyncIterator[pb.ConnectRequest], context: Any
    ) -> AsyncIterator[pb.ConnectResponse]:
        """Hold one stream."""
        acks: asyncio.Queue[int] = asyncio.Queue()
        self._cables += 1
        reader = asyncio.ensure_future(self._read(self._cables, request_iterator, acks))
        try:
            yield pb.ConnectResponse(welcome=pb.Welcome(fence=1, window=64))
            while True:
                sequence = await acks.get()
                while not acks.empty():
                    sequence = acks.get_nowait()
                yield pb.ConnectResponse(ack=pb.Ack(committed_sequence_number=sequence))
        finally:
            reader.cancel()

    async def _read(
        self,
        cable: int,
        requests: AsyncIterator[pb.ConnectRequest],
        acks: asyncio.Queue[int],
    ) -> None:
        async for request in requests:
            entry = request.entry
            if entry.sequence_number:
                row = (cable, entry.sequence_number, entry.body, entry.signature)
                self._pending.append((row, acks))
                self._work.set()

    async def commit(self) -> None:
        """Commit for ever."""
        loop = asyncio.get_running_loop()
        while True:
            await self._work.wait()
            batch = self._pending[:MOST_ROWS]
            del self._pending[:MOST_ROWS]
            if not self._pending:
                self._work.clear()
            rows = [row for row, _ in batch]
            await loop.run_in_executor(self._thread, self._store, rows)
            for acks, sequence in {acks: row[1] for row, acks in batch}.items():
                acks.put_nowait(sequence)

    def _store(self, rows: list[tuple[Any, ...]]) -> None:
        self._database.execute("BEGIN IMMEDIATE")
        self._database.executemany("INSERT INTO entry VALUES (?, ?, ?, ?)", rows)
        self._database.execute("COMMIT")


def _open(file: str) -> sqlite3.Connection:
    database = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "cache_size=-65536"):
        database.execute(f"PRAGMA {pragma}")
    database.execute(
        "CREATE TABLE entry (cable INTEGER, sequence INTEGER, body BLOB, signature BLOB,"
        " PRIMARY KEY (cable, sequence)) WITHOUT ROWID"
    )
    return database


def _credentials(certificate: str, key: str, roots: str) -> grpc.ServerCredentials:
    pem = [Path(each).read_bytes() for each in (key, certificate, roots)]
    return grpc.ssl_server_credentials([(pem[0], pem[1])], pem[2], True)


async def serve(file: str, credentials: grpc.ServerCredentials) -> None:
    """Serve; the port is printed."""
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0), ("grpc.http2.bdp_probe", 0)])
    floor = Floor(file)
    add_CableSessionServiceServicer_to_server(floor, server)
    port = server.add_secure_port("127.0.0.1:0", credentials)
    await server.start()
    print(port, flush=True)
    await floor.commit()


if __name__ == "__main__":
    gc.collect()
    gc.freeze()
    gc.set_threshold(200_000, 50, 1000)
    uvloop.run(serve(sys.argv[1], _credentials(*sys.argv[2:])))
