"""What is known at which instant of the replay: the only door to prices and arrivals.

The day-ahead auction of day D closes at 10:00 on D-1 and its prices are out by 10:30; bids for D
know nothing of them. A stay is known from the moment it is plugged in, with the departure and the
energy that its driver then asks for. Days that are over are known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gridcord.protocols.jepx_csv import PERIODS_A_DAY
from manager.domain.bidding.stay import Window
from manager.domain.dispatch.fleet_state import Floats
from manager.domain.dispatch.waterfill import Ints

GATE = 20
"""Period of the day at whose start, 10:00, the auction of the next day closes."""

PUBLICATION = 21
"""Period of the day at whose start, 10:30, its prices are known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """Prices, as far as they are published.

    Args:
        micros_per_kwh: Of all replayed periods; nothing else reads them before their time.
    """

    micros_per_kwh: Ints

    def end(self, now: int) -> int:
        """Index of the first period whose price is not known at the beginning of period `now`."""
        day, number = divmod(now, PERIODS_A_DAY)
        known_days = day + 2 if number >= PUBLICATION else day + 1
        return min(known_days * PERIODS_A_DAY, len(self.micros_per_kwh))

    def known(self, now: int) -> Floats:
        """Prices of all periods before `end`."""
        return self.micros_per_kwh[: self.end(now)].astype(np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What the strategy may look at when it decides at the beginning of a period.

    Args:
        now: Index of the period.
        prices: Known prices from index 0 on, micros per kWh, whole days.
        plugged: Stays on their outlets, cut to what is left of them from `now` on.
        past: Stays that began on each day until now, as they were on plugging in.
        contracted_wh: Contracts from `now` to the end of the last day that was cleared.
    """

    now: int
    prices: Floats
    plugged: Sequence[Window]
    past: Sequence[Sequence[Window]]
    contracted_wh: Ints

    @property
    def today(self) -> int:
        """Index of the running day."""
        return self.now // PERIODS_A_DAY
