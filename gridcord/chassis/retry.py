"""When to try again: exponential back-off with full jitter."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field


@dataclass(slots=True, kw_only=True)
class Backoff:
    """Pauses between attempts, each drawn from [0, ceiling); the ceiling grows by `factor`.

    Full jitter spreads a fleet that lost its server at one instant (M. Brooker, "Exponential
    backoff and jitter", 2015).

    Args:
        first_s: First ceiling, seconds, > 0.
        longest_s: Last ceiling, seconds.
        factor: Growth of the ceiling per attempt, >= 1.
        source: Of randomness.
    """

    first_s: float = 1.0
    longest_s: float = 120.0
    factor: float = 2.0
    source: random.Random = field(default_factory=random.Random)
    _attempts: int = field(default=0, init=False)

    @property
    def ceiling_s(self) -> float:
        """Upper bound of the next pause, seconds."""
        growth = min(float(self._attempts), 64.0)  # 2**64 seconds are enough; floats end at 2**1024
        return min(self.longest_s, self.first_s * math.pow(self.factor, growth))

    def next_s(self) -> float:
        """Draw the next pause, seconds, and raise the ceiling."""
        pause_s = self.source.uniform(0.0, self.ceiling_s)
        self._attempts += 1
        return pause_s

    def reset(self) -> None:
        """Start over; call it when an attempt has proven good, not when it merely began."""
        self._attempts = 0
