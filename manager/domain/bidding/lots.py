"""Volumes in a market's lots: rounding is a step of its own, and what it leaves has a name."""

from __future__ import annotations

import math
from dataclasses import dataclass

_SOLVER_NOISE = 1e-9  # of a volume that comes from a linear program


@dataclass(frozen=True, slots=True, kw_only=True)
class Lots:
    """A volume that can be traded, and the rest.

    Args:
        traded_wh: A whole number of lots, Wh, + bought.
        open_wh: What stays open: volume, in whole Wh, less traded.
    """

    traded_wh: int
    open_wh: int


def in_lots(volume_wh: float, *, lot_wh: int, nearest: bool = True) -> Lots:
    """Round a volume to lots.

    Args:
        volume_wh: Energy of a period, + bought, - sold.
        lot_wh: Energy of one lot, Wh, > 0 (JEPX: 50,000; trading rules Art. 15).
        nearest: To the nearest lot, half a lot towards zero; else always towards zero.
    """
    volume = round(volume_wh) if nearest else math.trunc(volume_wh * (1 + _SOLVER_NOISE))
    count = -(-(2 * abs(volume) - lot_wh) // (2 * lot_wh)) if nearest else abs(volume) // lot_wh
    traded = max(count, 0) * lot_wh * (1 if volume >= 0 else -1)
    return Lots(traded_wh=traded, open_wh=volume - traded)
