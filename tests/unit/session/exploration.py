"""Breadth-first exploration of all that can happen, with the shortest trace to what must not.

A model gives the successors of a world; a world is a hashable value. The exploration visits every
reachable world, checks each, and finally shows that the steps which are no faults cannot go on for
ever. So once faults stop, every run ends in a world without successors, in whatever order things
happen; those worlds are checked to be finished.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Generic, NamedTuple, Protocol, TypeVar

WorldT = TypeVar("WorldT", bound=Hashable)


class Broken(Exception):
    """A step did what must not be done."""


class Step(NamedTuple, Generic[WorldT]):
    """One thing that can happen."""

    label: str
    world: WorldT
    fault: bool = False


class Model(Protocol[WorldT]):
    """What is explored."""

    def initial(self) -> WorldT:
        """Where everything starts."""
        ...

    def steps(self, world: WorldT) -> Iterable[Step[WorldT]]:
        """All that can happen next; raises Broken when a step does what must not be done."""
        ...

    def violation(self, world: WorldT) -> str | None:
        """What is wrong with a world, at any time."""
        ...

    def unfinished(self, world: WorldT) -> str | None:
        """What is missing in a world in which nothing but faults can happen any more."""
        ...


@dataclass(frozen=True)
class Explored:
    """What an exploration found.

    Args:
        states: Worlds visited.
        ends: Worlds in which nothing but faults can happen.
        problem: What went wrong first; None when nothing did.
        trace: The shortest way to it.
    """

    states: int
    ends: int
    problem: str | None = None
    trace: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.problem is None:
            return f"{self.states} states, {self.ends} ends, nothing wrong"
        return f"{self.problem} after {self.states} states: {' > '.join(self.trace)}"


def explore(model: Model[WorldT], *, at_most: int = 2_000_000) -> Explored:
    """Visit every world, or stop at the first that is wrong."""
    first = model.initial()
    number: dict[WorldT, int] = {first: 0}
    came_from: list[tuple[int, str]] = [(0, "")]
    queue, edges, ends = deque([(first, 0)]), list[list[int]](), 0

    def wrong(problem: str, at: int, *last: str) -> Explored:
        steps = list(last)
        while at:
            at, label = came_from[at]
            steps.insert(0, label)
        return Explored(len(number), ends, problem, tuple(steps))

    while queue:
        world, here = queue.popleft()
        healthy: list[int] = []
        if (problem := model.violation(world)) is not None:
            return wrong(problem, here)
        try:
            for label, then, fault in model.steps(world):
                there = number.setdefault(then, len(number))
                if there == len(came_from):
                    came_from.append((here, label))
                    queue.append((then, there))
                if not fault:
                    healthy.append(there)
        except Broken as broken:
            return wrong(str(broken), here)
        edges.append(healthy)
        if not healthy:
            ends += 1
            if (problem := model.unfinished(world)) is not None:
                return wrong(problem, here)
        if len(number) > at_most:
            return wrong("goes on for ever", here)
    if (looping := _on_a_cycle(edges)) is not None:
        return wrong("turns in circles without a fault", looping)
    return Explored(len(number), ends)


def _on_a_cycle(edges: list[list[int]]) -> int | None:
    """A node that healthy steps lead back to; None when there is none (Kahn's algorithm)."""
    incoming = [0] * len(edges)
    for targets in edges:
        for target in targets:
            incoming[target] += 1
    free = [node for node, count in enumerate(incoming) if not count]
    while free:
        for target in edges[free.pop()]:
            incoming[target] -= 1
            if not incoming[target]:
                free.append(target)
    return next((node for node, count in enumerate(incoming) if count), None)
