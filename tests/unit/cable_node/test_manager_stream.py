"""A manager that stops reading blocks the stream's writer, and nobody else."""

from __future__ import annotations

import asyncio
from typing import Self

import grpc

from cable_node import manager_stream
from cable_node.manager_stream import ManagerStream
from gridcord.api.manager.v1 import cable_session_service_pb2 as pb
from gridcord.api.manager.v1.cable_session_service_pb2_grpc import CableSessionServiceStub

WITHIN_S = 20.0
BIG = pb.ConnectRequest(entry=pb.Entry(sequence_number=1, body=b"x" * 30_000))


class Peer:
    """A server whose handler is the test's, and a stream to it."""

    def __init__(self) -> None:
        self.told: list[bytes] = []
        self.go_on = asyncio.Event()
        self.over: asyncio.Future[tuple[Exception | None, float]] = asyncio.Future()
        self.received: list[pb.ConnectResponse] = []

    async def __aenter__(self) -> Self:
        async def connect(request: object, context: object) -> None:
            await self.go_on.wait()
            while (message := await context.read()) is not grpc.aio.EOF:  # type: ignore[attr-defined]
                self.told.append(message)

        name = "gridcord.api.manager.v1.CableSessionService"
        handlers: dict[str, grpc.RpcMethodHandler[object, object]] = {
            "Connect": grpc.stream_stream_rpc_method_handler(connect)
        }
        self.server = grpc.aio.server()
        self.server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(name, handlers),)
        )
        port = self.server.add_insecure_port("127.0.0.1:0")
        await self.server.start()
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
        self.stream = ManagerStream(
            channel=channel,
            call=CableSessionServiceStub(channel).Connect(),
            received=self.received.append,
            ended=lambda *how: self.over.set_result(how),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        self.stream.cut()
        await asyncio.wait_for(self.over, WITHIN_S)
        await self.server.stop(0)


async def frame() -> pb.ConnectRequest:
    return BIG


def test_sending_never_waits_and_all_arrives_once_it_is_read() -> None:
    async def scenario() -> None:
        async with Peer() as peer:
            for _ in range(200):  # 6 MB: far beyond what flow control takes
                peer.stream.send(frame)
            peer.stream.close()
            await asyncio.sleep(0)
            assert peer.told == []
            peer.go_on.set()
            await asyncio.wait_for(asyncio.shield(peer.over), WITHIN_S)
            assert len(peer.told) == 200

    asyncio.run(scenario())


def test_a_stream_that_does_not_end_by_itself_is_cut() -> None:
    async def scenario() -> None:
        async with Peer() as peer:
            for _ in range(200):
                peer.stream.send(frame)
            peer.stream.close()
            error, pause_s = await asyncio.wait_for(asyncio.shield(peer.over), WITHIN_S)
            assert (error, pause_s) == (None, 0.0)
            assert len(peer.told) < 200

    before, manager_stream.CLOSE_WITHIN_S = manager_stream.CLOSE_WITHIN_S, 0.3
    try:
        asyncio.run(scenario())
    finally:
        manager_stream.CLOSE_WITHIN_S = before


def test_a_frame_that_cannot_be_made_ends_the_stream_and_is_told() -> None:
    async def broken() -> pb.ConnectRequest:
        message = "the disk failed"
        raise OSError(message)

    async def scenario() -> None:
        async with Peer() as peer:
            peer.stream.send(broken)
            error, _ = await asyncio.wait_for(asyncio.shield(peer.over), WITHIN_S)
            assert isinstance(error, OSError)

    asyncio.run(scenario())


def test_what_waits_is_bounded() -> None:
    async def scenario() -> None:
        async with Peer() as peer:
            try:
                for _ in range(manager_stream.MOST_ENTRIES + 3):
                    peer.stream.send(frame)
            except RuntimeError as error:
                assert "window" in str(error)
            else:
                raise AssertionError("it took more than the window")

    asyncio.run(scenario())
