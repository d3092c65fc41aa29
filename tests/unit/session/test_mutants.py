"""The exploration bites: each bug seeded into an engine or a shell is found, with a short trace.

An engine's bug is a change of its source text, so the list stays true: a fragment that no longer
exists fails the test. Guards that hide each other's removal are removed in pairs.
"""

from __future__ import annotations

from types import ModuleType
from typing import NamedTuple

import pytest

from gridcord.session import cable, manager, opening
from tests.unit.session.delivery import Delivery, Engines, Scenario
from tests.unit.session.exploration import explore
from tests.unit.session.mutation import changed

BASE = Scenario(faults=2)
SLIP = Scenario(faults=2, kinds=frozenset({"slip", "break"}))
RESTORE = Scenario(faults=2, kinds=frozenset({"kill", "restore"}))
FLASH = Scenario(faults=1, kinds=frozenset({"kill", "old flash"}))
PRUNE = Scenario(faults=1, prunes=True, kinds=frozenset({"restore"}))
END = Scenario(faults=2, kinds=frozenset({"end", "break"}))


class Change(NamedTuple):
    """A fragment of an engine and what it becomes."""

    module: ModuleType
    before: str
    after: str


class Bug(NamedTuple):
    """A bug, where it shows, and how it is recognised."""

    scenario: Scenario
    seen_as: str
    changes: tuple[Change, ...] = ()


NO_FENCE = Change(manager, "if offer.fence != cursor.fence:", "if False:")
NO_DEDUPE = Change(manager, "if stored is not None:", "if False:")
NO_GAP_CHECK = Change(manager, "if offer.previous_sequence > committed:", "if False:")

BUGS = {
    # of the shells
    "acknowledged before the commit": Bug(
        BASE._replace(bugs=frozenset({"ack before commit"})), "I1"
    ),
    "deleted at the cable when acknowledged": Bug(
        RESTORE._replace(bugs=frozenset({"delete on ack"})), "I3"
    ),
    # of the manager
    "no dedupe": Bug(BASE, "I2", (NO_DEDUPE,)),
    "no fence": Bug(BASE, "I12", (NO_FENCE,)),
    "neither fence nor dedupe": Bug(BASE, "I12", (NO_FENCE, NO_DEDUPE)),
    "no gap check": Bug(SLIP, "I3", (NO_GAP_CHECK,)),
    "no gap check, no fence": Bug(SLIP, "I3", (NO_GAP_CHECK, NO_FENCE)),
    "equivocation taken for a duplicate": Bug(
        FLASH,
        "I14: never stored",
        (Change(manager, "same = stored == offer.digest", "same = True"),),
    ),
    "a gap is confirmed": Bug(
        SLIP,
        "I1",
        (
            Change(
                manager,
                "{Decision.ACCEPT, Decision.QUARANTINE, Decision.DUPLICATE, Decision.EQUIVOCATION}",
                "set(Decision)",
            ),
        ),
    ),
    "a duplicate is not confirmed": Bug(
        BASE,
        "I14: connects again",
        (
            Change(
                manager,
                "{Decision.ACCEPT, Decision.QUARANTINE, Decision.DUPLICATE, Decision.EQUIVOCATION}",
                "{Decision.ACCEPT}",
            ),
        ),
    ),
    "the batch forgets its own entries": Bug(
        BASE, "I1", (Change(manager, "committed[lineage] = max(", "_ = max("),)
    ),
    "the cursor does not move with the rows": Bug(
        BASE,
        "I1",
        (Change(manager, "cursors=_moved(cursors, committed)", "cursors={}"),),
    ),
    "the fence of a restored manager starts low": Bug(
        RESTORE,
        "I12",
        (Change(opening, "max(stored, last_seen) + 1", "stored + 1"),),
    ),
    "the fence does not rise": Bug(
        BASE, "I12", (Change(opening, "max(stored, last_seen) + 1", "max(stored, 1)"),)
    ),
    "every session begins a lineage": Bug(
        BASE,
        "I",
        (Change(opening, "committed_sequence=known or 0", "committed_sequence=0"),),
    ),
    # of the cable
    "no rewinding to a restored manager": Bug(
        RESTORE,
        "I1",
        (
            Change(
                cable,
                "resume = min(durable.acked_sequence, event.committed_sequence)",
                "resume = durable.acked_sequence",
            ),
        ),
    ),
    "what was never confirmed is not offered again": Bug(
        FLASH,
        "I14",
        (
            Change(
                cable,
                "resume = min(durable.acked_sequence, event.committed_sequence)",
                "resume = event.committed_sequence",
            ),
        ),
    ),
    "a rewind is not durable": Bug(
        RESTORE,
        "believes durable",
        (Change(cable, "effects.append(NoteAcked(sequence=resume))", "pass"),),
    ),
    "the fence is not durable": Bug(
        BASE,
        "believes durable",
        (
            Change(
                cable,
                "effects: list[CableEffect] = [NoteFence(fence=event.fence)]",
                "effects: list[CableEffect] = []",
            ),
        ),
    ),
    "no jump over numbers that are taken": Bug(
        FLASH,
        "takes number",
        (Change(cable, "    if jump > 0:\n", "    if False:\n"),),
    ),
    "the jump forgets the hole": Bug(
        FLASH,
        "sends entry",
        (Change(cable, "holes=(*durable.holes, hole)", "holes=durable.holes"),),
    ),
    "an entry written beside the jump is not known": Bug(
        FLASH._replace(late_news=True),
        "refuses",
        (Change(cable, "if hole is None or sequence != hole.first:", "if True:"),),
    ),
    "lost entries are not declared": Bug(
        PRUNE._replace(entries=3),
        "I14: connects again",
        (Change(cable, "previous_sequence=sent)", "previous_sequence=sequence - 1)"),),
    ),
    "the window is ignored": Bug(
        BASE,
        "window",
        (Change(cable, "while len(in_flight) < state.window and ", "while "),),
    ),
    "no patience limit for a confirmation": Bug(
        SLIP,
        "turns in circles",
        (
            Change(
                cable,
                "if state.in_flight and now_s - state.waiting_s >= state.policy.ack_within_s:",
                "if False:",
            ),
        ),
    ),
    "the session goes on where the last one broke": Bug(
        BASE,
        "I14",
        (
            Change(
                cable,
                "committed=event.committed_sequence,\n        sent=resume,",
                "committed=event.committed_sequence,\n"
                "        sent=state.durable.next_sequence - 1,",
            ),
        ),
    ),
    "a confirmation sends nothing new": Bug(
        BASE,
        "I14",
        (
            Change(
                cable,
                "    state, entries = _pump(state, now_s)\n"
                "    return state, (NoteAcked(sequence=acked), *entries)",
                "    return state, (NoteAcked(sequence=acked),)",
            ),
        ),
    ),
    "closes before everything is confirmed": Bug(
        END,
        "closes with",
        (Change(cable, "and state.flushed and not in_flight", "and state.flushed"),),
    ),
}


def mutated(changes: tuple[Change, ...]) -> Engines:
    """The engines with all changes made."""
    modules = {"cable": cable, "manager": manager, "opening": opening}
    for name, module in modules.items():
        mine = [change for change in changes if change.module is module]
        if mine:
            modules[name] = changed(module, [(change.before, change.after) for change in mine])
    return Engines(**modules)


@pytest.mark.parametrize("name", BUGS)
def test_the_bug_is_found(name: str) -> None:
    bug = BUGS[name]

    explored = explore(Delivery(bug.scenario, mutated(bug.changes)), at_most=300_000)

    assert explored.problem is not None, f"not found in {explored.states} states"
    assert explored.problem.startswith(bug.seen_as), str(explored)
    print(f"{name}: {explored}")


def test_at_least_twenty_bugs_are_seeded() -> None:
    assert len(BUGS) >= 20


def test_without_a_bug_the_same_scenarios_are_clean() -> None:
    for scenario in {bug.scenario for bug in BUGS.values() if not bug.scenario.bugs}:
        assert explore(Delivery(scenario)).problem is None
