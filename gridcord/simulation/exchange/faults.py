"""Faults on demand: what a network and a tired exchange do to a call."""

from __future__ import annotations

import random
from collections import defaultdict, deque
from collections.abc import Mapping
from enum import StrEnum


class Fault(StrEnum):
    """What goes wrong with one call."""

    DISCONNECT = "disconnect"  # the connection ends before the call is processed
    LOSE_ANSWER = "lose-answer"  # it is processed, then the connection ends without an answer
    HANG = "hang"  # it is processed, and nothing is ever answered
    SLOW = "slow"  # it is processed late, even if the caller has gone
    SERVER_ERROR = "server-error"  # it is processed, and answered with STATUS=19
    DUPLICATE_ANSWER = "duplicate-answer"  # the answer comes twice
    DUPLICATE_CALL = "duplicate-call"  # it is processed twice, and answered once


class FaultPlan:
    """Which call meets which fault.

    Args:
        seed: Of the dice.
        chances: Fault -> probability for every call of `apis`.
        apis: Codes of calls that the dice are thrown for; empty for all.
    """

    def __init__(
        self,
        *,
        seed: int = 0,
        chances: Mapping[Fault, float] | None = None,
        apis: frozenset[str] = frozenset(),
    ) -> None:
        self._dice = random.Random(seed)
        self._chances = dict(chances or {})
        self._apis = apis
        self._scripted: defaultdict[str, deque[Fault]] = defaultdict(deque)

    def script(self, api: str, *faults: Fault) -> None:
        """Have the next calls of a code meet these faults, one each."""
        self._scripted[api].extend(faults)

    def next(self, api: str) -> Fault | None:
        """The fault of a call that has just come; None for none."""
        if self._scripted[api]:
            return self._scripted[api].popleft()
        if self._apis and api not in self._apis:
            return None
        thrown = self._dice.random()
        for fault, chance in self._chances.items():
            if thrown < chance:
                return fault
            thrown -= chance
        return None
