"""How long allocating 100,000 resources takes, as a ratio to one numpy sort of the same length.

    python -m tests.bench.allocation [--resources N] [--rounds N]

Every round measures the sort, the floor and ours one after the other; the figures are medians of
the rounds' ratios, because the machine's speed drifts. The floor is the least code that does the
work: limits from energy and power, and one water-filling by sorting breakpoints, in floats,
without weights that hold, reasons, assets or whole watts. Exit code 1 when a target is missed.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from manager.domain.dispatch.allocation import AssetLimits, Ranking, allocate
from manager.domain.dispatch.bounds import Bounds, hard_bounds
from manager.domain.dispatch.fleet_state import BIDIRECTIONAL, FleetState, Floats
from manager.domain.dispatch.waterfill import Ints

MOST_SORTS = 10.0
MOST_FLOORS = 3.0
HORIZON_S = 1800.0
SHARE = 0.6


@dataclass(frozen=True, slots=True, kw_only=True)
class Town:
    """A fleet, and what is asked of it."""

    fleet: FleetState
    ranking: Ranking
    assets: AssetLimits
    target_w: int
    noise: Floats

    def bounds(self) -> Bounds:
        return hard_bounds(fleet=self.fleet, now_s=0.0, horizon_s=HORIZON_S, margin_s=600.0)


def town(*, resources: int, transformers: int, seed: int = 1) -> Town:
    """A fleet at night; one in ten transformers is too small for its cars."""
    random = np.random.default_rng(seed)
    capacity = random.choice([40_000, 60_000, 77_000], resources)

    def whole(value: int) -> Ints:
        return np.full(resources, value, np.int64)

    fleet = FleetState(
        number=np.arange(resources),
        present=random.random(resources) > 0.02,
        permission=np.full(resources, BIDIRECTIONAL, np.uint8),
        permitted_wh=capacity,
        car_charge_w=random.choice([3000, 6000, 7400], resources),
        car_discharge_w=random.choice([3000, 6000], resources),
        cable_w=whole(3600),
        outlet_w=random.choice([1500, 3000], resources),
        energy_wh=(capacity * random.uniform(0.1, 0.95, resources)).astype(np.int64),
        reserve_wh=capacity // 5,
        target_wh=capacity * 8 // 10,
        ceiling_wh=capacity,
        departure_s=random.uniform(3600, 50_000, resources),
        charge_permille=whole(920),
        discharge_permille=whole(920),
        power_w=whole(0),
    )
    ranking = Ranking(
        number=np.arange(resources),
        merit=random.integers(0, 8, resources),
        weight=random.integers(50, 200, resources),
        asset=random.integers(0, max(1, transformers), resources) - (transformers == 0),
    )
    limit = np.where(random.random(transformers) < 0.1, 20_000, 200_000)
    made = Town(
        fleet=fleet,
        ranking=ranking,
        assets=AssetLimits(import_w=limit, export_w=limit),
        target_w=0,
        noise=random.random(resources),
    )
    most_w = int(made.bounds().high_w.sum())
    return Town(
        fleet=fleet,
        ranking=ranking,
        assets=made.assets,
        target_w=round(most_w * SHARE),
        noise=made.noise,
    )


def _floor(fleet: FleetState, target_w: float) -> Floats:
    """Limits and exact water-filling in floats, in as little code as possible."""
    hours = HORIZON_S / 3600
    power = np.minimum(fleet.car_charge_w, fleet.outlet_w) * 1.0
    room = np.minimum(power, np.maximum(0.0, (fleet.ceiling_wh - fleet.energy_wh) / hours))
    order = np.argsort(room)
    sorted_room = room[order]
    before = np.concatenate(([0.0], np.cumsum(sorted_room)[:-1]))
    left = np.arange(len(room), 0, -1)
    last = int(np.argmax(sorted_room * left + before >= target_w))
    level: Floats = np.minimum(room, (target_w - before[last]) / left[last])
    return level


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def measure(*, resources: int, rounds: int) -> dict[str, float]:
    """Median times, ms, and ratios."""
    plain, assets = (
        town(resources=resources, transformers=0),
        town(resources=resources, transformers=resources // 20),
    )
    bounds, asset_bounds = plain.bounds(), assets.bounds()
    work: dict[str, Callable[[], object]] = {
        "sort": lambda: np.sort(plain.noise),
        "floor": lambda: _floor(plain.fleet, plain.target_w),
        "bounds": plain.bounds,
        "allocate": lambda: _allocate(plain, bounds),
        "allocate_assets": lambda: _allocate(assets, asset_bounds),
        "tick": lambda: _allocate(plain, plain.bounds()),
    }
    times: dict[str, list[float]] = {name: [] for name in work}
    for number in range(rounds + 1):
        for name, each in work.items():
            seconds = _seconds(each)
            if number:  # the first round warms up
                times[name].append(seconds)
    figures = {f"{name}_ms": statistics.median(each) * 1e3 for name, each in times.items()}
    for name in ("allocate", "allocate_assets", "tick"):
        for unit in ("sort", "floor"):
            ratios = [a / b for a, b in zip(times[name], times[unit], strict=True)]
            figures[f"{name}_per_{unit}"] = statistics.median(ratios)
    return {name: round(value, 3) for name, value in figures.items()}


def _allocate(case: Town, bounds: Bounds) -> Ints:
    result = allocate(
        target_w=case.target_w, bounds=bounds, ranking=case.ranking, assets=case.assets
    )
    if int(result.setpoint_w.sum()) + result.unserved_w != case.target_w:
        message = "setpoints and unserved power do not add up to the target"
        raise AssertionError(message)
    return result.setpoint_w


def main() -> int:
    """Measure and compare with the targets."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--resources", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    figures = measure(resources=arguments.resources, rounds=arguments.rounds)
    kept = (
        figures["allocate_per_sort"] <= MOST_SORTS and figures["allocate_per_floor"] <= MOST_FLOORS
    )
    sys.stdout.write(json.dumps({**figures, "kept": kept}, indent=2) + "\n")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
