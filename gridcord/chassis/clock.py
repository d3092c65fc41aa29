"""Time as an argument: the wall clock, a faster one for demonstrations, and what both promise.

Pure code takes instants as arguments; shells take a `Clock`. Tests use `gridcord.testing.clock`.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Protocol

# A wall clock may be stepped while somebody waits for an instant of it: look again this often.
_LOOK_AGAIN_S = 30.0


class Clock(Protocol):
    """What a shell may ask about time."""

    def now(self) -> float:
        """Seconds since 1970-01-01 UTC. May jump when the machine's clock is set."""
        ...

    def monotonic(self) -> float:
        """Seconds since an unspecified instant; never goes back. For durations only."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds` of this clock, at once when not positive."""
        ...

    async def sleep_until(self, instant_s: float) -> None:
        """Return when `now()` has reached `instant_s`, at once when it has already."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> float:
        """Seconds since 1970-01-01 UTC."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds since boot, or thereabouts."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds`."""
        await asyncio.sleep(max(0.0, seconds))

    async def sleep_until(self, instant_s: float) -> None:
        """Return at `instant_s`; a step of the wall clock is noticed within 30 s."""
        while (remaining := instant_s - self.now()) > 0:  # noqa: ASYNC110  (time is the event)
            await asyncio.sleep(min(remaining, _LOOK_AGAIN_S))


@dataclass(frozen=True, slots=True)
class ScaledClock:
    """A clock that runs `speed` times as fast as the machine's.

    Processes that are given the same three numbers read the same time, so a demonstration of
    several processes lives through one simulated day together.

    Args:
        speed: Simulated seconds per real second, > 0.
        origin_real_s: The instant of the machine's clock at which both meet, seconds since 1970.
        origin_simulated_s: What this clock shows at that instant, seconds since 1970.

    Raises:
        ValueError: `speed` is not positive.
    """

    speed: float
    origin_real_s: float
    origin_simulated_s: float

    def __post_init__(self) -> None:
        if not self.speed > 0:
            message = f"a clock cannot run at speed {self.speed}"
            raise ValueError(message)

    def now(self) -> float:
        """Simulated seconds since 1970-01-01 UTC."""
        return self.origin_simulated_s + (time.time() - self.origin_real_s) * self.speed

    def monotonic(self) -> float:
        """Simulated seconds since an unspecified instant."""
        return time.monotonic() * self.speed

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds` of simulated time."""
        await asyncio.sleep(max(0.0, seconds / self.speed))

    async def sleep_until(self, instant_s: float) -> None:
        """Return at the simulated `instant_s`."""
        while (remaining := instant_s - self.now()) > 0:  # noqa: ASYNC110  (time is the event)
            await asyncio.sleep(min(remaining / self.speed, _LOOK_AGAIN_S))
