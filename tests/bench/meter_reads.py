"""How fast meters are read: real protocol timing over a second-by-second power."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

from gridcord.metering.active_proof import (
    ActiveProof,
    CableSample,
    FastReading,
    judge,
)
from gridcord.metering.proof_pattern import Plateau, ProofLimits, proof_pattern
from gridcord.simulation.load_profile import DAY_S, second_profile

BEFORE_S = 90
Read = Callable[[Random, Sequence[float]], list[FastReading]]


def route_b(loss: float = 0.03) -> Read:
    """Japan's route B: requests one after the other, 1.5 to 4.5 s each, some time out after 5 s."""

    def read(r: Random, power_w: Sequence[float]) -> list[FastReading]:
        at, out = r.uniform(0, 3), list[FastReading]()
        while at + 6 < len(power_w):
            took = 5.0 if r.random() < loss else r.uniform(1.5, 4.5)
            sampled = max(0, int(at + took * r.uniform(0.3, 0.9)) - r.choice((0, 1)))
            value = None if took == 5.0 else power_w[sampled]
            out.append(FastReading(at - 1.5, at + took, value))
            at += took + r.uniform(0.3, 1.5)
        return out

    return read


def p1(loss: float = 0.0) -> Read:
    """DSMR 5: a telegram a second, the mean of the second before."""

    def read(r: Random, power_w: Sequence[float]) -> list[FastReading]:
        return [
            FastReading(t - 2.0, t + 0.3, None if r.random() < loss else power_w[t - 1])
            for t in range(2, len(power_w))
        ]

    return read


def minutes(loss: float = 0.0) -> Read:
    """Registers of each minute, 1 Wh: means with a step of 60 W."""

    def read(r: Random, power_w: Sequence[float]) -> list[FastReading]:
        phase, out, carry = r.randrange(60), list[FastReading](), r.random()
        for start in range(phase, len(power_w) - 60, 60):
            exact = sum(power_w[start : start + 60]) / 3600 + carry
            whole = int(exact // 1)
            carry = exact - whole
            value = None if r.random() < loss else whole * 60.0
            out.append(FastReading(float(start), float(start + 60), value))
        return out

    return read


def drawn(r: Random, pattern: Sequence[Plateau]) -> list[CableSample]:
    """What the cable measures of a pattern: ramps of a second or two, a little noise."""
    samples, level = [], float(pattern[0].power_w)
    for plateau in pattern:
        start, end = round(plateau.start_s), round(plateau.end_s)
        for at in range(start, end):
            level += (plateau.power_w - level) * r.uniform(0.6, 1.0)
            samples.append(CableSample(float(at), round(level + r.gauss(0, 3))))
    return samples


def attempt(
    *,
    seed: int,
    read: Read,
    limits: ProofLimits,
    gain: float,
    resolution_w: float = 1.0,
    hours: tuple[float, float] = (6.0, 23.5),
) -> ActiveProof:
    """One proof at a simulated home.

    Args:
        seed: Home, hour, timing and pattern.
        read: How the meter is read.
        limits: What is allowed.
        gain: Share of the cable's power that this meter sees: 1 the right one, 0 another.
        resolution_w: Step of a reading.
        hours: When proofs are tried, local time.
    """
    r = Random(f"proof {seed}")
    pattern = proof_pattern(seed=r.randbytes(32), limits=limits)
    cable = drawn(r, pattern)
    start_s = int(r.randrange(0, 60) * DAY_S + r.uniform(*hours) * 3600)
    house = second_profile(seed=seed // 4, start_s=start_s, seconds=BEFORE_S * 4 + len(cable))
    lead = len(house) - len(cable)
    loss = 1.0 + r.uniform(0.0, 0.04) * (-1 if limits.pulse_w < 0 else 1)
    seen = [h + (0.0 if t < lead else gain * loss * cable[t - lead].power_w)
            for t, h in enumerate(house)]  # fmt: skip
    readings = [FastReading(a - lead, b - lead, v) for a, b, v in read(r, seen)]
    return judge(
        before=[x for x in readings if x.end_s < 0],
        cable=cable,
        readings=[x for x in readings if x.start_s >= 0],
        amplitude_w=limits.amplitude_w,
        resolution_w=resolution_w,
    )
