"""State of the cable's side of its session: what is durable, what may be set, what is volatile."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from gridcord.session.backoff import Backoff
from gridcord.session.events import DirectiveReceived, EndReason
from gridcord.session.lease import Lease, ManagerClock


class Phase(StrEnum):
    """Where a session stands."""

    OFFLINE = "OFFLINE"
    HELLO_SENT = "HELLO_SENT"
    STREAMING = "STREAMING"
    ENDING = "ENDING"  # the manager asked to finish; what is left goes out first


class Hole(NamedTuple):
    """Numbers that this journal skipped, both ends included."""

    first: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Durable:
    """What the journal file holds and a crash leaves.

    Args:
        journal_epoch: Made at random with the file.
        next_sequence: The number the next entry will get, >= 1.
        oldest_retained: The oldest entry still held; next_sequence when there is none.
        acked_sequence: Last entry that the manager is known to have, 0 for none.
        last_fence: Highest fence seen, 0 for none.
        holes: Numbers that were skipped, rising.
    """

    journal_epoch: int
    next_sequence: int = 1
    oldest_retained: int = 1
    acked_sequence: int = 0
    last_fence: int = 0
    holes: tuple[Hole, ...] = ()

    def following(self, *, sequence: int) -> int:
        """The first number after `sequence` that has, or will get, an entry."""
        candidate = max(sequence + 1, self.oldest_retained)
        for hole in self.holes:
            if hole.first <= candidate <= hole.last:
                candidate = hole.last + 1
        return candidate


@dataclass(frozen=True, slots=True, kw_only=True)
class CablePolicy:
    """What may be set.

    Args:
        backoff: Delays between attempts to connect.
        welcome_within_s: Give up a stream whose welcome takes longer, seconds.
        ack_within_s: Give up a session that confirms nothing of what is in flight for this long,
            seconds: an entry may have been lost on the manager's side without a trace.
        drain_within_s: Give up an ending session whose confirmations take longer, seconds.
        stable_after_s: A session that streamed this long resets the back-off, seconds.
        longest_jump: A welcome may be ahead of the journal by at most this many entries; more is
            no restored flash but a broken manager.
    """

    backoff: Backoff = field(default_factory=Backoff)
    welcome_within_s: float = 5.0
    ack_within_s: float = 60.0
    drain_within_s: float = 30.0
    stable_after_s: float = 60.0
    longest_jump: int = 10_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class CableSession:
    """State of the cable's side. Make one with `start`.

    Args:
        durable: What the journal holds, kept in step by the effects.
        policy: What may be set.
        lease: The newest directive.
        phase: Where the session stands.
        entered_s: Monotonic instant at which it got there.
        attempts: Sessions in a row that led nowhere.
        clock: The manager's clock as this session knows it; None before the welcome.
        window: Most entries in flight.
        committed: The manager's cursor as the welcome told it.
        sent: Last entry sent in this session.
        in_flight: Entries sent and not confirmed, rising.
        waiting_s: Monotonic instant since which they wait for a confirmation.
        ending: Why the session ends; None while it does not.
        flushed: Nothing more is to be written before the end.
    """

    durable: Durable
    policy: CablePolicy
    lease: Lease[DirectiveReceived]
    phase: Phase = Phase.OFFLINE
    entered_s: float = 0.0
    attempts: int = 0
    clock: ManagerClock | None = None
    window: int = 0
    committed: int = 0
    sent: int = 0
    in_flight: tuple[int, ...] = ()
    waiting_s: float = 0.0
    ending: EndReason | None = None
    flushed: bool = False


def start(*, durable: Durable, policy: CablePolicy | None = None) -> CableSession:
    """The state after a start of the process: offline, nothing in force."""
    return CableSession(
        durable=durable, policy=policy or CablePolicy(), lease=Lease(fence=durable.last_fence)
    )
