"""The cable's side, event by event."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridcord.session import cable
from gridcord.session.backoff import Backoff
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
    ScheduleReconnect,
    SendEntry,
    SendHello,
)
from gridcord.session.events import (
    Acked,
    Connected,
    Disconnected,
    EndReason,
    EndReceived,
    Flushed,
    Produced,
    Pruned,
    Tick,
)
from tests.unit.session.cable_bench import EPOCH, Bench, directive, with_entries


def sent(effects: tuple[CableEffect, ...]) -> list[int]:
    return [effect.sequence for effect in effects if isinstance(effect, SendEntry)]


def test_hello_tells_the_journal_and_the_highest_fence() -> None:
    bench = Bench(with_entries(5, 2, oldest=2, fence=9))

    assert bench.feed(Connected()) == (
        SendHello(last_fence=9, journal_epoch=EPOCH, oldest_retained=2, next_sequence=6),
    )


def test_entries_go_out_within_the_window_and_follow_the_confirmations() -> None:
    bench = Bench(with_entries(5))

    assert sent(bench.welcome()) == [1, 2, 3]
    assert bench.feed(Acked(committed_sequence=2)) == (
        NoteAcked(sequence=2),
        SendEntry(sequence=4, previous_sequence=3),
        SendEntry(sequence=5, previous_sequence=4),
    )
    assert bench.feed(Acked(committed_sequence=2)) == ()
    assert bench.feed(Acked(committed_sequence=5)) == (NoteAcked(sequence=5),)
    assert bench.feed(Produced(sequence=6)) == (SendEntry(sequence=6, previous_sequence=5),)


def test_entries_produced_offline_wait_and_wrong_numbers_are_a_bug_of_the_shell() -> None:
    bench = Bench()

    assert bench.feed(Produced(sequence=1)) == ()
    with pytest.raises(ValueError, match="2 was next"):
        bench.feed(Produced(sequence=3))


def test_a_confirmation_cannot_run_ahead_of_what_was_sent() -> None:
    bench = Bench(with_entries(5))
    bench.welcome(window=2)

    assert bench.feed(Acked(committed_sequence=99))[0] == NoteAcked(sequence=2)


def test_a_restored_manager_is_refilled() -> None:
    bench = Bench(with_entries(5, acked=5, fence=4))

    assert bench.welcome(2, fence=5) == (
        NoteFence(fence=5),
        NoteAcked(sequence=2),
        SendEntry(sequence=3, previous_sequence=2),
        SendEntry(sequence=4, previous_sequence=3),
        SendEntry(sequence=5, previous_sequence=4),
    )


def test_what_retention_has_taken_is_declared_lost() -> None:
    bench = Bench(with_entries(8, acked=8, oldest=6))

    assert bench.welcome(2) == (
        NoteFence(fence=1),
        NoteAcked(sequence=2),
        GapDeclared(first=3, last=5),
        SendEntry(sequence=6, previous_sequence=2),
        SendEntry(sequence=7, previous_sequence=6),
        SendEntry(sequence=8, previous_sequence=7),
    )


def test_unconfirmed_entries_are_offered_again_though_the_manager_has_their_numbers() -> None:
    bench = Bench(with_entries(3, acked=1))

    assert sent(bench.welcome(3)) == [2, 3]


def test_an_old_flash_image_jumps_over_the_numbers_that_are_taken() -> None:
    bench = Bench(with_entries(6, acked=4))

    assert bench.welcome(9) == (
        NoteFence(fence=1),
        JumpTo(sequence=10),
        SendEntry(sequence=5, previous_sequence=4),
        SendEntry(sequence=6, previous_sequence=5),
    )
    assert bench.feed(Produced(sequence=10)) == (SendEntry(sequence=10, previous_sequence=6),)
    assert bench.state.durable.holes == (cable.Hole(7, 9),)


def test_an_entry_that_was_written_beside_the_jump_is_offered_too() -> None:
    bench = Bench(with_entries(6, acked=6))
    bench.welcome(9)

    assert sent(bench.feed(Produced(sequence=7))) == [7]
    assert sent(bench.feed(Produced(sequence=8))) == [8]
    assert bench.state.durable.holes == (cable.Hole(9, 9),)
    assert sent(bench.feed(Produced(sequence=9))) == [9]
    assert not bench.state.durable.holes
    bench.feed(Acked(committed_sequence=9))
    assert sent(bench.feed(Produced(sequence=10))) == [10]


def test_the_hole_of_a_jump_is_declared_to_a_manager_restored_from_before_it() -> None:
    durable = replace(with_entries(11, acked=11), holes=(cable.Hole(7, 9),))
    bench = Bench(durable)

    assert bench.welcome(5, window=9)[2:] == (
        SendEntry(sequence=6, previous_sequence=5),
        GapDeclared(first=7, last=9),
        SendEntry(sequence=10, previous_sequence=6),
        SendEntry(sequence=11, previous_sequence=10),
    )


@pytest.mark.parametrize("fence", [3, 4])
def test_a_manager_with_an_old_fence_is_left(fence: int) -> None:
    bench = Bench(with_entries(2, fence=4))

    assert bench.welcome(fence=fence) == (
        Close(reason=CloseReason.STALE_MANAGER),
        ScheduleReconnect(at_least_s=0.0, at_most_s=1.0),
    )


@pytest.mark.parametrize(("committed", "window"), [(0, 0), (-1, 3), (10**9, 3)])
def test_a_welcome_that_no_healthy_manager_gives_changes_nothing(
    committed: int, window: int
) -> None:
    bench = Bench(with_entries(2))

    effects = bench.welcome(committed, window=window)

    assert effects[0] == Close(reason=CloseReason.IMPLAUSIBLE_WELCOME)
    assert bench.state.durable == with_entries(2)


@pytest.mark.parametrize("reason", [EndReason.REQUESTED, EndReason.SITE_BLOCKED])
def test_an_end_stops_flushes_drains_and_closes(reason: EndReason) -> None:
    bench = Bench()
    bench.welcome()
    bench.feed(directive())

    assert bench.feed(EndReceived(reason=reason)) == (
        FallBack(reason=FallBackReason.ENDED),
        FlushPartialPeriod(reason=reason),
    )
    assert bench.feed(directive(2)) == ()
    assert sent(bench.feed(Produced(sequence=1))) == [1]
    assert bench.feed(Flushed()) == ()
    assert bench.feed(Acked(committed_sequence=1)) == (
        NoteAcked(sequence=1),
        Close(reason=CloseReason.ENDED),
        ScheduleReconnect(at_least_s=60.0, at_most_s=120.0),
    )
    assert bench.state.phase is cable.Phase.OFFLINE


def test_a_manager_that_goes_down_interrupts_nothing() -> None:
    bench = Bench()
    bench.welcome()
    bench.feed(directive())

    assert bench.feed(EndReceived(reason=EndReason.SHUTDOWN)) == (
        Close(reason=CloseReason.ENDED),
        ScheduleReconnect(at_least_s=0.0, at_most_s=1.0),
    )
    assert cable.directive_in_force(state=bench.state, now_s=89.0) is not None


def test_an_end_that_nobody_confirms_does_not_last_for_ever() -> None:
    bench = Bench(with_entries(1))
    bench.welcome()
    bench.feed(EndReceived(reason=EndReason.REQUESTED), 1.0)
    bench.feed(Flushed(), 1.0)

    assert bench.feed(Tick(), 31.0)[0] == Close(reason=CloseReason.DRAIN_TIMED_OUT)


def test_a_manager_that_does_not_answer_is_left() -> None:
    bench = Bench(with_entries(1))
    bench.feed(Connected(), 10.0)
    assert cable.deadline_s(state=bench.state) == 15.0
    assert bench.feed(Tick(), 14.9) == ()
    assert bench.feed(Tick(), 15.0)[0] == Close(reason=CloseReason.WELCOME_TIMED_OUT)

    bench.welcome(now_s=20.0)
    assert bench.feed(Tick(), 80.0)[0] == Close(reason=CloseReason.ACK_TIMED_OUT)


def test_delays_double_up_to_the_cap_and_start_anew_after_progress() -> None:
    bench = Bench(with_entries(1))
    bounds = []
    for fence in range(1, 10):
        bench.welcome(fence=fence)
        effects = bench.feed(Disconnected())
        assert isinstance(effects[0], ScheduleReconnect)
        bounds.append(effects[0].at_most_s)
    assert bounds == [1, 2, 4, 8, 16, 32, 64, 120, 120]

    bench.welcome(fence=10)
    bench.feed(Acked(committed_sequence=1))
    assert bench.feed(Disconnected(retry_after_s=7.0)) == (
        ScheduleReconnect(at_least_s=7.0, at_most_s=8.0),
    )


def test_a_session_that_lasts_resets_the_delays_also_without_entries() -> None:
    bench = Bench()
    bench.feed(Connected())
    bench.feed(Disconnected())
    bench.welcome(now_s=10.0)
    assert cable.deadline_s(state=bench.state) == 70.0
    bench.feed(Tick(), 70.0)

    assert bench.feed(Disconnected(), 71.0) == (ScheduleReconnect(at_least_s=0.0, at_most_s=1.0),)


def test_a_second_disconnect_schedules_nothing() -> None:
    bench = Bench()
    bench.feed(Connected())
    bench.feed(Disconnected())

    assert bench.feed(Disconnected()) == ()
    assert cable.deadline_s(state=bench.state) is None


def test_pruning_is_told_in_the_next_hello() -> None:
    bench = Bench(with_entries(4, acked=4))
    bench.feed(Pruned(oldest_retained=3))

    (hello,) = bench.feed(Connected())
    assert isinstance(hello, SendHello)
    assert hello.oldest_retained == 3


@given(attempts=st.integers(0, 10_000))
def test_back_off_stays_between_base_and_cap(attempts: int) -> None:
    backoff = Backoff(base_s=0.5, cap_s=30.0)

    assert 0.5 <= backoff.bound_s(attempts=attempts) <= 30.0


@pytest.mark.parametrize(("base_s", "cap_s"), [(0.0, 1.0), (2.0, 1.0)])
def test_an_impossible_back_off_is_refused(base_s: float, cap_s: float) -> None:
    with pytest.raises(ValueError, match="no back-off"):
        Backoff(base_s=base_s, cap_s=cap_s)
