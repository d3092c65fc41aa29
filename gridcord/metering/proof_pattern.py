"""The pattern of an active proof: power that goes on and off at times nobody can foresee.

The manager draws a secret seed, the cable carries the pattern out, the meter's fast readings must
show it. The times come from SHA-256 in counter mode, so that whoever sees the first plateaus cannot
work out the rest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

MIN_PLATEAU_S = 12.0
READINGS_PER_PLATEAU = 2.4  # at least, so that one or two are clear of both edges
LAG_S = 4.0  # how far a reading may lag behind the power it tells of
MIN_SEED_BYTES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofLimits:
    """What driver, vehicle and outlet allow, and how fast the meter is read.

    Args:
        rest_w: Power between the pulses, W, + charge, - discharge; 0 when nothing flows.
        pulse_w: Power of the pulses; what the driver's setpoint and the outlet allow.
        reading_s: Usual seconds from one meter reading to the next.
        max_edges: No more switching than this.
        max_energy_wh: No more energy through the pulses than this.
        max_power_w: Neither power is larger than this.

    Raises:
        ValueError: A power beyond the bound, no difference between the two, or no positive bound.
    """

    rest_w: int = 0
    pulse_w: int = -1500
    reading_s: float = 6.0
    max_edges: int = 24
    max_energy_wh: float = 400.0
    max_power_w: int = 3000

    def __post_init__(self) -> None:
        if max(abs(self.rest_w), abs(self.pulse_w)) > self.max_power_w:
            message = (
                f"a pattern of {self.rest_w} and {self.pulse_w} W exceeds {self.max_power_w} W"
            )
            raise ValueError(message)
        if (
            self.rest_w == self.pulse_w
            or min(self.reading_s, self.max_edges, self.max_energy_wh) <= 0
        ):
            message = "a pattern needs two powers, readings, edges and energy"
            raise ValueError(message)

    @property
    def amplitude_w(self) -> int:
        """Difference of the two powers, W, > 0."""
        return abs(self.pulse_w - self.rest_w)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plateau:
    """Constant power for a while.

    Args:
        start_s: Seconds since the pattern began.
        end_s: First second after it.
        power_w: Setpoint, W, + charge.
    """

    start_s: float
    end_s: float
    power_w: int


def proof_pattern(*, seed: bytes, limits: ProofLimits) -> tuple[Plateau, ...]:
    """Alternating plateaus, rest first, within all limits.

    Args:
        seed: A secret of at least 16 random bytes; the same seed gives the same pattern.
        limits: What is allowed.

    Raises:
        ValueError: The seed is too short to be a secret.
    """
    if len(seed) < MIN_SEED_BYTES:
        message = f"a secret seed has at least {MIN_SEED_BYTES} bytes, not {len(seed)}"
        raise ValueError(message)
    shortest_s = max(MIN_PLATEAU_S, READINGS_PER_PLATEAU * limits.reading_s + LAG_S)
    plateaus: list[Plateau] = []
    at_s, budget_wh = 0.0, limits.max_energy_wh
    for number, share in zip(range(limits.max_edges + 1), _uniform(seed), strict=False):
        length_s = round(shortest_s * (1.0 + share), 1)
        power_w = limits.pulse_w if number % 2 else limits.rest_w
        budget_wh -= limits.amplitude_w * length_s / 3600 if number % 2 else 0.0
        if budget_wh < 0:
            break
        end_s = round(at_s + length_s, 1)
        plateaus.append(Plateau(start_s=at_s, end_s=end_s, power_w=power_w))
        at_s = end_s
    return tuple(plateaus)


def _uniform(seed: bytes) -> Iterator[float]:
    """Numbers in [0, 1) that nobody without the seed can foresee."""
    counter = 0
    while True:
        block = hashlib.sha256(seed + counter.to_bytes(8, "big")).digest()
        yield int.from_bytes(block[:7], "big") / 2.0**56
        counter += 1
