"""A clock that stands still until a test moves it."""

from __future__ import annotations

import asyncio
import heapq
from itertools import count

# Turns of the event loop that a woken task gets before time moves on. Tasks that wait for nothing
# but this clock and each other need a few; none of the tests needs more than ten.
_TURNS = 50


class ManualClock:
    """A `Clock` for tests: `advance` wakes sleepers in the order of their instants.

    Args:
        now_s: Seconds since 1970-01-01 UTC it shows at first.
    """

    def __init__(self, now_s: float = 1_800_000_000.0) -> None:
        self._now_s = now_s
        self._monotonic_s = 0.0
        self._order = count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def now(self) -> float:
        """Seconds since 1970-01-01 UTC."""
        return self._now_s

    def monotonic(self) -> float:
        """Seconds this clock was advanced in all; steps do not count."""
        return self._monotonic_s

    @property
    def sleepers(self) -> int:
        """How many tasks wait for this clock."""
        return sum(not future.done() for _, _, future in self._sleepers)

    async def sleep(self, seconds: float) -> None:
        """Return when the clock has been advanced by `seconds`."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        future = asyncio.get_running_loop().create_future()
        wake_s = self._monotonic_s + seconds
        heapq.heappush(self._sleepers, (wake_s, next(self._order), future))
        await future

    async def sleep_until(self, instant_s: float) -> None:
        """Return when `now()` has reached `instant_s`, also by a step."""
        while (remaining := instant_s - self._now_s) > 0:
            await self.sleep(remaining)

    def step(self, seconds: float) -> None:
        """Set the wall clock forward or back without time passing."""
        self._now_s += seconds

    async def advance(self, seconds: float) -> None:
        """Let `seconds` pass, waking each sleeper at its instant and letting it run."""
        await self.settle()
        end_s = self._monotonic_s + seconds
        while self._sleepers and self._sleepers[0][0] <= end_s:
            wake_s, _, future = heapq.heappop(self._sleepers)
            self._pass(wake_s)
            if not future.done():
                future.set_result(None)
                await self.settle()
        self._pass(end_s)
        await self.settle()

    async def settle(self) -> None:
        """Let every task that is ready run until it waits again."""
        for _ in range(_TURNS):
            await asyncio.sleep(0)

    def _pass(self, until_s: float) -> None:
        self._now_s += until_s - self._monotonic_s
        self._monotonic_s = until_s
