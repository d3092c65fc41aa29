"""How long a device waits before it connects again: full jitter, exponential.

A fleet that lost its manager at one instant must not return at one instant. "Full jitter" draws
from the whole interval [0, bound]; of the usual variants it costs the server the least work
(M. Brooker, "Exponential Backoff And Jitter", 2015). The engines give the bounds, the shell draws.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Bounds of the delays.

    Args:
        base_s: Upper bound of the first delay, seconds, > 0.
        cap_s: Upper bound of all delays, seconds, >= base_s.
    """

    base_s: float = 1.0
    cap_s: float = 120.0

    def __post_init__(self) -> None:
        if not 0 < self.base_s <= self.cap_s:
            message = f"no back-off between {self.base_s} s and {self.cap_s} s"
            raise ValueError(message)

    def bound_s(self, *, attempts: int) -> float:
        """Longest delay after `attempts` attempts in a row that led nowhere, seconds."""
        # 2**64 base delays exceed any cap, and a float holds them.
        return min(self.cap_s, self.base_s * 2.0 ** min(attempts, 64))
