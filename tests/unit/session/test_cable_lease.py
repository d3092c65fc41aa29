"""What the cable obeys, and until when."""

from __future__ import annotations

from gridcord.metering.reading import Permission
from gridcord.session import cable
from gridcord.session.effects import FallBack, FallBackReason, NoteFence, Obey
from gridcord.session.events import Connected, Disconnected, Tick
from tests.unit.session.cable_bench import Bench, directive


def test_a_directive_is_obeyed_until_it_lapses_and_then_discharge_stops() -> None:
    bench = Bench()
    bench.welcome(now_s=100.0)
    first = directive(expire_s=1_190.0)

    assert bench.feed(first, 100.0) == (Obey(directive=first, until_s=190.0),)
    assert cable.deadline_s(state=bench.state) == 190.0
    assert cable.directive_in_force(state=bench.state, now_s=189.9) == first
    assert bench.feed(Tick(), 189.9) == ()
    assert cable.directive_in_force(state=bench.state, now_s=190.0) is None
    assert bench.feed(Tick(), 190.0) == (FallBack(reason=FallBackReason.LEASE_LAPSED),)
    assert bench.feed(Tick(), 191.0) == ()


def test_a_lease_outlives_the_stream_but_not_its_end() -> None:
    bench = Bench()
    bench.welcome()
    bench.feed(directive())
    bench.feed(Disconnected(), 10.0)

    assert cable.directive_in_force(state=bench.state, now_s=80.0) is not None
    assert FallBack(reason=FallBackReason.LEASE_LAPSED) in bench.feed(Connected(), 90.0)


def test_an_event_that_comes_too_late_finds_the_lease_lapsed_first() -> None:
    bench = Bench()
    bench.welcome()
    bench.feed(directive())
    renewal = directive(2, expire_s=1_200.0)

    assert bench.feed(renewal, 95.0) == (
        FallBack(reason=FallBackReason.LEASE_LAPSED),
        Obey(directive=renewal, until_s=185.0),
    )


def test_a_directive_held_up_in_the_network_gains_no_time() -> None:
    bench = Bench()
    bench.welcome()
    late = directive(expire_s=1_090.0, lease_s=90.0)

    assert bench.feed(late, 60.0) == (Obey(directive=late, until_s=90.0),)


def test_a_stepped_manager_clock_cannot_make_a_lease_longer_than_it_says() -> None:
    bench = Bench()
    bench.welcome()
    generous = directive(expire_s=1_000_000.0, lease_s=90.0)

    assert bench.feed(generous, 5.0) == (Obey(directive=generous, until_s=95.0),)


def test_the_newest_word_counts_also_when_it_lapsed_on_its_way() -> None:
    bench = Bench()
    bench.welcome()
    bench.feed(directive(1))
    refusal = directive(2, permission=Permission.NONE, expire_s=1_005.0)

    assert bench.feed(refusal, 10.0) == (FallBack(reason=FallBackReason.LEASE_LAPSED),)
    assert bench.feed(directive(1), 11.0) == ()


def test_older_words_are_not_obeyed() -> None:
    bench = Bench()
    bench.welcome(fence=2)

    assert bench.feed(directive(5, fence=1)) == ()
    assert bench.feed(directive(3, fence=2)) != ()
    assert bench.feed(directive(3, fence=2)) == ()
    assert bench.feed(directive(2, fence=2)) == ()
    assert bench.feed(directive(1, fence=3))[0] == NoteFence(fence=3)
    assert bench.feed(directive(4, fence=2)) == ()
