"""One channel to an adapter, a new one behind a renewal, none closed under a call."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from manager.clients.peer import Peer


@dataclass(eq=False)
class Channel:
    """Knows whether it was closed."""

    closed: bool = False

    async def close(self) -> None:
        self.closed = True


@dataclass
class Connecting:
    """Opens channels; `due` makes the next look find a renewed certificate."""

    opened: list[Channel] = field(default_factory=list)
    due: bool = False

    def renewed(self) -> bool:
        due, self.due = self.due, False
        return due

    def __call__(self) -> Any:
        self.opened.append(Channel())
        return self.opened[-1]


def test_a_channel_is_replaced_by_a_renewal_and_closed_behind_its_last_call() -> None:
    async def scenario() -> None:
        connect = Connecting()
        peer: Peer[Any] = Peer("market", connect, lambda channel: channel)
        async with peer.called() as first, peer.called() as second:
            assert first is second is connect.opened[0]
            connect.due = True
            async with peer.called() as third:
                assert third is connect.opened[1]
            assert [channel.closed for channel in connect.opened] == [False, False]
        assert [channel.closed for channel in connect.opened] == [True, False]
        connect.due = True  # no call runs: the one before is closed at once
        async with peer.called() as fourth:
            assert fourth is connect.opened[2]
            assert [channel.closed for channel in connect.opened] == [True, True, False]
        async with peer.called() as fifth:
            assert fifth is fourth

    asyncio.run(scenario())
