"""Leases: what the manager grants lapses by itself, and nothing older replaces it.

A grant is ordered by (fence, version). The fence rises with each session of a device, so that a
manager which was cut off, stopped or restored can never command what a later one has taken over.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Generic, Protocol, TypeVar


class Grant(Protocol):
    """What a lease holds: a directive or a setpoint."""

    @property
    def fence(self) -> int:
        """Of the session that granted it."""
        ...

    @property
    def version(self) -> int:
        """Rises with each grant of a session."""
        ...

    @property
    def lease_s(self) -> float:
        """Seconds it holds from receipt."""
        ...

    @property
    def expire_s(self) -> float:
        """When it lapses by the manager's clock."""
        ...


GrantT = TypeVar("GrantT", bound=Grant)


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagerClock:
    """Brings the manager's instants onto the device's monotonic clock, never too late.

    The manager read its clock after the hello had been sent. So at any instant the manager's clock
    is ahead of ours by at most `ahead_s`, however long the welcome travelled, and a grant that was
    held up in the network gains nothing by it.

    Args:
        ahead_s: The manager's clock less our monotonic clock, seconds, at most.
    """

    ahead_s: float

    @classmethod
    def read(cls, *, manager_time_s: float, hello_sent_s: float) -> ManagerClock:
        """Take the offset from a welcome.

        Args:
            manager_time_s: The manager's clock as the welcome tells it.
            hello_sent_s: Our monotonic clock when the hello was sent.
        """
        return cls(ahead_s=manager_time_s - hello_sent_s)

    def monotonic_s(self, *, manager_time_s: float) -> float:
        """Our monotonic clock at an instant of the manager's, or a little earlier."""
        return manager_time_s - self.ahead_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease(Generic[GrantT]):
    """The newest grant that was heard of, and how long it holds.

    Args:
        fence: Highest fence seen, durable at the device; 0 for none.
        version: Highest version seen under that fence.
        grant: The newest grant; None when there is none, or it has lapsed.
        until_s: Monotonic instant from which it must not be obeyed.
    """

    fence: int = 0
    version: int = 0
    grant: GrantT | None = None
    until_s: float = -math.inf


def receive(
    *, lease: Lease[GrantT], grant: GrantT, clock: ManagerClock, now_s: float
) -> Lease[GrantT]:
    """Take a grant unless it is not newer.

    A newer one replaces the older also when it has lapsed on its way: it was the manager's last
    word, so the older must not live on.

    Args:
        lease: What is held.
        grant: What arrived.
        clock: Of the session it arrived on.
        now_s: Monotonic.

    Returns:
        The same object when the grant is not newer.
    """
    if (grant.fence, grant.version) <= (lease.fence, lease.version):
        return lease
    until_s = min(now_s + grant.lease_s, clock.monotonic_s(manager_time_s=grant.expire_s))
    return Lease(
        fence=grant.fence,
        version=grant.version,
        grant=grant if now_s < until_s else None,
        until_s=until_s,
    )


def fenced(*, lease: Lease[GrantT], fence: int) -> Lease[GrantT]:
    """Refuse from now on whatever carries a lower fence; what is in force runs on to its end."""
    return replace(lease, fence=fence, version=0) if fence > lease.fence else lease


def lapsed(*, lease: Lease[GrantT], now_s: float) -> bool:
    """Whether a grant was in force and must be given up now."""
    return lease.grant is not None and now_s >= lease.until_s


def dropped(*, lease: Lease[GrantT]) -> Lease[GrantT]:
    """The lease without its grant; what was seen stays known."""
    return replace(lease, grant=None, until_s=-math.inf)


def in_force(*, lease: Lease[GrantT], now_s: float) -> GrantT | None:
    """What must be obeyed now."""
    return lease.grant if now_s < lease.until_s else None
