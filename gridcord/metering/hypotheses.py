"""What could be true of a site, and how a period's reading bears on each possibility.

Under a hypothesis the meter moves by a share of what the cable transferred; what is left is the
site's own net, whose distance from the usual level (asinh scale) should be small. Residuals persist
from period to period; their innovations are heavy-tailed (Student t with four degrees of freedom,
an oven is no fraud). A meter without export register shows nothing of a surplus: its likelihood is
that of a censored value, with a small leak because short peaks cross zero within the period.
"""

from __future__ import annotations

from enum import StrEnum
from math import asinh, exp, log, sqrt
from typing import NamedTuple

from gridcord.metering.base_profile import SILENT_STEPS, Bin, carry_over

GAIN_SPREAD = 0.03  # of the cable's energy as the meter sees it: wiring loss, gain, clock seconds
LEAK_SHARE = 0.35  # of periods with a surplus that still show an import, at no register step
LEAK_KWH = 0.08  # mean of it
CENSORED_CARRY = 0.7  # a residual nobody saw decays
TINY = 1e-12


class Kind(StrEnum):
    """What being true would mean."""

    HONEST = "HONEST"
    FRAUD = "FRAUD"
    METER = "METER"
    CLOCK = "CLOCK"


class Hypothesis(NamedTuple):
    """One possibility.

    Args:
        name: Said to people.
        kind: What it would mean.
        discharge_share: Share of a discharge that reaches the meter.
        charge_share: Share of a charge that reaches it.
        shift: The meter's period is this many periods late (+) or early (-).
    """

    name: str
    kind: Kind
    discharge_share: float = 1.0
    charge_share: float = 1.0
    shift: int = 0


HYPOTHESES = (
    Hypothesis("honest", Kind.HONEST),
    Hypothesis("no discharge arrives", Kind.FRAUD, 0.0),
    Hypothesis("half of the discharge arrives", Kind.FRAUD, 0.5),
    Hypothesis("three quarters of the discharge arrive", Kind.FRAUD, 0.75),
    Hypothesis("another circuit or meter", Kind.FRAUD, 0.0, 0.0),
    Hypothesis("the meter reads charging low", Kind.METER, 1.0, 0.6),
    Hypothesis("the meter reads everything low", Kind.METER, 0.7, 0.7),
    Hypothesis("the meter's clock is one period late", Kind.CLOCK, shift=1),
    Hypothesis("the meter's clock is one period early", Kind.CLOCK, shift=-1),
)
COUNT = len(HYPOTHESES)
NOTHING, HALF, OTHER_CIRCUIT, LATE, EARLY = 1, 2, 4, 7, 8
FRAUDS = slice(1, 5)
FAULTS = slice(5, 9)
_DISCHARGE_SHARES = tuple(h.discharge_share for h in HYPOTHESES)
_CHARGE_SHARES = tuple(h.charge_share for h in HYPOTHESES)


class Frame(NamedTuple):
    """The scale on which one period's net is judged.

    Args:
        net_kwh: The net of the period.
        zone_kwh: Linear zone of the asinh scale.
        centre: The usual level, asinh units.
        spread: Scale of the site's own residuals, asinh units.
        width: The same, widened by the uncertainty of the cable's energy.
        slope: Square of the energy (kWh) that one asinh unit spans at the usual level. A house
            that uses less than usual is not taken to be more predictable in kWh: else a steady
            load would prove whatever explanation leaves least of it.
    """

    net_kwh: float
    zone_kwh: float
    centre: float
    spread: float
    width: float
    slope: float


def frame_of(*, of: Bin, net_kwh: float, moved_kwh: float, uncertain_kwh: float = 0.0) -> Frame:
    """Scale of a period in a bin.

    Args:
        of: The bin.
        net_kwh: The net of the period.
        moved_kwh: The larger transfer that may be in it, >= 0.
        uncertain_kwh: How far the cable's own value may be off, >= 0.
    """
    zone, spread, width, level = of.zone_kwh, of.spread, of.spread, of.level_kwh
    slope = level * level + zone * zone
    if moved_kwh or uncertain_kwh:
        gain = GAIN_SPREAD * moved_kwh
        own = gain * gain + uncertain_kwh * uncertain_kwh
        width = sqrt(spread * spread + own / slope)
    return Frame(net_kwh, zone, of.centre, spread, width, slope)


def shifts_kwh(*, moved_kwh: float, before_kwh: float) -> list[float]:
    """How far each hypothesis says the meter moved in this period, kWh (EARLY is judged later)."""
    shares = _DISCHARGE_SHARES if moved_kwh < 0 else _CHARGE_SHARES
    shifts = [moved_kwh * share for share in shares]
    shifts[LATE] = before_kwh
    return shifts


def weigh(frame: Frame, moved_kwh: float, carried: float) -> tuple[float, float]:
    """Judge one hypothesis by one net value.

    Args:
        frame: Scale of the period.
        moved_kwh: How far the hypothesis says the meter moved.
        carried: Its residual of the period before.

    Returns:
        Its residual now, and the improbability of it: density = 0.375 / width / sqrt(second). Only
        ratios of the second matter, so that one logarithm weighs two hypotheses.
    """
    net_kwh, zone, centre, spread, width, least = frame
    own_kwh = net_kwh - moved_kwh
    slope = own_kwh * own_kwh + zone * zone
    if slope < least:
        slope = least
    residual = asinh(own_kwh / zone) - centre
    z = (residual - carry_over(carried, spread)) / width
    q = 1.0 + 0.25 * z * z
    q2 = q * q
    return residual, q2 * q2 * q * slope


def weigh_censored(
    frame: Frame, moved_kwh: float, carried: float, step_kwh: float
) -> tuple[float, float]:
    """The same for a discharge behind a meter without export register (`moved_kwh` < 0)."""
    residual, improbability = weigh(frame, moved_kwh, carried)
    seen = 0.375 / (frame.width * sqrt(improbability))
    edge = asinh(-moved_kwh / frame.zone_kwh) - frame.centre
    edge -= carry_over(carried, frame.spread)
    unseen = _t4_below(edge / frame.width) * _floor_density(frame.net_kwh, step_kwh)
    total = seen + unseen + TINY
    share = seen / total
    residual = share * residual + (1.0 - share) * CENSORED_CARRY * carried
    return residual, (0.375 / (frame.width * total)) ** 2


def evidence_between(other: float, honest: float, most: float, least: float) -> float:
    """Nats by which a period favours another hypothesis over honesty, within [-least, most]."""
    nats = 0.5 * log(honest / other)
    if nats > most:
        return most
    return -least if nats < -least else nats


def _t4_below(z: float) -> float:
    """Distribution function of Student's t with four degrees of freedom."""
    r = z / sqrt(1.0 + 0.25 * z * z)
    return 0.5 + 0.375 * r * (1.0 - r * r / 12.0)


def _floor_density(net_kwh: float, step_kwh: float) -> float:
    """Density (1/kWh) of the import shown while the site has a surplus."""
    leak = LEAK_SHARE * exp(-step_kwh / LEAK_KWH)
    if net_kwh < SILENT_STEPS * step_kwh:
        return (1.0 - leak) / step_kwh
    return leak * exp(-max(net_kwh - step_kwh, 0.0) / LEAK_KWH) / LEAK_KWH
