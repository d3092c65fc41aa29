"""A resource's side of its session: telemetry out, setpoints in; silence ends at 0 W.

A pure state machine like `cable`, without a journal: what a resource says is its present state, and
what it is told is a lease. Its records are made by the cable it hangs on.

    OFFLINE --Connected--> HELLO_SENT --ResourceWelcomed--> STREAMING
       ^------------------ Disconnected, EndReceived ---------'
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum

from gridcord.session.backoff import Backoff
from gridcord.session.effects import (
    Close,
    CloseReason,
    NoteFence,
    Outcome,
    ResourceEffect,
    ScheduleReconnect,
    SendHello,
    SendResult,
    SendTelemetry,
    SetPower,
)
from gridcord.session.events import (
    Connected,
    Disconnected,
    EndReason,
    EndReceived,
    LimitsChanged,
    ResourceInput,
    ResourceWelcomed,
    SetpointReceived,
    Tick,
)
from gridcord.session.lease import Lease, ManagerClock, dropped, fenced, lapsed, receive


class Phase(StrEnum):
    """Where a session stands."""

    OFFLINE = "OFFLINE"
    HELLO_SENT = "HELLO_SENT"
    STREAMING = "STREAMING"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourcePolicy:
    """What may be set.

    Args:
        backoff: Delays between attempts to connect.
        welcome_within_s: Give up a stream whose welcome takes longer, seconds.
        stable_after_s: A session that streamed this long resets the back-off, seconds.
    """

    backoff: Backoff = field(default_factory=Backoff)
    welcome_within_s: float = 5.0
    stable_after_s: float = 60.0


_NOTHING = LimitsChanged(charge_limit_w=0, discharge_limit_w=0, transfer_permitted=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceSession:
    """State of the resource's side. `ResourceSession(lease=Lease(fence=f))` is a fresh start.

    Args:
        policy: What may be set.
        lease: The newest setpoint; its fence is the highest ever seen, durable at the resource.
        limits: What the resource can do; nothing before it said so.
        power_w: What it was last told to transfer, + charging.
        phase: Where the session stands.
        entered_s: Monotonic instant at which it got there.
        attempts: Sessions in a row that led nowhere.
        clock: The manager's clock as this session knows it; None before the welcome.
        telemetry_interval_s: Between two telemetries, seconds.
        telemetry_due_s: Monotonic instant of the next.
    """

    policy: ResourcePolicy = field(default_factory=ResourcePolicy)
    lease: Lease[SetpointReceived] = field(default_factory=Lease)
    limits: LimitsChanged = _NOTHING
    power_w: int = 0
    phase: Phase = Phase.OFFLINE
    entered_s: float = 0.0
    attempts: int = 0
    clock: ManagerClock | None = None
    telemetry_interval_s: float = 1.0
    telemetry_due_s: float = 0.0


_Step = tuple[ResourceSession, tuple[ResourceEffect, ...]]
_MAX_ATTEMPTS = 64


def advance(*, state: ResourceSession, event: ResourceInput, now_s: float) -> _Step:
    """Take one event.

    Args:
        state: Before.
        event: What happened.
        now_s: Monotonic clock.

    Returns:
        The state after, and what to do, in order. A setpoint that has lapsed ends at 0 W first,
        whatever the event is.
    """
    state, first = _expire(state, now_s)
    state, then = _take(state, event, now_s)
    return state, first + then


def deadline_s(*, state: ResourceSession) -> float | None:
    """Monotonic instant at which a `Tick` is due; None when nothing waits for time."""
    waits = [state.lease.until_s] if state.lease.grant is not None else []
    match state.phase:
        case Phase.HELLO_SENT:
            waits.append(state.entered_s + state.policy.welcome_within_s)
        case Phase.STREAMING:
            waits.append(state.telemetry_due_s)
    return min(waits, default=None)


def _take(state: ResourceSession, event: ResourceInput, now_s: float) -> _Step:
    match event:
        case Connected():
            hello = SendHello(last_fence=state.lease.fence)
            state = replace(state, phase=Phase.HELLO_SENT, entered_s=now_s, clock=None)
            return state, (hello,)
        case ResourceWelcomed() if state.phase is Phase.HELLO_SENT:
            return _welcomed(state, event, now_s)
        case SetpointReceived() if state.clock is not None:
            return _told(state, state.clock, event, now_s)
        case LimitsChanged():
            return _limited(replace(state, limits=event), now_s)
        case EndReceived() if state.phase is Phase.STREAMING:
            return _ended(state, event, now_s)
        case Disconnected() if state.phase is not Phase.OFFLINE:
            return _offline(state, now_s, event.retry_after_s)
        case Tick():
            return _ticked(state, now_s)
    return state, ()


def _expire(state: ResourceSession, now_s: float) -> _Step:
    return _release(state) if lapsed(lease=state.lease, now_s=now_s) else (state, ())


def _release(state: ResourceSession) -> _Step:
    return _set_power(replace(state, lease=dropped(lease=state.lease)), 0)


def _set_power(state: ResourceSession, power_w: int) -> _Step:
    if power_w == state.power_w:
        return state, ()
    return replace(state, power_w=power_w), (SetPower(power_w=power_w),)


def _clamped(power_w: int, limits: LimitsChanged) -> int:
    return max(-limits.discharge_limit_w, min(limits.charge_limit_w, power_w))


def _welcomed(state: ResourceSession, event: ResourceWelcomed, now_s: float) -> _Step:
    if event.fence <= state.lease.fence:
        return _give_up(state, now_s, CloseReason.STALE_MANAGER)
    if not event.telemetry_interval_s > 0:
        return _give_up(state, now_s, CloseReason.IMPLAUSIBLE_WELCOME)
    clock = ManagerClock.read(manager_time_s=event.manager_time_s, hello_sent_s=state.entered_s)
    state = replace(
        state,
        lease=fenced(lease=state.lease, fence=event.fence),
        phase=Phase.STREAMING,
        entered_s=now_s,
        clock=clock,
        telemetry_interval_s=event.telemetry_interval_s,
    )
    state, telemetry = _telemetry(state, now_s)
    return state, (NoteFence(fence=event.fence), *telemetry)


def _told(
    state: ResourceSession, clock: ManagerClock, event: SetpointReceived, now_s: float
) -> _Step:
    before = state.lease
    lease = receive(lease=before, grant=event, clock=clock, now_s=now_s)
    if lease is before:
        return state, ()
    noted = (NoteFence(fence=lease.fence),) if lease.fence > before.fence else ()
    state = replace(state, lease=lease)
    if lease.grant is None or not state.limits.transfer_permitted:
        outcome = Outcome.REFUSED
        state, power = _release(state)
    else:
        power_w = _clamped(event.power_w, state.limits)
        outcome = Outcome.ACCEPTED if power_w == event.power_w else Outcome.CLAMPED
        state, power = _set_power(state, power_w)
    return state, (*noted, *power, SendResult(version=event.version, outcome=outcome))


def _limited(state: ResourceSession, now_s: float) -> _Step:
    """Keep within the new limits at once, and tell the manager."""
    grant = state.lease.grant
    if grant is None or not state.limits.transfer_permitted:
        state, power = _release(state)
    else:
        state, power = _set_power(state, _clamped(grant.power_w, state.limits))
    if state.phase is not Phase.STREAMING:
        return state, power
    state, telemetry = _telemetry(state, now_s)
    return state, (*power, *telemetry)


def _telemetry(state: ResourceSession, now_s: float) -> _Step:
    due_s = now_s + state.telemetry_interval_s
    return replace(state, telemetry_due_s=due_s), (SendTelemetry(),)


def _ended(state: ResourceSession, event: EndReceived, now_s: float) -> _Step:
    power: tuple[ResourceEffect, ...] = ()
    if event.reason is not EndReason.SHUTDOWN:
        state, power = _release(state)
    state, closing = _give_up(state, now_s, CloseReason.ENDED)
    return state, (*power, *closing)


def _ticked(state: ResourceSession, now_s: float) -> _Step:
    waited_s = now_s - state.entered_s
    if state.phase is Phase.HELLO_SENT and waited_s >= state.policy.welcome_within_s:
        return _give_up(state, now_s, CloseReason.WELCOME_TIMED_OUT)
    if state.phase is not Phase.STREAMING:
        return state, ()
    if waited_s >= state.policy.stable_after_s:
        state = replace(state, attempts=0)
    return _telemetry(state, now_s) if now_s >= state.telemetry_due_s else (state, ())


def _give_up(state: ResourceSession, now_s: float, reason: CloseReason) -> _Step:
    state, effects = _offline(state, now_s, 0.0)
    return state, (Close(reason=reason), *effects)


def _offline(state: ResourceSession, now_s: float, retry_after_s: float) -> _Step:
    bound_s = state.policy.backoff.bound_s(attempts=state.attempts)
    attempts = min(state.attempts + 1, _MAX_ATTEMPTS)
    state = replace(state, phase=Phase.OFFLINE, entered_s=now_s, attempts=attempts, clock=None)
    delay = ScheduleReconnect(at_least_s=retry_after_s, at_most_s=retry_after_s + bound_s)
    return state, (delay,)
