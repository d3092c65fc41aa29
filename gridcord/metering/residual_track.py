"""Evidence about one residual stream of a site: meter only, or meter minus HEMS.

For every hypothesis a cumulative log-likelihood ratio against honesty is kept, floored at zero
(CUSUM: a year of honesty does not buy a month of theft) and with bounded steps (one odd evening
cannot convict), and a second, unfloored one for the current plug-in session, which confirms it.
About 350 numbers, whatever the length of the history.
"""

from __future__ import annotations

from math import asinh
from typing import NamedTuple

from gridcord.metering.base_profile import (
    SILENT_STEPS,
    Bin,
    Scale,
    judged_by,
    learned,
    silenced,
)
from gridcord.metering.hypotheses import (
    CENSORED_CARRY,
    COUNT,
    EARLY,
    Frame,
    evidence_between,
    frame_of,
    shifts_kwh,
    weigh,
    weigh_import,
)

MOST_GAINED = 3.0  # nats that one period may add to a hypothesis ...
MOST_LOST = 6.0  # ... and take from it
_ZEROS = (0.0,) * COUNT


Pending = tuple[Frame, float, float]
"""A period whose "the meter is early" is still to be judged: frame, honest value, carried."""


class ResidualTrack(NamedTuple):
    """State of one stream; a tuple, because one is made for every period.

    Args:
        scale: What does not change at the site.
        bins: What is usual, one bin per period of the UTC day.
        has_export: Whether a surplus is seen.
        carried: Residual of the last period under each hypothesis, asinh units.
        evidence: Nats for each hypothesis against honesty, >= 0.
        confidence: Nats against each hypothesis in the current session, unfloored.
        before_kwh: Transfer of the last period.
        pending: The last period, as `Pending` has it; None after a gap.
    """

    scale: Scale
    bins: tuple[Bin, ...]
    has_export: bool
    carried: tuple[float, ...] = _ZEROS
    evidence: tuple[float, ...] = _ZEROS
    confidence: tuple[float, ...] = _ZEROS
    before_kwh: float = 0.0
    pending: Pending | None = None


def after_gap(*, track: ResidualTrack) -> ResidualTrack:
    """A reading is missing: forget what was carried over, keep the evidence."""
    return track._replace(carried=_ZEROS, before_kwh=0.0, pending=None)


def advance(
    *,
    track: ResidualTrack,
    index: int,
    net_kwh: float,
    moved_kwh: float,
    uncertain_kwh: float = 0.0,
    new_session: bool = False,
    learning: bool = False,
) -> ResidualTrack:
    """Take one period in.

    Args:
        track: The state before.
        index: Which period of the day.
        net_kwh: Net (minus what the HEMS saw).
        moved_kwh: Transfer, + charge.
        uncertain_kwh: How far the transfer may be off, >= 0.
        new_session: A plug-in session begins with this period.
        learning: History before the first session: learn, judge nothing.
    """
    bins, idle_kwh, before_kwh = track.bins, track.scale.idle_kwh, track.before_kwh
    of = bins[index]
    idle = abs(moved_kwh) + uncertain_kwh <= idle_kwh
    carried, honest_carried = track.carried, track.carried[0]
    confidence = _ZEROS if new_session else track.confidence
    evidence = track.evidence
    settled = idle and abs(before_kwh) <= idle_kwh and carried.count(honest_carried) == COUNT
    moved_most = 0.0 if settled else max(abs(moved_kwh), abs(before_kwh))
    frame = frame_of(of=of, net_kwh=net_kwh, moved_kwh=moved_most, uncertain_kwh=uncertain_kwh)
    shows_nothing = idle and not track.has_export and net_kwh < SILENT_STEPS * track.scale.step_kwh
    if settled or learning:
        residual, honest = weigh(frame, moved_kwh, honest_carried)
        if shows_nothing:
            residual = CENSORED_CARRY * honest_carried
        residuals = (residual,) * COUNT
        pending = None if learning or not track.has_export else (frame, honest, honest_carried)
    else:
        residuals, evidence, confidence, pending = _judged(track, of, frame, moved_kwh, confidence)
        residual = asinh((net_kwh - moved_kwh) / frame.zone_kwh) - frame.centre
        if idle:
            residuals = (*residuals[:EARLY], residual)
    if not (idle or learning):
        bins = judged_by(bins=bins, index=index)
    elif shows_nothing:
        bins = silenced(bins=bins, index=index)
    elif idle:
        bins = learned(
            bins=bins,
            scale=track.scale,
            index=index,
            net_kwh=net_kwh,
            residual=residual,
            carried=honest_carried,
        )
    return ResidualTrack(
        track.scale, bins, track.has_export, residuals, evidence, confidence, moved_kwh, pending
    )


_Judged = tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...], Pending | None]


def _judged(
    track: ResidualTrack,
    of: Bin,
    frame: Frame,
    moved_kwh: float,
    confidence: tuple[float, ...],
) -> _Judged:
    """Residuals, evidence and confidence after a period that bears on the hypotheses."""
    gains = [0.0] * COUNT
    early_carried = track.carried[EARLY]
    if track.pending is not None:
        early_carried, gains[EARLY] = _early(track.pending, moved_kwh)
    residuals, values = _weighed(track, of, frame, moved_kwh)
    residuals[EARLY] = early_carried
    honest = values[0]
    for k in range(1, EARLY):
        gains[k] = evidence_between(values[k], honest, MOST_GAINED, MOST_LOST)
    pending = (frame, honest, early_carried) if track.has_export else None
    news = of.news  # a session judges by each level once: its confidence shares no error
    evidence = tuple([max(0.0, u + news * d) for u, d in zip(track.evidence, gains, strict=True)])
    against = tuple([r - d for r, d in zip(confidence, gains, strict=True)])
    return tuple(residuals), evidence, against, pending


def _weighed(
    track: ResidualTrack, of: Bin, frame: Frame, moved_kwh: float
) -> tuple[list[float], list[float]]:
    """Residual and improbability of the period under every hypothesis but EARLY."""
    residuals, values = [0.0] * COUNT, [1.0] * COUNT
    shifts = shifts_kwh(moved_kwh=moved_kwh, before_kwh=track.before_kwh)
    step_kwh, silent = track.scale.step_kwh, of.silent
    for k in range(EARLY):
        shift, carried = shifts[k], track.carried[k]
        if track.has_export:
            residuals[k], values[k] = weigh(frame, shift, carried)
        else:
            residuals[k], values[k] = weigh_import(frame, shift, carried, step_kwh, silent)
    return residuals, values


def _early(pending: Pending, moved_kwh: float) -> tuple[float, float]:
    """Residual and gain of "the meter is early": the last net held what is transferred now."""
    frame, honest, carried = pending
    residual, value = weigh(frame, moved_kwh, carried)
    return residual, evidence_between(value, honest, MOST_GAINED, MOST_LOST)
