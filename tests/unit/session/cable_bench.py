"""A bench for the cable's engine: feed it, look at what it asks for."""

from __future__ import annotations

from gridcord.metering.reading import Permission
from gridcord.session import cable
from gridcord.session.effects import CableEffect
from gridcord.session.events import CableInput, Connected, DirectiveReceived, Welcomed

EPOCH = 11


class Bench:
    """Feeds an engine and keeps what it asked for last."""

    def __init__(self, durable: cable.Durable | None = None) -> None:
        self.state = cable.start(durable=durable or cable.Durable(journal_epoch=EPOCH))

    def feed(self, event: CableInput, now_s: float = 0.0) -> tuple[CableEffect, ...]:
        self.state, effects = cable.advance(state=self.state, event=event, now_s=now_s)
        return effects

    def welcome(
        self, committed: int = 0, *, fence: int = 1, window: int = 3, now_s: float = 0.0
    ) -> tuple[CableEffect, ...]:
        self.feed(Connected(), now_s)
        return self.feed(
            Welcomed(
                fence=fence,
                committed_sequence=committed,
                manager_time_s=1_000.0 + now_s,
                window=window,
            ),
            now_s,
        )


def directive(
    version: int = 1,
    *,
    fence: int = 1,
    permission: Permission = Permission.BIDIRECTIONAL,
    expire_s: float = 1_090.0,
    lease_s: float = 90.0,
) -> DirectiveReceived:
    return DirectiveReceived(
        fence=fence, version=version, permission=permission, lease_s=lease_s, expire_s=expire_s
    )


def with_entries(count: int, acked: int = 0, *, oldest: int = 1, fence: int = 0) -> cable.Durable:
    return cable.Durable(
        journal_epoch=EPOCH,
        next_sequence=count + 1,
        oldest_retained=oldest,
        acked_sequence=acked,
        last_fence=fence,
    )
