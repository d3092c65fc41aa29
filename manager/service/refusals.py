"""Takes refusals into the audit log without letting whoever is refused fill it.

The guard of the server refuses before a handler runs, and must not wait for a database. So the
refusals of one caller for one method and reason are counted and noted together: the first at once,
those that follow once in `EVERY_S` with their number.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence

import structlog

from manager.ports import StoreFull, StoreUnavailable

EVERY_S = 60.0  # real seconds
MOST_KINDS = 1_000  # that wait or were noted within EVERY_S
OTHERS = ("others", "REFUSED", "-")  # stands for those above MOST_KINDS

Refusal = tuple[str, str, str]
Note = Callable[[Sequence[tuple[str, str, str, int]]], Awaitable[None]]

log = structlog.get_logger()


class RefusalLog:
    """Counts refusals and notes them.

    Args:
        note: Stores (actor, reason, method, times), all or none.
        every_s: Real seconds between two notes of the same kind, > 0.
        monotonic: A clock of real seconds.
    """

    def __init__(
        self,
        *,
        note: Note,
        every_s: float = EVERY_S,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._note = note
        self._every_s = every_s
        self._monotonic = monotonic
        self._times: dict[Refusal, int] = {}
        self._not_before: dict[Refusal, float] = {}
        self._work = asyncio.Event()

    def refused(self, actor: str, reason: str, method: str) -> None:
        """Count one; it is noted soon."""
        kind = (actor, reason, method)
        known = kind in self._times or kind in self._not_before
        if not known and len(self._times) + len(self._not_before) >= MOST_KINDS:
            kind = OTHERS
        self._times[kind] = self._times.get(kind, 0) + 1
        self._work.set()

    async def run(self) -> None:
        """Note for ever."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._pause_s()):
                    await self._work.wait()
            self._work.clear()
            try:
                await self._take(self._due())
            except (StoreFull, StoreUnavailable) as error:
                log.error("refusals.not_noted", kinds=len(self._times), error=str(error)[:200])
                await asyncio.sleep(1.0)

    async def flush(self) -> None:
        """Note what waits, before the end."""
        await self._take(list(self._times))

    def _due(self) -> list[Refusal]:
        """Kinds that may be noted now; forgets those that were quiet for long enough."""
        now_s = self._monotonic()
        self._not_before = {k: at for k, at in self._not_before.items() if at > now_s}
        return [kind for kind in self._times if kind not in self._not_before]

    def _pause_s(self) -> float | None:
        """Until something that waits becomes due; None for until something comes."""
        waiting = [self._not_before.get(kind, 0.0) for kind in self._times]
        return max(0.0, min(waiting) - self._monotonic()) if waiting else None

    async def _take(self, kinds: Sequence[Refusal]) -> None:
        told = [(*kind, self._times[kind]) for kind in kinds]
        if not told:
            return
        await self._note(told)
        for actor, reason, method, times in told:
            kind = (actor, reason, method)
            self._times[kind] -= times
            if not self._times[kind]:
                del self._times[kind]
            self._not_before[kind] = self._monotonic() + self._every_s
