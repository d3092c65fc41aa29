"""What an engine asks its shell to do, in the order given.

Those that name something durable (`NoteAcked`, `NoteFence`, `JumpTo`) are on disk before the shell
performs the next effect.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gridcord.session.events import DirectiveReceived, EndReason


class CloseReason(StrEnum):
    """Why a device closes its stream."""

    ENDED = "ENDED"  # the manager asked for it, and everything was confirmed
    DRAIN_TIMED_OUT = "DRAIN_TIMED_OUT"  # it asked for it, and then confirmed nothing
    ACK_TIMED_OUT = "ACK_TIMED_OUT"  # it confirms nothing: start again from its cursor
    WELCOME_TIMED_OUT = "WELCOME_TIMED_OUT"
    STALE_MANAGER = "STALE_MANAGER"  # its fence is one we have seen the end of
    IMPLAUSIBLE_WELCOME = "IMPLAUSIBLE_WELCOME"  # no healthy manager says that


class FallBackReason(StrEnum):
    """Why the local policy holds instead of the manager's word."""

    LEASE_LAPSED = "LEASE_LAPSED"
    ENDED = "ENDED"


class Outcome(StrEnum):
    """What became of a setpoint."""

    ACCEPTED = "ACCEPTED"
    CLAMPED = "CLAMPED"  # to the limits
    REFUSED = "REFUSED"


@dataclass(frozen=True, slots=True, kw_only=True)
class SendHello:
    """Introduce the device; the shell adds what only it knows (site, position, vehicle, clocks).

    Args:
        last_fence: The highest fence ever seen: the manager grants a higher one even if it was
            restored from a backup that remembers less.
        journal_epoch: Cable only, else 0.
        oldest_retained: Cable only, else 0.
        next_sequence: Cable only, else 0.
    """

    last_fence: int
    journal_epoch: int = 0
    oldest_retained: int = 0
    next_sequence: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SendEntry:
    """Send an entry of the journal, byte for byte as it was signed.

    Args:
        sequence: Which.
        previous_sequence: The entry before it in the journal. When that is not sequence - 1, the
            numbers between are lost here and the manager records the gap.
    """

    sequence: int
    previous_sequence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteAcked:
    """Make durable how far the manager has the journal; lower than before after its restore.

    Args:
        sequence: The last entry it has.
    """

    sequence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteFence:
    """Make durable the highest fence seen.

    Args:
        fence: It.
    """

    fence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JumpTo:
    """Skip numbers that the manager has entries for and this journal has not.

    That happens when an older image of the flash was put back. The shell writes a
    SEQUENCE_REGRESSED event after it.

    Args:
        sequence: The number of the next entry.
    """

    sequence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GapDeclared:
    """Entries that the manager lacks are lost here too. For the log; the entry sent says it.

    Args:
        first: First missing number.
        last: Last missing number.
    """

    first: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Obey:
    """Put a directive into force.

    Args:
        directive: It.
        until_s: Monotonic instant of its end; a `FallBack` or another `Obey` comes by then.
    """

    directive: DirectiveReceived
    until_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FallBack:
    """No directive is in force: discharge stops now, charging follows the local policy.

    Args:
        reason: Why.
    """

    reason: FallBackReason


@dataclass(frozen=True, slots=True, kw_only=True)
class FlushPartialPeriod:
    """Close the running period into the journal, then say `Flushed` (patent S808, S822).

    Args:
        reason: Why the session ends.
    """

    reason: EndReason


@dataclass(frozen=True, slots=True, kw_only=True)
class Close:
    """Half-close the stream and wait for its end.

    Args:
        reason: Why.
    """

    reason: CloseReason


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleReconnect:
    """Connect after a delay drawn evenly from [at_least_s, at_most_s].

    Args:
        at_least_s: Seconds, >= 0.
        at_most_s: Seconds, >= at_least_s.
    """

    at_least_s: float
    at_most_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SendTelemetry:
    """Send the resource's state now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetPower:
    """Let the resource transfer this power.

    Args:
        power_w: + charging, - discharging, 0 for none; within the limits.
    """

    power_w: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SendResult:
    """Answer a setpoint.

    Args:
        version: Its number.
        outcome: What became of it.
    """

    version: int
    outcome: Outcome


CableEffect = (
    SendHello
    | SendEntry
    | NoteAcked
    | NoteFence
    | JumpTo
    | GapDeclared
    | Obey
    | FallBack
    | FlushPartialPeriod
    | Close
    | ScheduleReconnect
)
ResourceEffect = (
    SendHello | NoteFence | SendTelemetry | SetPower | SendResult | Close | ScheduleReconnect
)
