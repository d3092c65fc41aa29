"""What a site uses at each time of the day when its cable is idle.

One bin per period of the day holds a level and a spread on an asinh scale: linear for small
energies (where meters round and fridges cycle), logarithmic for large ones (where a second
appliance scales with the first), defined for export too. Only idle periods teach it, so that
somebody who steals while discharging cannot teach the matcher that stealing is usual. Updates are
clipped (Huber), so that one party does not widen the spread of a quiet house.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import asinh, sinh
from typing import NamedTuple

from gridcord.metering.matching import DAY_S, MeteredSite
from gridcord.units.period import HALF_HOUR_S

# All energies in kWh of a half hour; other lengths scale them.
LINEAR_KWH = 0.05  # linear zone of the asinh scale
IDLE_KWH = 0.02  # a smaller transfer is none
MAX_LEVEL_KWH = 9.0
FIRST_SPREAD = 0.8  # asinh units, before anything is known
MIN_SPREAD = 0.12
EXPORT_WIDENS = 2.0  # how much an exporting bin (clouds over a roof) widens the linear zone
LEVEL_RATE = 0.2  # learning rates once a bin has seen a few days
SPREAD_RATE = 0.15
NEIGHBOUR_SHARE = 0.5  # habits shift by a period: neighbours learn half
CLIP = 2.5  # spreads; a residual beyond it teaches no more than this
YOUNG_CLIP = 9.0  # ... while a bin has seen fewer than YOUNG_DAYS
YOUNG_DAYS = 4
SILENT_STEPS = 0.6  # an import below this many register steps shows nothing
PERSISTENCE = 0.7  # share of a residual that carries over to the next period ...
LARGE_PERSISTENCE = 0.9  # ... and of a large one: an air conditioner stays on
LARGE_SPREADS = 3.0  # what is large


class Bin(NamedTuple):
    """One period of the day.

    Args:
        level_kwh: Usual net without a transfer.
        spread: Scale of the residuals, asinh units.
        export_kwh: Mean surplus when idle, >= 0.
        days: Idle periods learned from, counted from 1.
        silent: Share of idle periods in which the import showed nothing, 0..1.
    """

    level_kwh: float
    spread: float = FIRST_SPREAD
    export_kwh: float = 0.0
    days: int = 1
    silent: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseProfile:
    """A day of a site's own net energy.

    Args:
        bins: One per period of the UTC day.
        linear_kwh: Linear zone of the scale without export: at least a register step.
        step_kwh: Register step.
        idle_kwh: A smaller transfer is none.
        bound_kwh: No level goes beyond.
    """

    bins: tuple[Bin, ...]
    linear_kwh: float
    step_kwh: float
    idle_kwh: float
    bound_kwh: float

    def zone_kwh(self, of: Bin) -> float:
        """Linear zone of the scale in a bin, widened where the idle site exports."""
        return self.linear_kwh + EXPORT_WIDENS * of.export_kwh


def unknown_home(*, site: MeteredSite) -> BaseProfile:
    """A broad prior for a home nobody has seen: night, day, evening, late."""
    bins_per_day = DAY_S // site.length_s
    hours = (24 * k / bins_per_day for k in range(bins_per_day))
    scale = site.length_s / HALF_HOUR_S
    return _profile(site, tuple(Bin(_prior_kwh(hour) * scale) for hour in hours))


def balanced_home(*, site: MeteredSite) -> BaseProfile:
    """A prior for what a HEMS leaves unexplained: nothing."""
    return _profile(site, (Bin(0.0),) * (DAY_S // site.length_s))


def carry_over(*, carried: float, spread: float) -> float:
    """The residual to expect after a carried one, asinh units: large ones persist longer."""
    ratio = carried / (LARGE_SPREADS * spread)
    weight = min(1.0, ratio * ratio)
    return carried * (PERSISTENCE + (LARGE_PERSISTENCE - PERSISTENCE) * weight)


def learned(
    *, profile: BaseProfile, index: int, net_kwh: float, residual: float, carried: float
) -> BaseProfile:
    """The profile after one idle period.

    Args:
        profile: The profile before.
        index: Which bin of the day.
        net_kwh: Net of the period.
        residual: Its distance from the bin's level, asinh units.
        carried: The residual of the period before.
    """
    bins = list(profile.bins)
    old = bins[index]
    rate = max(1.0 / (old.days + 1), LEVEL_RATE)
    clip = (YOUNG_CLIP if old.days < YOUNG_DAYS else CLIP) * old.spread
    bins[index] = Bin(
        _moved(profile, old, max(-clip, min(clip, residual)) * rate),
        _spread(old, residual - PERSISTENCE * carried),
        old.export_kwh + 2 * SPREAD_RATE * (max(0.0, -net_kwh) - old.export_kwh),
        old.days + 1,
        _silent(profile, old, net_kwh),
    )
    for neighbour in ((index - 1) % len(bins), (index + 1) % len(bins)):
        bins[neighbour] = _nudged(profile, bins[neighbour], net_kwh, rate * NEIGHBOUR_SHARE)
    return BaseProfile(
        bins=tuple(bins),
        linear_kwh=profile.linear_kwh,
        step_kwh=profile.step_kwh,
        idle_kwh=profile.idle_kwh,
        bound_kwh=profile.bound_kwh,
    )


def _profile(site: MeteredSite, bins: tuple[Bin, ...]) -> BaseProfile:
    scale, step_kwh = site.length_s / HALF_HOUR_S, site.step_wh / 1000
    return BaseProfile(
        bins=bins,
        linear_kwh=max(LINEAR_KWH * scale, step_kwh),
        step_kwh=step_kwh,
        idle_kwh=IDLE_KWH * scale,
        bound_kwh=MAX_LEVEL_KWH * scale,
    )


def _prior_kwh(hour: float) -> float:
    if hour < 6:
        return 0.07
    if hour < 17:
        return 0.12
    return 0.22 if hour < 22 else 0.14


def _moved(profile: BaseProfile, old: Bin, by: float) -> float:
    """The level moved by a distance on the asinh scale, kWh."""
    zone, bound = profile.zone_kwh(old), profile.bound_kwh
    return max(-bound, min(bound, zone * sinh(asinh(old.level_kwh / zone) + by)))


def _spread(old: Bin, innovation: float) -> float:
    rate = max(1.0 / (old.days + 2), SPREAD_RATE)
    growth = min(1.1 * abs(innovation) - old.spread, CLIP * old.spread)
    return max(MIN_SPREAD, old.spread + rate * growth)


def _silent(profile: BaseProfile, old: Bin, net_kwh: float) -> float:
    now = 1.0 if net_kwh < SILENT_STEPS * profile.step_kwh else 0.0
    return old.silent + 2 * SPREAD_RATE * (now - old.silent)


def _nudged(profile: BaseProfile, old: Bin, net_kwh: float, rate: float) -> Bin:
    zone, clip = profile.zone_kwh(old), CLIP * old.spread
    residual = asinh(net_kwh / zone) - asinh(old.level_kwh / zone)
    level_kwh = _moved(profile, old, rate * max(-clip, min(clip, residual)))
    return Bin(level_kwh, old.spread, old.export_kwh, old.days, old.silent)
