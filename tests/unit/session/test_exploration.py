"""Every interleaving of sending, storing, confirming and failing, on the engines themselves."""

from __future__ import annotations

import pytest

from tests.unit.session.delivery import Delivery, Scenario
from tests.unit.session.exploration import explore

SCENARIOS = {
    "three entries, window 2, three faults anywhere": Scenario(),
    "the manager is restored from a backup": Scenario(
        faults=2, kinds=frozenset({"break", "kill", "restore"})
    ),
    "the journal forgets old entries, then the manager is restored": Scenario(
        faults=2, prunes=True, kinds=frozenset({"kill", "restore"})
    ),
    "an older image of the flash is put back": Scenario(
        faults=2, kinds=frozenset({"kill", "old flash"})
    ),
    "the engine hears of entries late": Scenario(
        faults=1, late_news=True, kinds=frozenset({"power cut", "old flash"})
    ),
    "both sides go back in time": Scenario(
        entries=2, faults=2, kinds=frozenset({"old flash", "restore"})
    ),
    "entries slip, sessions are ended": Scenario(
        faults=2, kinds=frozenset({"break", "slip", "end"})
    ),
    "a wide window": Scenario(entries=4, window=4, faults=1),
    "one entry at a time": Scenario(window=1, faults=2),
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_whatever_happens_each_entry_is_stored_exactly_once(name: str) -> None:
    explored = explore(Delivery(SCENARIOS[name]))

    assert explored.problem is None, str(explored)
    assert explored.states > 1_000
    assert explored.ends > 0
    print(f"{name}: {explored}")


def test_the_bound_of_the_brief_is_reached() -> None:
    """At least three entries, window 2 and three faults: tens of thousands of states."""
    scenario = SCENARIOS["three entries, window 2, three faults anywhere"]

    assert (scenario.entries, scenario.window, scenario.faults) == (3, 2, 3)
    assert scenario.kinds == {"break", "loss", "power cut", "kill"}
