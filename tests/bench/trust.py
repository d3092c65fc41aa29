"""How often honest sites are hurt and dishonest ones found: `python -m tests.bench.trust`.

Prints the operating table over simulated homes that no constant of the matcher was chosen on (their
seeds begin at 1,000,000), over real ones where the reference data is present, a table of active
proofs, and the cost of a period as a ratio to parsing one TransferRecord.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

import numpy as np

from gridcord.api.manager.v1 import journal_pb2
from gridcord.metering.active_proof import ProofOutcome
from gridcord.metering.matcher import learn, observe, open_matcher
from gridcord.metering.matching import Finding, HemsCoverage, MatchPolicy
from gridcord.metering.proof_pattern import ProofLimits
from tests.bench.meter_reads import Read, attempt, minutes, p1, route_b
from tests.bench.site_lanes import (
    ADVERSARIES,
    JUDGED_DAYS,
    SLOTS,
    Lane,
    Series,
    Setting,
    lane,
    simulated_house,
)

FIRST_SEED = 1_000_000
POLICY = MatchPolicy()
COMMON = ("honest", "full theft", "half theft", "quarter theft", "wrong meter")
SETTINGS: Mapping[str, tuple[Setting, Sequence[str]]] = MappingProxyType(
    {
        "meter only, 1 Wh": (
            Setting(),
            [
                name
                for name in ADVERSARIES
                if name not in ("forged HEMS, full theft", "host cooks all of it")
            ],
        ),
        "100 Wh register": (Setting(step_wh=100), COMMON),
        "1 kWh register": (Setting(step_wh=1000), ("honest", "full theft", "wrong meter")),
        "import register only": (Setting(has_export=False), COMMON),
        "with PV": (Setting(pv=True), COMMON),
        "3 kW outlet": (Setting(outlet_w=3000), COMMON),
        "full HEMS": (
            Setting(hems=HemsCoverage.FULL),
            (*COMMON, "host cooks half of it", "host cooks all of it", "forged HEMS, full theft"),
        ),
        "partial HEMS": (Setting(hems=HemsCoverage.PARTIAL), COMMON),
        "3 days of history": (Setting(history_days=3), ("honest", "full theft", "wrong meter")),
        "no history": (Setting(history_days=0), ("honest", "full theft", "wrong meter")),
        "3 % of readings missing": (Setting(gaps=0.03), ("honest", "full theft")),
        "the same every evening": (Setting(every_evening=True), ("honest", "full theft")),
        "new evening load": (Setting(added_wh=250), ("honest",)),
    }
)
FOLDER = Path(
    os.environ.get("GRIDCORD_SHARED_DATA")
    or Path(__file__).resolve().parents[2] / ".." / "shared" / "data"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one lane.

    Args:
        findings: Everything that was said.
        slots: Periods with a discharge until the flag; None when never flagged.
        stolen_kwh: Stolen until the flag, or in all.
        confirmed: Sessions with at least two discharges, and how many of them were confirmed.
    """

    findings: frozenset[Finding]
    slots: int | None
    stolen_kwh: float
    confirmed: tuple[int, int]


def outcome_of(one: Lane) -> Outcome:
    """Run the matcher over a lane."""
    site, said = one.setting.site, list[Finding]()
    matcher = learn(
        matcher=open_matcher(site=site, policy=POLICY), history=one.history, policy=POLICY
    )
    for observation in one.judged:
        matcher, match = observe(matcher=matcher, observation=observation, policy=POLICY)
        said.append(match.finding)
    first = said.index(Finding.MISMATCH) if Finding.MISMATCH in said else None
    until = len(said) if first is None else first + 1
    discharges = [(o.transferred_wh or 0) < -20 for o in one.judged]
    return Outcome(
        findings=frozenset(said),
        slots=None if first is None else sum(discharges[:until]),
        stolen_kwh=float(one.stolen_wh[:until].sum()) / 1000,
        confirmed=_sessions(one, said, discharges),
    )


def _sessions(one: Lane, said: Sequence[Finding], discharges: Sequence[bool]) -> tuple[int, int]:
    """A session is confirmed when its last period says so."""
    periods: dict[int, list[int]] = {}
    for n, observation in enumerate(one.judged):
        if observation.session is not None:
            periods.setdefault(observation.session, []).append(n)
    tried = [slots for slots in periods.values() if sum(discharges[n] for n in slots) >= 2]
    return len(tried), sum(said[slots[-1]] is Finding.MATCH for slots in tried)


@lru_cache(maxsize=512)
def _simulated(seed: int) -> Series:
    return simulated_house(seed, 28 + JUDGED_DAYS)


def simulated_pairs(count: int) -> Iterable[tuple[int, Series, Series]]:
    """Homes and, for the wrong meter, another home each."""
    for n in range(count):
        yield n, _simulated(FIRST_SEED + n), _simulated(FIRST_SEED + (n + 1) % count)


def real_pairs(folder: Path) -> list[tuple[int, Series, Series]]:
    """Months of the real half-hourly homes of the reference data, each with another home's."""
    months = [m for home in _real_homes(folder) for m in _months(home)]
    return [(n, m, months[(n + len(months) // 2) % len(months)]) for n, m in enumerate(months)]


def _real_homes(folder: Path) -> list[Series]:
    from pyarrow import parquet

    homes = []
    for name, key, value in (
        ("lcl_4_households_kwh.parquet", "mac", "kwhh"),
        ("sgsc_10_customers_kwh.parquet", "customer_id", "general_supply_kwh"),
    ):
        table = parquet.read_table(folder / name).to_pydict()
        keys, values = np.array(table[key]), np.array(table[value], dtype=float)
        homes += [1000 * values[keys == k] for k in np.unique(keys)]
    return homes


def _months(home: Series) -> list[Series]:
    """Stretches of history and month without a hole, in the order of the data."""
    length = (28 + JUDGED_DAYS) * SLOTS
    parts = [home[k : k + length] for k in range(0, len(home) - length, length)]
    return [p for p in parts if np.isfinite(p).all()]


def table(pairs: Sequence[tuple[int, Series, Series]], settings: Iterable[str], title: str) -> None:
    """Print the operating table of some homes."""
    print(f"\n## {title}: {len(pairs)} site-months a row\n")
    print("| setting | site | flagged | suspect | fault | half hours to flag (p50, p90)"
          " | kWh lost (p50) | sessions confirmed |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|")
    for name in settings:
        setting, adversaries = SETTINGS[name]
        for adversary in adversaries:
            outcomes = [
                outcome_of(
                    lane(
                        setting=setting,
                        adversary=ADVERSARIES[adversary],
                        house=house,
                        other=other,
                        seed=seed,
                    )
                )
                for seed, house, other in pairs
            ]
            print(f"| {name} | {adversary} | {_row(outcomes)} |", flush=True)


def _row(outcomes: Sequence[Outcome]) -> str:
    def share(finding: Finding) -> str:
        return f"{100 * statistics.fmean(finding in o.findings for o in outcomes):.1f} %"

    slots = sorted(o.slots for o in outcomes if o.slots is not None)
    delay = f"{slots[len(slots) // 2]}, {slots[len(slots) * 9 // 10]}" if slots else "-"
    sessions = sum(o.confirmed[0] for o in outcomes)
    confirmed = sum(o.confirmed[1] for o in outcomes)
    return " | ".join(
        (
            share(Finding.MISMATCH),
            share(Finding.SUSPECT),
            share(Finding.FAULT),
            delay,
            f"{statistics.median(o.stolen_kwh for o in outcomes):.1f}",
            f"{100 * confirmed / max(1, sessions):.1f} %",
        )
    )


PROOFS: Mapping[str, tuple[Read, ProofLimits, float]] = MappingProxyType(
    {
        "route B every 2-6 s, 1.5 kW": (route_b(), ProofLimits(reading_s=4.5), 1),
        "route B, 20 % lost, 1.5 kW": (route_b(0.2), ProofLimits(reading_s=5.0), 1),
        "route B, 0.6 kW": (route_b(), ProofLimits(reading_s=4.5, pulse_w=-600), 1),
        "P1 every second, 1.5 kW": (p1(), ProofLimits(reading_s=1.0), 1),
        "values of a minute, 1.5 kW": (
            minutes(),
            ProofLimits(reading_s=60, max_energy_wh=1500),
            60,
        ),
    }
)


def proofs(count: int) -> None:
    """Print the table of active proofs; a wrong meter is tried three times as often."""
    print(f"\n## Active proof: {count} right meters, {count} half circuits, {3 * count} wrong\n")
    print(
        "| readings | meter | accepted | rejected | inconclusive | seconds (p50, p99) | Wh (p50) |"
    )
    print("|---|---|---|---|---|---|---|")
    for name, (read, limits, resolution_w) in PROOFS.items():
        for meter, gain, tries in (("right", 1.0, 1), ("half", 0.5, 1), ("wrong", 0.0, 3)):
            answers = [
                attempt(
                    seed=FIRST_SEED + n,
                    read=read,
                    limits=limits,
                    gain=gain,
                    resolution_w=resolution_w,
                )
                for n in range(count * tries)
            ]
            counts = Counter(a.outcome for a in answers)
            ends = sorted(a.end_s for a in answers)
            p50, p99 = ends[len(ends) // 2], ends[len(ends) * 99 // 100]
            shares = " | ".join(
                f"{counts[o]} ({counts[o] / len(answers):.4%})" for o in ProofOutcome
            )
            energy_wh = p50 / 2 * limits.amplitude_w / 3600
            print(
                f"| {name} | {meter} | {shares} | {p50:.0f}, {p99:.0f} | {energy_wh:.0f} |",
                flush=True,
            )


def cost() -> None:
    """Print what a period costs, alone and against parsing one record."""
    print("\n## Cost of a period, best of ten runs\n")
    parse_s = _best(_parse_once)
    print(f"parsing one TransferRecord: {parse_s * 1e6:.2f} µs")
    for name in ("meter only, 1 Wh", "full HEMS"):
        one = lane(
            setting=SETTINGS[name][0],
            adversary=ADVERSARIES["honest"],
            house=_simulated(FIRST_SEED),
            other=_simulated(FIRST_SEED + 1),
            seed=1,
        )
        period_s = _best(lambda one=one: _match_month(one)) / len(one.judged)  # type: ignore[misc]
        print(f"{name}: {period_s * 1e6:.1f} µs a period = {period_s / parse_s:.1f} parses")


def _best(run: Callable[[], float]) -> float:
    return min(run() for _ in range(10))


def _match_month(one: Lane) -> float:
    matcher = learn(
        matcher=open_matcher(site=one.setting.site, policy=POLICY),
        history=one.history,
        policy=POLICY,
    )
    begin = time.process_time()
    for observation in one.judged:
        matcher, _ = observe(matcher=matcher, observation=observation, policy=POLICY)
    return time.process_time() - begin


def _parse_once() -> float:
    record = journal_pb2.TransferRecord(
        site_to_vehicle_start_wh=123_456, site_to_vehicle_end_wh=123_456,
        vehicle_to_site_start_wh=7_654_321, vehicle_to_site_end_wh=7_655_071,
        step_wh=1, site_id="jp.routeb:0123456789ABCDEF", vehicle_id="vehicle-1234",
        driver_id="driver-1234", boot_id="b0a4", end_monotonic_ns=123_456_789_012,
    )  # fmt: skip
    record.period.start_time.seconds = record.start_time.seconds = 1_735_689_600
    record.end_time.seconds = 1_735_691_400
    record.position.latitude_deg, record.position.longitude_deg = 35.68, 139.77
    data, begin = record.SerializeToString(), time.process_time()
    for _ in range(20_000):
        journal_pb2.TransferRecord.FromString(data)
    return (time.process_time() - begin) / 20_000


def main() -> None:
    """Print the tables that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--homes", type=int, default=100, help="site-months of simulated homes; 0: none"
    )
    parser.add_argument("--settings", default="", help="separated by semicolons; all if empty")
    parser.add_argument("--proofs", type=int, default=200, help="active proofs a row; 0: none")
    parser.add_argument("--no-real", action="store_true", help="leave the reference data out")
    arguments = parser.parse_args()
    names = [n for n in SETTINGS if not arguments.settings or n in arguments.settings.split(";")]
    cost()
    if arguments.homes:
        table(list(simulated_pairs(arguments.homes)), names, "Simulated homes")
    if not arguments.no_real and (FOLDER / "households").exists():
        table(real_pairs(FOLDER / "households"), names, "Real homes of the reference data")
    if arguments.proofs:
        proofs(arguments.proofs)


if __name__ == "__main__":
    main()
