"""The active proof: does this meter see the pattern that the cable draws?

Each edge of the pattern should move the meter's power by the same step. What is seen is scored by
the ratio of two likelihoods, "it follows the cable" against the best of "it is the house alone" and
"only a part gets here". How the house steps by itself is learned from the readings before the
pattern and within its plateaus, whichever meter they come from: usually little, now and then by an
appliance, and where a hob was seen to cycle, by that hob. No single edge counts for more than a
bounded number of nats; the sum is a sequential test (Wald). No answer is an answer: INCONCLUSIVE
means that the proof is repeated later.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from math import exp, log
from statistics import median
from typing import NamedTuple

CAP_NATS = 4.0  # the most that one edge says, either way
ACCEPT_NATS = 15.5  # at least four clear edges
REJECT_NATS = -20.0  # at least five: a wrong meter has time, a right one must not be hurt
PARTS = (0.0, 0.5, 0.75)  # shares of the energy that a wrong or shared circuit may get
BROAD_SHARE = 0.12  # of steps at which an appliance of an unknown house switches ...
BROAD_W = 700.0  # ... by about this much
PRIOR_STEPS = 10.0  # readings that this prior counts for
MOST_STEPS = 200  # of the house that are remembered
MIN_NOISE_W = 8.0
NOISE_FACTOR = 1.5  # Laplace scale per median step between readings
GAIN_NOISE = 0.01  # of the amplitude: wiring loss, voltage
STEADY_SHARE = 0.05  # of the amplitude: what the cable's power may vary in a clean reading
STEADY_W = 10.0
ENOUGH = 2  # readings on each side of an edge
LEVEL_SHARE = 0.3  # of the amplitude: below it two plateaus are one


class ProofOutcome(StrEnum):
    """What a proof says."""

    ACCEPTED = "ACCEPTED"  # this meter sees the cable
    REJECTED = "REJECTED"  # it does not, or only a part
    INCONCLUSIVE = "INCONCLUSIVE"  # too little was seen: repeat later


class FastReading(NamedTuple):
    """One value of the meter's power.

    Args:
        start_s: Earliest instant it may tell of: when the request was sent less the meter's lag, or
            the start of the minute it is the mean of.
        end_s: Latest instant it may tell of.
        power_w: + import; None when the reading failed.
    """

    start_s: float
    end_s: float
    power_w: float | None


class CableSample(NamedTuple):
    """Power through the cable from an instant on, W, + charge."""

    at_s: float
    power_w: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ActiveProof:
    """What a pattern and its readings say.

    Args:
        outcome: The answer.
        nats: Log-likelihood ratio for "this meter sees the cable" against the best other reading.
        gain: Median of seen step over cable's step; None before the first edge.
        edges: Edges scored.
        end_s: When the answer was known.
    """

    outcome: ProofOutcome
    nats: float
    gain: float | None
    edges: int
    end_s: float


class _Edge(NamedTuple):
    """Steps of the cable and of the meter, and when both were known."""

    cable_w: float
    meter_w: float
    end_s: float


class _House(NamedTuple):
    """How a house steps by itself: the usual scatter, and steps seen while power was steady."""

    usual_w: float
    steps_w: Sequence[float]


class _Level(NamedTuple):
    """A stretch of steady cable power and the clean readings within it."""

    power_w: float
    values_w: list[float]
    end_s: list[float]


def judge(
    *,
    before: Sequence[FastReading],
    cable: Sequence[CableSample],
    readings: Iterable[FastReading],
    amplitude_w: float,
    resolution_w: float = 1.0,
) -> ActiveProof:
    """Score what was read so far; call it again with more readings until it is decided.

    Args:
        before: Readings before the pattern, which tell how restless the house is.
        cable: What the cable's own meter measured while the pattern ran, in order of time.
        readings: The meter's readings since the pattern began, in order of time.
        amplitude_w: Difference of the pattern's two powers, W, > 0.
        resolution_w: Step of a reading, W.

    Returns:
        The first decision that the readings, taken in order, lead to; else INCONCLUSIVE.
    """
    levels = _levels(cable, readings, amplitude_w)
    quiet_w = _steps([r.power_w for r in before if r.power_w is not None])
    nats, end_s, gains = [0.0] * len(PARTS), 0.0, list[float]()
    outcome = ProofOutcome.INCONCLUSIVE
    for number, (left, right) in enumerate(pairwise(levels), 2):
        if number == len(levels) and len(right.values_w) < ENOUGH:
            break  # its next reading would still change what was seen
        quiet_w += _steps(left.values_w)
        edge = _edge_between(left, right)
        house = _house(quiet_w, amplitude_w, resolution_w)
        nats = [n + _edge_nats(edge, house, part) for n, part in zip(nats, PARTS, strict=True)]
        gains.append(edge.meter_w / edge.cable_w)
        end_s, outcome = edge.end_s, _decided(min(nats))
        if outcome is not ProofOutcome.INCONCLUSIVE:
            break
    gain = median(gains) if gains else None
    return ActiveProof(outcome=outcome, nats=min(nats), gain=gain, edges=len(gains), end_s=end_s)


def _steps(values_w: Sequence[float]) -> list[float]:
    """Steps of the house under steady power, taken just as an edge's step is taken."""
    if len(values_w) < 2 * ENOUGH:
        return [after - before for before, after in pairwise(values_w)]
    levels = [median(values_w[k : k + ENOUGH]) for k in range(len(values_w) - ENOUGH + 1)]
    return [after - before for before, after in zip(levels, levels[ENOUGH:], strict=False)]


def _house(steps_w: Sequence[float], amplitude_w: float, resolution_w: float) -> _House:
    usual_w = NOISE_FACTOR * median(map(abs, steps_w or (0.0,))) + GAIN_NOISE * amplitude_w
    return _House(max(MIN_NOISE_W, usual_w, resolution_w / 2), steps_w[-MOST_STEPS:])


def _edge_between(left: _Level, right: _Level) -> _Edge:
    meter_w = median(right.values_w[:ENOUGH]) - median(left.values_w[-ENOUGH:])
    return _Edge(right.power_w - left.power_w, meter_w, right.end_s[:ENOUGH][-1])


def _levels(
    cable: Sequence[CableSample], readings: Iterable[FastReading], amplitude_w: float
) -> list[_Level]:
    levels: list[_Level] = []
    starts = [sample.at_s for sample in cable]
    for start_s, end_s, value_w in readings:
        power_w = _steady_w(cable, starts, start_s, end_s, amplitude_w)
        if value_w is None or power_w is None:
            continue
        if not levels or abs(levels[-1].power_w - power_w) >= LEVEL_SHARE * amplitude_w:
            levels.append(_Level(power_w, [], []))
        levels[-1].values_w.append(value_w)
        levels[-1].end_s.append(end_s)
    return levels


def _steady_w(
    cable: Sequence[CableSample],
    starts: Sequence[float],
    start_s: float,
    end_s: float,
    amplitude_w: float,
) -> float | None:
    """The cable's power while a reading may have been taken; None when it changed meanwhile."""
    first = max(0, bisect_right(starts, start_s) - 1)
    last = bisect_right(starts, end_s)
    powers = [sample.power_w for sample in cable[first:last]]
    if not powers or max(powers) - min(powers) > STEADY_SHARE * amplitude_w + STEADY_W:
        return None
    return sum(powers) / len(powers)


def _edge_nats(edge: _Edge, house: _House, part: float) -> float:
    follows = _density(edge.meter_w - edge.cable_w, house)
    ratio = follows / _density(edge.meter_w - part * edge.cable_w, house)
    return max(-CAP_NATS, min(CAP_NATS, log(ratio)))


def _density(step_w: float, house: _House) -> float:
    """Density (1/W) of a step by the house itself: as it was seen to step, and a broad prior."""
    usual_w = house.usual_w
    narrow = exp(-abs(step_w) / usual_w) / (2 * usual_w)
    broad = exp(-abs(step_w) / BROAD_W) / (2 * BROAD_W)
    prior = (1 - BROAD_SHARE) * narrow + BROAD_SHARE * broad
    like = sum(
        exp(-abs(step_w - w) / usual_w) + exp(-abs(step_w + w) / usual_w) for w in house.steps_w
    )
    return (PRIOR_STEPS * prior + like / (4 * usual_w)) / (PRIOR_STEPS + len(house.steps_w))


def _decided(nats: float) -> ProofOutcome:
    if nats >= ACCEPT_NATS:
        return ProofOutcome.ACCEPTED
    return ProofOutcome.REJECTED if nats <= REJECT_NATS else ProofOutcome.INCONCLUSIVE
