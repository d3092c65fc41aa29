"""What the kernel says of its clock."""

from __future__ import annotations

import ctypes

_TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised
_TIMEX_BYTES = 512  # more than struct timex has anywhere


def kernel_clock_synchronised() -> bool:
    """Whether the kernel takes its clock for synchronised (adjtimex(2), read only)."""
    timex = ctypes.create_string_buffer(_TIMEX_BYTES)
    state = int(ctypes.CDLL(None).adjtimex(timex))
    return 0 <= state < _TIME_ERROR
