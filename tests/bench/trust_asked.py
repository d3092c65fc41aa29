"""What asking for proofs is worth to honest sites: `python -m tests.bench.trust_asked`.

The manager's way where the meter gives fast readings and the driver permits transfer: it asks for a
proof when the site is suspected and when it is blocked, believes an accepted one for a while, and
asks a blocked site again at the next plug-in. The right meter is taken to be accepted (measured by
`tests.bench.active_proof`).
"""

from __future__ import annotations

import argparse
import statistics
from dataclasses import dataclass

from gridcord.metering.active_proof import ACCEPT_NATS
from gridcord.metering.matcher import Matcher, learn, observe, open_matcher
from gridcord.metering.matching import Finding
from gridcord.metering.site_matcher import SiteMatcher, with_proof
from manager.usecases.prove_sites import ProofPolicy
from tests.bench.site_lanes import ADVERSARIES, Lane, lane
from tests.bench.trust import FOLDER, POLICY, SETTINGS, outcome_of, real_pairs, simulated_pairs

PROVEN_WITHIN_S = 900
CASES = (
    ("meter only, 1 Wh", "honest"),
    ("import register only", "honest"),
    ("with PV", "honest"),
    ("the same every evening", "honest"),
    ("new evening load", "honest"),
    ("meter only, 1 Wh", "host cooks half of it"),
)


@dataclass(slots=True, kw_only=True)
class Asked:
    """What became of a month: proofs asked for, blocks, and seconds blocked."""

    proofs: int = 0
    blocks: int = 0
    blocked_s: int = 0


def asked(one: Lane) -> Asked:
    """Judge a lane as the manager does."""
    matcher: Matcher = learn(
        matcher=open_matcher(site=one.setting.site, policy=POLICY),
        history=one.history,
        policy=POLICY,
    )
    became, believed_until_s, blocked_since_s = Asked(), 0, None
    for observation in one.judged:
        matcher, match = observe(matcher=matcher, observation=observation, policy=POLICY)
        now_s, believed = observation.period.end_s, observation.period.start_s < believed_until_s
        if match.finding is Finding.MISMATCH and blocked_since_s is None and not believed:
            blocked_since_s = now_s
            became.blocks += 1
        doubted = blocked_since_s is not None or match.finding is Finding.SUSPECT
        if observation.session is None or not doubted or believed:
            continue
        assert isinstance(matcher, SiteMatcher)
        matcher = with_proof(matcher=matcher, accepted=True, nats=ACCEPT_NATS)
        became.proofs += 1
        believed_until_s = now_s + ProofPolicy().again_s
        if blocked_since_s is not None:
            became.blocked_s += now_s + PROVEN_WITHIN_S - blocked_since_s
            blocked_since_s = None
    if blocked_since_s is not None:
        became.blocked_s += one.judged[-1].period.end_s - blocked_since_s
    return became


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--homes", type=int, default=0, help="simulated homes; 0: the real ones")
    homes = parser.parse_args().homes
    pairs = list(simulated_pairs(homes)) if homes else real_pairs(FOLDER / "households")
    print("| setting | site | blocked without proofs | proofs a month | blocked with them"
          " | hours blocked (mean of those) |")  # fmt: skip
    print("|---|---|---|---|---|---|")
    for setting, adversary in CASES:
        lanes = [
            lane(
                setting=SETTINGS[setting][0],
                adversary=ADVERSARIES[adversary],
                house=house,
                other=other,
                seed=seed,
            )
            for seed, house, other in pairs
        ]
        alone = statistics.fmean(outcome_of(one).slots is not None for one in lanes)
        with_them = [asked(one) for one in lanes]
        hours = [each.blocked_s / 3600 for each in with_them if each.blocks]
        print(
            f"| {setting} | {adversary} | {alone:.1%}"
            f" | {statistics.fmean(each.proofs for each in with_them):.2f}"
            f" | {len(hours) / len(with_them):.1%}"
            f" | {f'{statistics.fmean(hours):.1f}' if hours else '-'} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
