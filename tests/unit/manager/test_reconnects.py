"""A cable that flaps is held off; others are not, and it comes back."""

from __future__ import annotations

import grpc
import pytest

from gridcord.chassis.failures import Failure
from manager.service.reconnects import RECONNECT_TOO_OFTEN, ReconnectLimit


class Watch:
    """A clock of real seconds that the test moves."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


def test_a_flapping_cable_waits_until_its_first_session_is_long_ago() -> None:
    watch = Watch()
    limit = ReconnectLimit(most=3, within_s=3_600.0, monotonic=watch)
    for _ in range(3):
        limit.opened("cable-1")
        watch.now_s += 10.0
    with pytest.raises(Failure) as refused:
        limit.opened("cable-1")
    assert refused.value.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert refused.value.reason == RECONNECT_TOO_OFTEN
    assert refused.value.metadata == {"retry_after_s": "3570"}
    limit.opened("cable-2")
    watch.now_s += 3_571.0
    limit.opened("cable-1")  # refusals did not count
    with pytest.raises(Failure):
        limit.opened("cable-1")


def test_memory_is_of_cables_that_reconnected_lately() -> None:
    watch = Watch()
    limit = ReconnectLimit(most=60, within_s=10.0, monotonic=watch)
    for number in range(5_000):
        limit.opened(f"cable-{number}")
        watch.now_s += 0.1
    assert len(limit._opened) <= 1_200
