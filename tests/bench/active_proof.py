"""How often a proof accepts the right meter and a wrong one: `python -m tests.bench.active_proof`.

A proof is repeated as the manager repeats it: until it accepts, until two rejections convict, at
most four times. Route B answers a request in 1.5 to 4.5 s, some requests time out, and the house
goes on living; each site is a home of its own (seeds from 1,000,000 on, on which no constant was
chosen) that tries at different hours of different days.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from types import MappingProxyType

from gridcord.metering.active_proof import ActiveProof, ProofOutcome
from gridcord.metering.proof_pattern import ProofLimits
from tests.bench.meter_reads import Read, attempt, route_b

FIRST_HOME = 1_000_000
ATTEMPTS = 4  # of one home; `attempt` takes seeds 4 n to 4 n + 3 for home n
CONVICTING = 2  # rejections

CASES: Mapping[str, tuple[Read, ProofLimits]] = MappingProxyType(
    {
        "1.5 kW, 3 % of requests lost": (route_b(), ProofLimits(reading_s=4.5)),
        "1.5 kW, 20 % lost": (route_b(0.2), ProofLimits(reading_s=5.0)),
        "0.6 kW, 3 % lost": (route_b(), ProofLimits(reading_s=4.5, pulse_w=-600)),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """The proofs of one site, in order, until one accepts or two reject."""

    proofs: tuple[ActiveProof, ...]

    @property
    def accepted(self) -> bool:
        """The last one accepted."""
        return self.proofs[-1].outcome is ProofOutcome.ACCEPTED

    @property
    def convicted(self) -> bool:
        """Two rejected."""
        return _rejections(self.proofs) >= CONVICTING

    @property
    def seconds(self) -> float:
        """How long patterns ran in all."""
        return sum(proof.end_s for proof in self.proofs)


def series(*, home: int, read: Read, limits: ProofLimits, gain: float) -> Series:
    """Prove one site as the manager does."""
    proofs: list[ActiveProof] = []
    for number in range(ATTEMPTS):
        seed = ATTEMPTS * home + number
        proofs.append(attempt(seed=seed, read=read, limits=limits, gain=gain))
        if proofs[-1].outcome is ProofOutcome.ACCEPTED or _rejections(proofs) >= CONVICTING:
            break
    return Series(proofs=tuple(proofs))


def _rejections(proofs: Sequence[ActiveProof]) -> int:
    return sum(proof.outcome is ProofOutcome.REJECTED for proof in proofs)


def at_most(events: int, trials: int) -> float:
    """Upper end of a rate at 95 % confidence: exact for none, else Wilson's score."""
    if events == 0:
        return 3.0 / trials
    z, p = 1.645, events / trials
    middle = p + z * z / (2 * trials)
    half = z * sqrt(p * (1 - p) / trials + z * z / (4 * trials * trials))
    return (middle + half) / (1 + z * z / trials)


def row(name: str, meter: str, gain: float, sites: int) -> str:
    """One line of the table."""
    read, limits = CASES[name]
    found = [series(home=FIRST_HOME + n, read=read, limits=limits, gain=gain) for n in range(sites)]
    accepted, convicted = sum(s.accepted for s in found), sum(s.convicted for s in found)
    failed = sites - accepted if gain == 1.0 else accepted
    seconds = sorted(s.seconds for s in found)
    p50, p99 = seconds[sites // 2], seconds[sites * 99 // 100]
    first = sum(s.proofs[0].outcome is ProofOutcome.ACCEPTED for s in found)
    watt_hours = p50 / 2 * limits.amplitude_w / 3600
    return (
        f"| {name} | {meter} | {sites} | {accepted} ({accepted / sites:.4%}) | {first / sites:.2%}"
        f" | {convicted} ({convicted / sites:.4%}) | {at_most(failed, sites):.1e}"
        f" | {p50:.0f}, {p99:.0f} | {watt_hours:.0f} |"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sites", type=int, default=300, help="right meters a row")
    parser.add_argument("--wrong", type=int, default=600, help="wrong meters a row")
    parser.add_argument("--cases", default="", help="separated by semicolons; all if empty")
    arguments = parser.parse_args()
    print("| readings | meter | sites | accepted | at the first try | convicted"
          " | errors at most (95 %) | seconds (p50, p99) | Wh (p50) |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|---|")
    for name in CASES:
        if arguments.cases and name not in arguments.cases.split(";"):
            continue
        print(row(name, "right", 1.0, arguments.sites), flush=True)
        print(row(name, "half of it", 0.5, arguments.sites), flush=True)
        print(row(name, "wrong", 0.0, arguments.wrong), flush=True)


if __name__ == "__main__":
    main()
