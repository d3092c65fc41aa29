"""Append-only facts with revisions: what a newcomer adds to those that are known."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Protocol, Self, TypeVar


class Revised(Protocol):
    """A fact that a later one of a higher revision can replace."""

    @property
    def revision(self) -> int:
        """Order among the facts about the same thing; a higher one replaces a lower one."""
        ...

    def states_the_same_as(self, other: Self) -> bool:
        """Whether both say the same, however and whenever they arrived."""
        ...


F = TypeVar("F", bound=Revised)


class Admission(StrEnum):
    """What a fact adds to those that are known."""

    NEW = "NEW"  # the first about its subject
    CORRECTION = "CORRECTION"  # replaces what was current
    LATE = "LATE"  # kept, but something newer is known already
    DUPLICATE = "DUPLICATE"  # known already: nothing to keep
    CONFLICT = "CONFLICT"  # the same revision said something else before: to be looked at


def admit(*, known: Iterable[F], fact: F) -> Admission:
    """What a fact adds to the known facts about the same subject.

    Args:
        known: Facts about the same subject.
        fact: The newcomer.
    """
    known = tuple(known)
    if not known:
        return Admission.NEW
    equals = [other for other in known if other.revision == fact.revision]
    if any(other.states_the_same_as(fact) for other in equals):
        return Admission.DUPLICATE
    if equals:
        return Admission.CONFLICT
    newest = max(other.revision for other in known)
    return Admission.CORRECTION if fact.revision > newest else Admission.LATE
