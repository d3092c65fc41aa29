"""The cable's side of its session: what to send, what to keep, what to obey.

A pure state machine. The shell feeds it events with the monotonic time and performs the effects it
returns, in order. After a crash the shell starts it anew from what is durable: `Durable`.

    OFFLINE --Connected--> HELLO_SENT --Welcomed--> STREAMING --EndReceived--> ENDING --> OFFLINE
       ^------------------------- Disconnected, from anywhere ----------------------------'

Why it re-offers what was never acknowledged even when the manager says that it has the number: the
numbers may collide (an older image of the flash was put back), and only the digests can tell.
"""

from __future__ import annotations

from dataclasses import replace

from gridcord.session.cable_state import (
    CablePolicy,
    CableSession,
    Durable,
    Hole,
    Phase,
    start,
)
from gridcord.session.effects import (
    CableEffect,
    Close,
    CloseReason,
    FallBack,
    FallBackReason,
    FlushPartialPeriod,
    GapDeclared,
    JumpTo,
    NoteAcked,
    NoteFence,
    Obey,
    ScheduleReconnect,
    SendEntry,
    SendHello,
)
from gridcord.session.events import (
    Acked,
    CableInput,
    Connected,
    DirectiveReceived,
    Disconnected,
    EndReason,
    EndReceived,
    Flushed,
    Produced,
    Pruned,
    Tick,
    Welcomed,
)
from gridcord.session.lease import (
    ManagerClock,
    dropped,
    fenced,
    in_force,
    lapsed,
    receive,
)

__all__ = [
    "CablePolicy",
    "CableSession",
    "Durable",
    "Hole",
    "Phase",
    "advance",
    "deadline_s",
    "directive_in_force",
    "start",
]

_Step = tuple[CableSession, tuple[CableEffect, ...]]
_MAX_ATTEMPTS = 64


def advance(*, state: CableSession, event: CableInput, now_s: float) -> _Step:
    """Take one event.

    Args:
        state: Before.
        event: What happened.
        now_s: Monotonic clock.

    Returns:
        The state after, and what to do, in order. A lease that has ended falls back first,
        whatever the event is.

    Raises:
        ValueError: `Produced` with another number than the journal's next: the shell is broken.
    """
    state, first = _expire(state, now_s)
    state, then = _take(state, event, now_s)
    return state, first + then


def directive_in_force(*, state: CableSession, now_s: float) -> DirectiveReceived | None:
    """The directive to obey now; None when the local policy holds."""
    return in_force(lease=state.lease, now_s=now_s)


def deadline_s(*, state: CableSession) -> float | None:
    """Monotonic instant at which a `Tick` is due; None when nothing waits for time."""
    waits = [state.lease.until_s] if state.lease.grant is not None else []
    if state.in_flight:
        waits.append(state.waiting_s + state.policy.ack_within_s)
    match state.phase:
        case Phase.HELLO_SENT:
            waits.append(state.entered_s + state.policy.welcome_within_s)
        case Phase.STREAMING if state.attempts:
            waits.append(state.entered_s + state.policy.stable_after_s)
        case Phase.ENDING:
            waits.append(state.entered_s + state.policy.drain_within_s)
    return min(waits, default=None)


def _take(state: CableSession, event: CableInput, now_s: float) -> _Step:
    match event:
        case Connected():
            return _connected(state, now_s)
        case Welcomed() if state.phase is Phase.HELLO_SENT:
            return _welcomed(state, event, now_s)
        case Produced():
            return _produced(state, event, now_s)
        case Pruned():
            durable = replace(state.durable, oldest_retained=event.oldest_retained)
            return replace(state, durable=durable), ()
        case Acked() if state.phase in {Phase.STREAMING, Phase.ENDING}:
            return _acked(state, event, now_s)
        case DirectiveReceived():
            return _directed(state, event, now_s)
        case EndReceived() if state.phase is Phase.STREAMING:
            return _ended(state, event, now_s)
        case Flushed() if state.phase is Phase.ENDING:
            return _pump(replace(state, flushed=True), now_s)
        case Disconnected() if state.phase is not Phase.OFFLINE:
            return _offline(state, now_s, retry_after_s=event.retry_after_s)
        case Tick():
            return _ticked(state, now_s)
    return state, ()


def _expire(state: CableSession, now_s: float) -> _Step:
    if not lapsed(lease=state.lease, now_s=now_s):
        return state, ()
    effect = FallBack(reason=FallBackReason.LEASE_LAPSED)
    return replace(state, lease=dropped(lease=state.lease)), (effect,)


def _connected(state: CableSession, now_s: float) -> _Step:
    durable = state.durable
    hello = SendHello(
        journal_epoch=durable.journal_epoch,
        oldest_retained=durable.oldest_retained,
        next_sequence=durable.next_sequence,
        last_fence=durable.last_fence,
    )
    return replace(_without_session(state), phase=Phase.HELLO_SENT, entered_s=now_s), (hello,)


def _welcomed(state: CableSession, event: Welcomed, now_s: float) -> _Step:
    if event.fence <= state.durable.last_fence:
        return _give_up(state, now_s, CloseReason.STALE_MANAGER)
    jump = event.committed_sequence + 1 - state.durable.next_sequence
    if event.window < 1 or event.committed_sequence < 0 or jump > state.policy.longest_jump:
        return _give_up(state, now_s, CloseReason.IMPLAUSIBLE_WELCOME)
    effects: list[CableEffect] = [NoteFence(fence=event.fence)]
    durable = replace(state.durable, last_fence=event.fence)
    resume = min(durable.acked_sequence, event.committed_sequence)
    if resume < durable.acked_sequence:
        durable = replace(durable, acked_sequence=resume)
        effects.append(NoteAcked(sequence=resume))
    if jump > 0:
        durable = _jumped(durable, event.committed_sequence + 1)
        effects.append(JumpTo(sequence=durable.next_sequence))
    state = replace(
        state,
        durable=durable,
        lease=fenced(lease=state.lease, fence=event.fence),
        phase=Phase.STREAMING,
        entered_s=now_s,
        clock=ManagerClock.read(manager_time_s=event.manager_time_s, hello_sent_s=state.entered_s),
        window=event.window,
        committed=event.committed_sequence,
        sent=resume,
    )
    state, entries = _pump(state, now_s)
    return state, (*effects, *entries)


def _jumped(durable: Durable, sequence: int) -> Durable:
    hole = Hole(durable.next_sequence, sequence - 1)
    empty = durable.oldest_retained == durable.next_sequence
    return replace(
        durable,
        next_sequence=sequence,
        oldest_retained=sequence if empty else durable.oldest_retained,
        holes=(*durable.holes, hole),
    )


def _produced(state: CableSession, event: Produced, now_s: float) -> _Step:
    return _pump(replace(state, durable=_numbered(state.durable, event.sequence)), now_s)


def _numbered(durable: Durable, sequence: int) -> Durable:
    if sequence == durable.next_sequence:
        return replace(durable, next_sequence=sequence + 1)
    # The journal may have written it just before it was told to jump: the hole begins after it.
    hole = durable.holes[-1] if durable.holes else None
    if hole is None or sequence != hole.first:
        message = f"entry {sequence} produced, {durable.next_sequence} was next"
        raise ValueError(message)
    rest = (Hole(sequence + 1, hole.last),) if sequence < hole.last else ()
    return replace(
        durable,
        oldest_retained=min(durable.oldest_retained, sequence),
        holes=(*durable.holes[:-1], *rest),
    )


def _acked(state: CableSession, event: Acked, now_s: float) -> _Step:
    # Never more than was sent: a manager cannot confirm what it has not got.
    acked = min(event.committed_sequence, state.sent)
    left = tuple(sequence for sequence in state.in_flight if sequence > acked)
    if left == state.in_flight:
        return state, ()
    durable = replace(state.durable, acked_sequence=acked)
    state = replace(state, durable=durable, in_flight=left, waiting_s=now_s, attempts=0)
    state, entries = _pump(state, now_s)
    return state, (NoteAcked(sequence=acked), *entries)


def _directed(state: CableSession, event: DirectiveReceived, now_s: float) -> _Step:
    stopping = state.ending not in {None, EndReason.SHUTDOWN}
    if state.clock is None or stopping:
        return state, ()
    lease = receive(lease=state.lease, grant=event, clock=state.clock, now_s=now_s)
    if lease is state.lease:
        return state, ()
    effects: list[CableEffect] = []
    if lease.fence > state.durable.last_fence:
        effects.append(NoteFence(fence=lease.fence))
    if lease.grant is not None:
        effects.append(Obey(directive=lease.grant, until_s=lease.until_s))
    elif state.lease.grant is not None:
        effects.append(FallBack(reason=FallBackReason.LEASE_LAPSED))
    durable = replace(state.durable, last_fence=lease.fence)
    return replace(state, durable=durable, lease=lease), tuple(effects)


def _ended(state: CableSession, event: EndReceived, now_s: float) -> _Step:
    state = replace(state, phase=Phase.ENDING, entered_s=now_s, ending=event.reason)
    if event.reason is EndReason.SHUTDOWN:
        return _pump(replace(state, flushed=True), now_s)
    effects: list[CableEffect] = [FlushPartialPeriod(reason=event.reason)]
    if state.lease.grant is not None:
        effects.insert(0, FallBack(reason=FallBackReason.ENDED))
    return replace(state, lease=dropped(lease=state.lease)), tuple(effects)


def _ticked(state: CableSession, now_s: float) -> _Step:
    if state.in_flight and now_s - state.waiting_s >= state.policy.ack_within_s:
        return _give_up(state, now_s, CloseReason.ACK_TIMED_OUT)
    waited_s = now_s - state.entered_s
    match state.phase:
        case Phase.HELLO_SENT if waited_s >= state.policy.welcome_within_s:
            return _give_up(state, now_s, CloseReason.WELCOME_TIMED_OUT)
        case Phase.ENDING if waited_s >= state.policy.drain_within_s:
            return _give_up(state, now_s, CloseReason.DRAIN_TIMED_OUT)
        case Phase.STREAMING if waited_s >= state.policy.stable_after_s:
            return replace(state, attempts=0), ()
    return state, ()


def _pump(state: CableSession, now_s: float) -> _Step:
    """Send as much as the window allows; close an ending session that has nothing left."""
    if state.phase not in {Phase.STREAMING, Phase.ENDING}:
        return state, ()
    effects: list[CableEffect] = []
    durable, sent, in_flight = state.durable, state.sent, list(state.in_flight)
    sequence = durable.following(sequence=sent)
    while len(in_flight) < state.window and sequence < durable.next_sequence:
        known = max(sent, state.committed)
        if sequence > known + 1:
            effects.append(GapDeclared(first=known + 1, last=sequence - 1))
        effects.append(SendEntry(sequence=sequence, previous_sequence=sent))
        in_flight.append(sequence)
        sent, sequence = sequence, durable.following(sequence=sequence)
    waiting_s = state.waiting_s if state.in_flight else now_s
    state = replace(state, sent=sent, in_flight=tuple(in_flight), waiting_s=waiting_s)
    if state.phase is Phase.ENDING and state.flushed and not in_flight:
        state, closing = _give_up(state, now_s, CloseReason.ENDED)
        effects.extend(closing)
    return state, tuple(effects)


def _give_up(state: CableSession, now_s: float, reason: CloseReason) -> _Step:
    state, effects = _offline(state, now_s)
    return state, (Close(reason=reason), *effects)


def _offline(state: CableSession, now_s: float, *, retry_after_s: float = 0.0) -> _Step:
    backoff = state.policy.backoff
    if state.ending in {None, EndReason.SHUTDOWN}:
        bound_s = backoff.bound_s(attempts=state.attempts)
        delay = ScheduleReconnect(at_least_s=retry_after_s, at_most_s=retry_after_s + bound_s)
    else:  # told to go: come back, but not at once
        at_least_s = max(retry_after_s, backoff.cap_s / 2)
        delay = ScheduleReconnect(at_least_s=at_least_s, at_most_s=at_least_s + backoff.cap_s / 2)
    attempts = min(state.attempts + 1, _MAX_ATTEMPTS)
    return replace(_without_session(state), entered_s=now_s, attempts=attempts), (delay,)


def _without_session(state: CableSession) -> CableSession:
    return CableSession(
        durable=state.durable, policy=state.policy, lease=state.lease, attempts=state.attempts
    )
