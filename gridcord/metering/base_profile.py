"""What a site uses at each time of the day when its cable is idle.

One bin per period of the day holds a level and a spread on an asinh scale: linear for small
energies (where meters round and fridges cycle), logarithmic for large ones (where a second
appliance scales with the first), defined for export too. Only idle periods teach it, so that
somebody who steals while discharging cannot teach the matcher that stealing is usual. Updates are
clipped (Huber), so that one party does not widen the spread of a quiet house.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import asinh, cosh, sinh
from typing import NamedTuple

from gridcord.metering.matching import DAY_S, MeteredSite
from gridcord.units.period import HALF_HOUR_S

# Energies are kWh of a half hour; other lengths scale them.
LINEAR_KWH = 0.05  # linear zone of the asinh scale
IDLE_KWH = 0.02  # a smaller transfer is none
FIRST_SPREAD = 0.8  # asinh units, before anything is known
MIN_SPREAD = 0.12
MAX_CENTRE = 6.0  # asinh units: 10 kWh in a half hour
EXPORT_WIDENS = 2.0  # how much an exporting bin (clouds over a roof) widens the linear zone
LEVEL_RATE = 0.2  # learning rates once a bin has seen a few days
SPREAD_RATE = 0.15
LEVEL_ERROR = LEVEL_RATE / (2 - LEVEL_RATE)  # variance of such a level, in variances of a period
NEIGHBOUR_SHARE = 0.5  # habits shift by a period: neighbours learn half
CLIP = 2.5  # spreads; a residual beyond it teaches no more than this
YOUNG_CLIP = 9.0  # ... while a bin has seen fewer than YOUNG_DAYS
YOUNG_DAYS = 4
SPREAD_FACTOR = 1.1  # mean absolute innovation to scale
STEP_SCATTER = 0.41  # steps: standard deviation of the difference of two truncated registers
SILENT_RATE = 0.15  # learning rate of the share of idle periods that show nothing
SILENT_STEPS = 0.6  # an import below this many register steps shows nothing
PERSISTENCE = 0.7  # share of a residual that carries over to the next period ...
LARGE_PERSISTENCE = 0.9  # ... and of a large one: an air conditioner stays on
LARGE_SPREADS = 3.0  # what is large


class Bin(NamedTuple):
    """One period of the day.

    Args:
        centre: Usual net without a transfer, asinh units of `zone_kwh`.
        zone_kwh: Linear zone of the scale, > 0.
        spread: Scale of the residuals, asinh units.
        export_kwh: Mean surplus when idle, >= 0.
        days: Idle periods learned from, counted from 1.
        silent: Share of idle periods in which the import showed nothing, 0..1.
        judged: Periods that were judged by the level since an idle one taught it.
    """

    centre: float
    zone_kwh: float
    spread: float = FIRST_SPREAD
    export_kwh: float = 0.0
    days: int = 1
    silent: float = 0.0
    judged: int = 0

    @property
    def level_kwh(self) -> float:
        """Usual net without a transfer."""
        return self.zone_kwh * sinh(self.centre)

    @property
    def scatter_kwh(self) -> float:
        """How far the site's own net usually lies from its level."""
        up, down = sinh(self.centre + self.spread), sinh(self.centre - self.spread)
        return self.zone_kwh * (up - down) / 2

    @property
    def news(self) -> float:
        """How much of a period is new, 0..1: all periods judged by one level share its error.

        Of n periods with a common error of variance r, n / (1 + n r) are independent; this is what
        the next one adds.
        """
        common = 1.0 + LEVEL_ERROR * self.judged
        return 1.0 / (common * common)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """What does not change at a site.

    Args:
        linear_kwh: Linear zone of the scale without export: at least a register step.
        step_kwh: Register step.
        idle_kwh: A smaller transfer is none.
    """

    linear_kwh: float
    step_kwh: float
    idle_kwh: float


def scale_of(*, site: MeteredSite) -> Scale:
    """The scale that a site's instruments and period allow."""
    share, step_kwh = site.length_s / HALF_HOUR_S, site.step_wh / 1000
    return Scale(
        linear_kwh=max(LINEAR_KWH * share, step_kwh),
        step_kwh=step_kwh,
        idle_kwh=IDLE_KWH * share,
    )


def unknown_home(*, site: MeteredSite) -> tuple[Bin, ...]:
    """A broad prior for a home nobody has seen: night, day, evening, late."""
    count, zone = DAY_S // site.length_s, scale_of(site=site).linear_kwh
    share = site.length_s / HALF_HOUR_S
    levels = (_prior_kwh(24 * k / count) * share for k in range(count))
    return tuple(Bin(asinh(level / zone), zone) for level in levels)


def balanced_home(*, site: MeteredSite) -> tuple[Bin, ...]:
    """A prior for what a HEMS leaves unexplained: nothing."""
    return (Bin(0.0, scale_of(site=site).linear_kwh),) * (DAY_S // site.length_s)


def carry_over(carried: float, spread: float) -> float:
    """The residual to expect after a carried one, asinh units: large ones persist longer."""
    ratio = carried / (LARGE_SPREADS * spread)
    weight = ratio * ratio
    if weight >= 1.0:
        return carried * LARGE_PERSISTENCE
    return carried * (PERSISTENCE + (LARGE_PERSISTENCE - PERSISTENCE) * weight)


def learned(
    *,
    bins: tuple[Bin, ...],
    scale: Scale,
    index: int,
    net_kwh: float,
    residual: float,
    carried: float,
) -> tuple[Bin, ...]:
    """The profile after one idle period.

    Args:
        bins: The profile before.
        scale: The site's scale.
        index: Which bin of the day.
        net_kwh: Net of the period.
        residual: Its distance from the bin's centre, asinh units.
        carried: The residual of the period before.
    """
    old, out = bins[index], list(bins)
    centre, zone_before, spread, export_kwh, days, silent, _ = old
    rate = max(1.0 / (days + 1), LEVEL_RATE)
    clip = (YOUNG_CLIP if days < YOUNG_DAYS else CLIP) * spread
    centre = _clipped(centre + rate * _clipped(residual, clip), MAX_CENTRE)
    spread = _spread(old, residual - PERSISTENCE * carried)
    if STEP_SCATTER * scale.step_kwh > spread * zone_before:  # else steps are too small to matter
        spread = max(spread, _steps_spread(old, scale))
    if export_kwh or net_kwh < 0.0:
        export_kwh += 2 * SPREAD_RATE * (max(0.0, -net_kwh) - export_kwh)
    if silent:
        silent -= SILENT_RATE * silent
    zone = scale.linear_kwh + EXPORT_WIDENS * export_kwh
    if zone != zone_before:
        centre = asinh(zone_before * sinh(centre) / zone)
    out[index] = Bin(centre, zone, spread, export_kwh, days + 1, silent)
    share = rate * NEIGHBOUR_SHARE
    for neighbour in (index - 1, index + 1 - len(bins)):
        out[neighbour] = _nudged(out[neighbour], net_kwh, share)
    return tuple(out)


def silenced(*, bins: tuple[Bin, ...], index: int) -> tuple[Bin, ...]:
    """The profile after an idle period in which a meter without export register showed nothing.

    What the house uses when that is seen stays what it was: a roof hides it, and does not end it.
    """
    old = bins[index]
    silent = old.silent + SILENT_RATE * (1.0 - old.silent)
    return _with(bins, index, old._replace(silent=silent, judged=0))


def judged_by(*, bins: tuple[Bin, ...], index: int) -> tuple[Bin, ...]:
    """The profile after a period that was judged by one of its levels."""
    old = bins[index]
    return _with(bins, index, old._replace(judged=old.judged + 1))


def _with(bins: tuple[Bin, ...], index: int, new: Bin) -> tuple[Bin, ...]:
    return (*bins[:index], new, *bins[index + 1 :])


def _prior_kwh(hour: float) -> float:
    if hour < 6:
        return 0.07
    if hour < 17:
        return 0.12
    return 0.22 if hour < 22 else 0.14


def _clipped(value: float, bound: float) -> float:
    if value > bound:
        return bound
    return -bound if value < -bound else value


def _spread(old: Bin, innovation: float) -> float:
    spread, rate = old.spread, 1.0 / (old.days + 2)
    if rate < SPREAD_RATE:
        rate = SPREAD_RATE
    growth = SPREAD_FACTOR * abs(innovation) - spread
    if growth > CLIP * spread:
        growth = CLIP * spread
    spread += rate * growth
    return MIN_SPREAD if spread < MIN_SPREAD else spread


def _steps_spread(old: Bin, scale: Scale) -> float:
    """Scatter that truncation alone gives the difference of two registers, asinh units."""
    return STEP_SCATTER * scale.step_kwh / (old.zone_kwh * cosh(old.centre))


def _nudged(old: Bin, net_kwh: float, rate: float) -> Bin:
    centre, zone, spread, export_kwh, days, silent, judged = old
    residual, clip = asinh(net_kwh / zone) - centre, CLIP * spread
    if residual > clip:  # as _clipped does; this is the hottest line of the matcher
        residual = clip
    elif residual < -clip:
        residual = -clip
    centre += rate * residual
    if not -MAX_CENTRE <= centre <= MAX_CENTRE:
        centre = _clipped(centre, MAX_CENTRE)
    return Bin(centre, zone, spread, export_kwh, days, silent, judged)
