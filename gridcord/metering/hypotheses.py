"""What could be true of a site, and how a period's reading bears on each possibility.

Under a hypothesis the meter moves by a share of what the cable transferred; what is left is the
site's own net, whose distance from the usual level (asinh scale) should be small. Residuals persist
from period to period; their innovations are heavy-tailed (Student t with four degrees of freedom,
an oven is no fraud). A meter without export register shows nothing of a surplus: its likelihood is
that of a censored value, with a small leak because short peaks cross zero within the period; and
what it hides in idle periods already is a possibility of its own.
"""

from __future__ import annotations

from enum import StrEnum
from itertools import pairwise
from math import asinh, exp, log, sqrt
from typing import NamedTuple

from gridcord.metering.base_profile import SILENT_STEPS, Bin, carry_over

GAIN_SPREAD = 0.03  # of the cable's energy as the meter sees it: wiring loss, gain, clock seconds
# Short peaks cross zero although a house uses less than it is given (6 s and 1 min data of six
# homes): shares of the given energy that it uses, and between two of them how often an import is
# seen, and its mean as a share of the given energy.
USED_SHARES = (0.2, 0.4, 0.7, 1.0)
LEAKS = ((0.1, 0.02), (0.5, 0.06), (0.9, 0.14))
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


def weigh_import(
    frame: Frame, moved_kwh: float, carried: float, step_kwh: float, silent: float
) -> tuple[float, float]:
    """The same for a meter that shows no surplus.

    Two kinds of idle periods make a bin: those whose use is seen, and those that show nothing (a
    roof, a battery, an empty house: nobody can tell which, nor how large the surplus is).

    Args:
        frame: Scale of the period.
        moved_kwh: How far the hypothesis says the meter moved.
        carried: Its residual of the period before.
        step_kwh: Register step.
        silent: Share of the bin's idle periods that show nothing.
    """
    residual, improbability = weigh(frame, moved_kwh, carried)
    at_floor = frame.net_kwh < SILENT_STEPS * step_kwh
    seen = 0.375 / (frame.width * sqrt(improbability))
    unseen = _surplus(frame, -moved_kwh, carried, step_kwh) if moved_kwh < 0.0 else 0.0
    hidden = 1.0 / step_kwh if at_floor else _partly_hidden(frame.net_kwh, moved_kwh)
    seen, unseen = (1.0 - silent) * seen, (1.0 - silent) * unseen + silent * hidden
    total = seen + unseen + TINY
    share = seen / total
    residual = share * residual + (1.0 - share) * CENSORED_CARRY * carried
    return residual, (0.375 / (frame.width * total)) ** 2


def _surplus(frame: Frame, given_kwh: float, carried: float, step_kwh: float) -> float:
    """Density (1/kWh) of the import shown while the house uses less than the cable gives.

    The import is at its floor, but for what short peaks leak: the more of the given energy the
    house uses, the more.
    """
    expected = frame.centre + carry_over(carried, frame.spread)
    below = [
        _t4_below((asinh(used * given_kwh / frame.zone_kwh) - expected) / frame.width)
        for used in USED_SHARES
    ]
    over_kwh, at_floor = frame.net_kwh - step_kwh, frame.net_kwh < SILENT_STEPS * step_kwh
    leaking = density = 0.0
    for (low, high), (share, size) in zip(pairwise(below), LEAKS, strict=True):
        mean_kwh = size * given_kwh
        leaks = (high - low) * share * exp(-step_kwh / mean_kwh)
        leaking += leaks
        density += leaks * exp(-max(over_kwh, 0.0) / mean_kwh) / mean_kwh
    return (below[-1] - leaking) / step_kwh if at_floor else density


def _partly_hidden(net_kwh: float, moved_kwh: float) -> float:
    """Density of what a charge shows of itself behind a surplus nobody knows: any part of it."""
    return 1.0 / moved_kwh if net_kwh < moved_kwh else 0.0


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
