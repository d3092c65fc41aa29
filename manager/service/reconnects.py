"""Holds off a cable that opens one session after the other: a flapping link, or a broken device.

Kept in this process alone and in real seconds: it protects the manager, nothing else hangs on it.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

import grpc

from gridcord.chassis.failures import Failure

RECONNECT_TOO_OFTEN = "RECONNECT_TOO_OFTEN"

_SWEEP_AFTER = 1024


class ReconnectLimit:
    """Counts the sessions that each cable opens.

    Args:
        most: Sessions that a cable may open within any `within_s`, >= 1.
        within_s: Real seconds, > 0.
        monotonic: A clock of real seconds.
    """

    def __init__(
        self, *, most: int, within_s: float, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._most = most
        self._within_s = within_s
        self._monotonic = monotonic
        self._opened: dict[str, deque[float]] = {}
        self._sweep_at = _SWEEP_AFTER

    def opened(self, cable_id: str) -> None:
        """Count a session that a cable is about to open; one that is refused does not count.

        Raises:
            Failure: RECONNECT_TOO_OFTEN, with `retry_after_s`.
        """
        now_s = self._monotonic()
        opened = self._opened.setdefault(cable_id, deque(maxlen=self._most))
        if len(opened) == self._most and (wait_s := opened[0] + self._within_s - now_s) > 0:
            raise Failure(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                RECONNECT_TOO_OFTEN,
                f"more than {self._most} sessions in {self._within_s:g} s: wait {wait_s:.0f} s",
                retry_after_s=f"{wait_s:.0f}",
            )
        opened.append(now_s)
        self._sweep(now_s)

    def _sweep(self, now_s: float) -> None:
        """Forget cables that opened nothing for long; seldom, so that it costs nothing."""
        if len(self._opened) < self._sweep_at:
            return
        early_s = now_s - self._within_s
        self._opened = {name: at for name, at in self._opened.items() if at[-1] > early_s}
        self._sweep_at = max(_SWEEP_AFTER, 2 * len(self._opened))
