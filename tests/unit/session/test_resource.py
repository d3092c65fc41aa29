"""A resource's side, event by event."""

from __future__ import annotations

import pytest

from gridcord.session import resource
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
from gridcord.session.lease import Lease

ABLE = LimitsChanged(charge_limit_w=3_000, discharge_limit_w=2_000, transfer_permitted=True)


class Bench:
    """Feeds an engine."""

    def __init__(self, *, welcomed: bool = True) -> None:
        self.state = resource.ResourceSession()
        self.feed(ABLE)
        if welcomed:
            self.feed(Connected())
            self.feed(welcome())

    def feed(self, event: ResourceInput, now_s: float = 0.0) -> tuple[ResourceEffect, ...]:
        self.state, effects = resource.advance(state=self.state, event=event, now_s=now_s)
        return effects


def welcome(fence: int = 1, interval_s: float = 2.0) -> ResourceWelcomed:
    return ResourceWelcomed(fence=fence, manager_time_s=500.0, telemetry_interval_s=interval_s)


def setpoint(version: int, power_w: int, *, until_s: float = 10.0) -> SetpointReceived:
    return SetpointReceived(
        fence=1, version=version, power_w=power_w, lease_s=10.0, expire_s=500.0 + until_s
    )


def result(version: int, outcome: Outcome) -> SendResult:
    return SendResult(version=version, outcome=outcome)


def test_it_introduces_itself_and_tells_its_state_at_once() -> None:
    bench = Bench(welcomed=False)

    assert bench.feed(Connected()) == (SendHello(last_fence=0),)
    assert bench.feed(welcome()) == (NoteFence(fence=1), SendTelemetry())


def test_telemetry_is_periodic_and_follows_changes() -> None:
    bench = Bench()

    assert resource.deadline_s(state=bench.state) == 2.0
    assert bench.feed(Tick(), 1.9) == ()
    assert bench.feed(Tick(), 2.0) == (SendTelemetry(),)
    assert bench.feed(ABLE, 3.0) == (SendTelemetry(),)
    assert resource.deadline_s(state=bench.state) == 5.0


@pytest.mark.parametrize(
    ("wanted_w", "given_w", "outcome"),
    [
        (-1_500, -1_500, Outcome.ACCEPTED),
        (-2_500, -2_000, Outcome.CLAMPED),
        (9_000, 3_000, Outcome.CLAMPED),
    ],
)
def test_a_setpoint_is_followed_within_the_limits(
    wanted_w: int, given_w: int, outcome: Outcome
) -> None:
    bench = Bench()

    assert bench.feed(setpoint(1, wanted_w)) == (SetPower(power_w=given_w), result(1, outcome))
    assert bench.state.power_w == given_w


def test_renewals_hold_the_power_and_silence_ends_it() -> None:
    bench = Bench()
    bench.feed(setpoint(1, -1_000))

    assert bench.feed(setpoint(2, -1_000, until_s=15.0), 5.0) == (result(2, Outcome.ACCEPTED),)
    assert bench.feed(Disconnected(), 6.0) == (ScheduleReconnect(at_least_s=0.0, at_most_s=1.0),)
    assert bench.feed(Tick(), 14.9) == ()
    assert bench.feed(Tick(), 15.0) == (SetPower(power_w=0),)


def test_older_setpoints_are_ignored_and_lapsed_ones_refused() -> None:
    bench = Bench()
    bench.feed(setpoint(3, -1_000))

    assert bench.feed(setpoint(2, -500)) == ()
    assert bench.feed(setpoint(4, -500, until_s=1.0), 2.0) == (
        SetPower(power_w=0),
        result(4, Outcome.REFUSED),
    )


def test_limits_that_shrink_act_at_once() -> None:
    bench = Bench()
    bench.feed(setpoint(1, -1_500))
    less = LimitsChanged(charge_limit_w=0, discharge_limit_w=700, transfer_permitted=True)

    assert bench.feed(less) == (SetPower(power_w=-700), SendTelemetry())
    assert bench.feed(ABLE) == (SetPower(power_w=-1_500), SendTelemetry())


def test_without_permission_nothing_flows_until_a_new_setpoint() -> None:
    bench = Bench()
    bench.feed(setpoint(1, -1_500))
    forbidden = LimitsChanged(
        charge_limit_w=3_000, discharge_limit_w=2_000, transfer_permitted=False
    )

    assert bench.feed(forbidden) == (SetPower(power_w=0), SendTelemetry())
    assert bench.feed(setpoint(2, -1_500)) == (result(2, Outcome.REFUSED),)
    assert bench.feed(ABLE) == (SendTelemetry(),)
    assert bench.feed(setpoint(3, -1_500))[0] == SetPower(power_w=-1_500)


def test_nothing_is_obeyed_before_the_welcome() -> None:
    bench = Bench(welcomed=False)
    bench.feed(Connected())

    assert bench.feed(setpoint(1, -1_000)) == ()


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (welcome(fence=4), CloseReason.STALE_MANAGER),
        (welcome(fence=5, interval_s=0.0), CloseReason.IMPLAUSIBLE_WELCOME),
    ],
)
def test_a_welcome_that_cannot_be_is_left(said: ResourceWelcomed, reason: CloseReason) -> None:
    state = resource.ResourceSession(lease=Lease(fence=4))
    state, _ = resource.advance(state=state, event=Connected(), now_s=0.0)

    state, effects = resource.advance(state=state, event=said, now_s=0.0)

    assert effects[0] == Close(reason=reason)
    assert state.phase is resource.Phase.OFFLINE


def test_a_welcome_that_does_not_come_is_not_waited_for() -> None:
    bench = Bench(welcomed=False)
    bench.feed(Connected(), 1.0)

    assert resource.deadline_s(state=bench.state) == 6.0
    assert bench.feed(Tick(), 6.0)[0] == Close(reason=CloseReason.WELCOME_TIMED_OUT)


@pytest.mark.parametrize(
    ("reason", "power_w"), [(EndReason.SHUTDOWN, -1_000), (EndReason.REQUESTED, 0)]
)
def test_an_end_closes_and_only_a_shutdown_lets_the_lease_run(
    reason: EndReason, power_w: int
) -> None:
    bench = Bench()
    bench.feed(setpoint(1, -1_000))

    assert Close(reason=CloseReason.ENDED) in bench.feed(EndReceived(reason=reason))
    assert bench.state.power_w == power_w


def test_a_session_that_lasts_resets_the_delays() -> None:
    bench = Bench()
    bench.feed(Disconnected())
    bench.feed(Connected())
    bench.feed(welcome(fence=2))
    bench.feed(Tick(), 60.0)

    assert bench.feed(Disconnected(retry_after_s=3.0), 61.0) == (
        ScheduleReconnect(at_least_s=3.0, at_most_s=4.0),
    )
