"""The plain energy balance of a site whose HEMS sees the whole load.

What the host does with his own appliances cancels out, so one or two periods are enough, once the
balance has been seen to hold while nothing was transferred (a HEMS that misses a circuit never gets
that credit).
"""

from __future__ import annotations

from typing import NamedTuple

from gridcord.metering.base_profile import IDLE_KWH
from gridcord.metering.matching import MeteredSite
from gridcord.units.period import HALF_HOUR_S

FIXED_KWH = 0.05  # tolerance per half hour ...
RELATIVE = 0.05  # ... plus this share of what was consumed and transferred
FIRST_RATE = 0.05  # broken idle balances, before any was seen
RATE_WEIGHT = 0.02
TRUSTED_RATE = 0.02  # below it the balance is known to hold
MEMORY = 0b111  # the last three discharges ...
ENOUGH = 2  # ... of which two must be broken


class HemsBalance(NamedTuple):
    """State of the balance; a tuple, because one is made for every period.

    Args:
        idle_broken: Running share of idle periods whose balance did not hold, 0..1.
        broken: The last three discharge periods, newest in bit 0: 1 where the balance broke.
    """

    idle_broken: float = FIRST_RATE
    broken: int = 0

    @property
    def accuses(self) -> bool:
        """The balance is known to hold when idle, and broke in two of the last three discharges."""
        return self.idle_broken < TRUSTED_RATE and self.broken.bit_count() >= ENOUGH


def checked(
    *,
    balance: HemsBalance,
    site: MeteredSite,
    net_kwh: float,
    consumption_kwh: float,
    moved_kwh: float,
    uncertain_kwh: float = 0.0,
) -> HemsBalance:
    """Take one period in.

    Args:
        balance: The state before.
        site: Its steps widen the tolerance.
        net_kwh: Import minus export.
        consumption_kwh: What the HEMS saw.
        moved_kwh: Transfer, + charge.
        uncertain_kwh: How far the transfer may be off, >= 0.
    """
    scale = site.length_s / HALF_HOUR_S
    steps_kwh = sum(step for step in (site.step_wh, site.hems_step_wh) if step > 1) / 1000
    relative_kwh = RELATIVE * (abs(consumption_kwh) + abs(moved_kwh))
    tolerance_kwh = FIXED_KWH * scale + relative_kwh + steps_kwh + 2 * uncertain_kwh
    residual_kwh = net_kwh - consumption_kwh - moved_kwh
    if abs(moved_kwh) <= IDLE_KWH * scale:
        now = 1.0 if abs(residual_kwh) > tolerance_kwh else 0.0
        rate = balance.idle_broken + RATE_WEIGHT * (now - balance.idle_broken)
        return HemsBalance(rate, balance.broken)
    if moved_kwh > 0:
        return balance
    broken = (balance.broken << 1 | (residual_kwh > tolerance_kwh)) & MEMORY
    return HemsBalance(balance.idle_broken, broken)
