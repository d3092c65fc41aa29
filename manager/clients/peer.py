"""Calls to an adapter, each with the certificate that is valid when the call begins."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import grpc

from gridcord.chassis.failures import failure_of
from manager.ports import PeerUnavailable

Stub = TypeVar("Stub")


class Connect(Protocol):
    """Opens channels; `gridcord.clients.connector.Connector` is one."""

    def renewed(self) -> bool:
        """Look whether a channel opened now would show another identity than the last."""
        ...

    def __call__(self) -> grpc.aio.Channel:
        """Open a channel; it connects at the first call."""
        ...


@dataclass(slots=True, eq=False)
class _Held(Generic[Stub]):
    """A channel, and how many calls run on it."""

    channel: grpc.aio.Channel
    stub: Stub
    calls: int = 0


class Peer(Generic[Stub]):
    """One adapter.

    All calls share a channel until the certificate is renewed. Then new ones, and every stream that
    is opened again, go over a new channel; the one before is closed behind its last call.

    Args:
        name: Of the adapter, for `PeerUnavailable`.
        connect: Opens channels to it.
        stub: What is called, of a channel.
    """

    def __init__(
        self, name: str, connect: Connect, stub: Callable[[grpc.aio.Channel], Stub]
    ) -> None:
        self._name = name
        self._connect = connect
        self._stub = stub
        self._newest: _Held[Stub] | None = None

    @asynccontextmanager
    async def called(self) -> AsyncIterator[Stub]:
        """What to call, for one call or one stream.

        Raises:
            PeerUnavailable: The call failed.
        """
        held = await self._hold()
        held.calls += 1
        try:
            yield held.stub
        except grpc.aio.AioRpcError as error:
            failure = failure_of(error)
            raise PeerUnavailable(self._name, failure.reason, failure.message) from error
        finally:
            held.calls -= 1
            await self._close_unused(held)

    async def _hold(self) -> _Held[Stub]:
        before = self._newest
        if before is not None and not self._connect.renewed():
            return before
        channel = self._connect()
        newest = self._newest = _Held(channel, self._stub(channel))
        if before is not None:
            await self._close_unused(before)
        return newest

    async def _close_unused(self, held: _Held[Stub]) -> None:
        if held is not self._newest and not held.calls:
            await held.channel.close()
