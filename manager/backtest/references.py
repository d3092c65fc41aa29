"""What the strategy is compared with: the cheapest possible, and the thoughtless."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from manager.domain.bidding.horizon import Outlook, plan
from manager.domain.bidding.stay import Window
from manager.domain.dispatch.waterfill import Ints

_TOGETHER = 200
_MICROS = 1_000_000


def oracle_cost_micros(windows: Sequence[Window], *, prices: Ints, wear_micros_per_kwh: int) -> int:
    """What perfect foresight pays: all prices and all stays known, no lots, no imbalance.

    Nothing couples the stays then, so each one's own optimum is the fleet's; they are solved some
    at a time. No way to keep the promises within the limits costs less.

    Args:
        windows: All stays.
        prices: Micros per kWh of all periods.
        wear_micros_per_kwh: Of what is discharged.
    """
    outlook = Outlook(
        first=0,
        price_micros_per_kwh=prices.astype(np.float64),
        wear_micros_per_kwh=wear_micros_per_kwh,
    )
    groups = (windows[start : start + _TOGETHER] for start in range(0, len(windows), _TOGETHER))
    return round(sum(plan(group, outlook).cost for group in groups) * _MICROS)


def plug_and_charge_wh(windows: Sequence[Window], *, periods: int) -> Ints:
    """Energy by period when every car charges at full power from plugging in until it is ready.

    Args:
        windows: All stays.
        periods: How many periods there are.
    """
    net_wh = np.zeros(periods, np.int64)
    for window in windows:
        stored_wh = window.energy_wh
        for index, most_wh in enumerate(window.charge_wh.tolist(), start=window.first):
            missing_wh = window.promise_wh - stored_wh
            if missing_wh <= 0:
                break
            energy_wh = min(most_wh, window.battery.intake_wh(missing_wh))
            stored_wh = window.battery.after(stored_wh, energy_wh)
            net_wh[index] += energy_wh
    return net_wh
