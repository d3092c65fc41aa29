"""Energy never leaves a battery by a word that has lapsed or been overtaken, whatever happens."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

import pytest

from gridcord.session import cable, lease, resource
from tests.unit.session.exploration import explore
from tests.unit.session.leasing import CableDevice, Device, Leasing, ResourceDevice
from tests.unit.session.mutation import changed

DEVICES: dict[str, tuple[Callable[[Any], Device], ModuleType]] = {
    "cable": (CableDevice, cable),
    "resource": (ResourceDevice, resource),
}


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("faults", "grants"), [(0, 3), (1, 2)])
def test_discharge_only_by_the_newest_word_and_never_after_its_end(
    device: str, faults: int, grants: int
) -> None:
    make, engine = DEVICES[device]

    explored = explore(Leasing(make(engine), faults=faults, grants=grants))

    assert explored.problem is None, str(explored)
    assert explored.states > 10_000
    print(f"{device}, {grants} grants, {faults} faults: {explored}")


class Bug(NamedTuple):
    """A fragment, what it becomes, and how that shows."""

    before: str
    after: str
    seen_as: str


LEASE_BUGS = {
    "holds from receipt, however late it arrived": Bug(
        "min(now_s + grant.lease_s, clock.monotonic_s(manager_time_s=grant.expire_s))",
        "now_s + grant.lease_s",
        "I11",
    ),
    "an older word replaces a newer": Bug(
        "if (grant.fence, grant.version) <= (lease.fence, lease.version):",
        "if False:",
        "I12",
    ),
    "fences are not compared": Bug(
        "if (grant.fence, grant.version) <= (lease.fence, lease.version):",
        "if grant.version <= lease.version:",
        "I12",
    ),
    "versions are not compared": Bug(
        "if (grant.fence, grant.version) <= (lease.fence, lease.version):",
        "if grant.fence < lease.fence:",
        "I12",
    ),
    "nothing ever lapses": Bug(
        "lease.grant is not None and now_s >= lease.until_s", "False", "I11"
    ),
    "lapses a second late": Bug(
        "lease.grant is not None and now_s >= lease.until_s",
        "lease.grant is not None and now_s > lease.until_s",
        "I11",
    ),
    "a word that lapsed on its way is ignored": Bug(
        "    return Lease(\n        fence=grant.fence,",
        "    if until_s <= now_s:\n        return lease\n"
        "    return Lease(\n        fence=grant.fence,",
        "I12",
    ),
}


def _with(engine: ModuleType, mutant: ModuleType) -> ModuleType:
    copy = changed(engine, [])
    for name in ("receive", "lapsed", "fenced", "dropped"):
        setattr(copy, name, getattr(mutant, name))
    return copy


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", LEASE_BUGS)
def test_a_bug_of_the_lease_is_found(device: str, name: str) -> None:
    make, engine = DEVICES[device]
    bug = LEASE_BUGS[name]
    mutant = changed(lease, [(bug.before, bug.after)])

    explored = explore(Leasing(make(_with(engine, mutant)), faults=1, grants=2))

    assert explored.problem is not None, f"not found in {explored.states} states"
    assert explored.problem.startswith(bug.seen_as), str(explored)
    print(f"{device}, {name}: {explored}")


@pytest.mark.parametrize("device", DEVICES)
def test_the_clock_must_be_read_against_the_hello(device: str) -> None:
    """A welcome that was long on its way must not make leases longer."""
    make, engine = DEVICES[device]
    before = "hello_sent_s=state.entered_s"
    mutant = changed(engine, [(before, "hello_sent_s=now_s")])

    explored = explore(Leasing(make(mutant), faults=1, grants=2))

    assert explored.problem is not None
    assert explored.problem.startswith("I11"), str(explored)


@pytest.mark.parametrize("device", DEVICES)
def test_a_crash_does_not_make_an_old_manager_new(device: str) -> None:
    """The fence is durable: what the device noted, it refuses after a restart too."""
    make, engine = DEVICES[device]
    state = make(engine).boot(7)

    state, _ = engine.advance(state=state, event=_connected(), now_s=0.0)
    state, effects = engine.advance(state=state, event=make(engine).welcome(7, 1_000.0), now_s=1.0)

    assert [type(effect).__name__ for effect in effects] == ["Close", "ScheduleReconnect"]
    assert state.phase == "OFFLINE"


def _connected() -> Any:
    from gridcord.session.events import Connected

    return Connected()
