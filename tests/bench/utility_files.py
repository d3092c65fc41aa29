"""How fast big meter data files stream, and in how much memory.

`python -m tests.bench.utility_files --sites 1000 --days 30 [--format nem12 ...] [--json OUT]`

Each format runs in a process of its own, so that the peak of its resident memory is its own. The
floor, `bytes_s`, is what reading the bytes of the file costs at all.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.unit.utility_adapter.meter_data import BUILDERS, OPTIONS, Sample
from utility_adapter.sources import read_file

MODULE = "tests.bench.utility_files"
KIB = 1024
BY_NAME = {build.name: build for build in BUILDERS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What reading one file took.

    Args:
        name: The format.
        file_mib: Its size.
        facts: Values it holds.
        bytes_s: Seconds to read its bytes only.
        validate_s: Seconds to read it to its end.
        yield_s: Seconds to hand its facts on.
        started_mib: Resident memory before.
        peak_mib: Peak of it.
    """

    name: str
    file_mib: float
    facts: int
    bytes_s: float
    validate_s: float
    yield_s: float
    started_mib: float
    peak_mib: float

    @property
    def facts_per_s(self) -> float:
        """Facts from file to consumer in a second."""
        return self.facts / (self.validate_s + self.yield_s)

    @property
    def growth_mib(self) -> float:
        """Memory that the file cost."""
        return self.peak_mib - self.started_mib


def peak_mib() -> float:
    """Peak of this process's resident memory."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / KIB


def measure(name: str, path: Path) -> Result:
    """Read a file in this process, and count."""
    started_mib = peak_mib()
    began = time.perf_counter()
    with path.open("rb") as stream:
        while stream.read(1 << 16):
            pass
    bytes_s = time.perf_counter() - began
    began = time.perf_counter()
    with read_file(path, OPTIONS) as delivery:
        validated = time.perf_counter()
        facts = sum(len(batch) for batch in delivery.batches())
    return Result(
        name=name,
        file_mib=path.stat().st_size / KIB / KIB,
        facts=facts,
        bytes_s=bytes_s,
        validate_s=validated - began,
        yield_s=time.perf_counter() - validated,
        started_mib=started_mib,
        peak_mib=peak_mib(),
    )


def measure_alone(name: str, path: Path) -> Result:
    """Read a file in a process of its own."""
    command = [sys.executable, "-m", MODULE, "--measure", name, str(path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return Result(**json.loads(done.stdout))


def bench(names: list[str], sample: Sample) -> list[Result]:
    """Make a file of each format, and read it."""
    results = []
    for name in names:
        with TemporaryDirectory() as folder:
            results.append(measure_alone(name, BY_NAME[name].write(Path(folder), sample)))
    return results


def report(results: list[Result]) -> str:
    """A table."""
    rows = [f"{'format':18} {'MiB':>7} {'facts':>9} {'facts/s':>9} {'s':>7} {'+MiB':>6}"]
    for r in results:
        seconds = r.validate_s + r.yield_s
        rows.append(
            f"{r.name:18} {r.file_mib:7.1f} {r.facts:9} {r.facts_per_s:9.0f} {seconds:7.1f}"
            f" {r.growth_mib:6.1f}"
        )
    return "\n".join(rows)


def main() -> None:
    """Run the bench."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sites", type=int, default=1000)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--format", nargs="*", choices=sorted(BY_NAME), default=sorted(BY_NAME))
    parser.add_argument("--json", type=Path)
    parser.add_argument("--measure", nargs=2, metavar=("FORMAT", "FILE"), help="for itself")
    asked = parser.parse_args()
    if asked.measure:
        print(json.dumps(asdict(measure(asked.measure[0], Path(asked.measure[1])))))
        return
    results = bench(asked.format, Sample(sites=asked.sites, days=asked.days))
    print(report(results))
    if asked.json:
        asked.json.write_text(json.dumps([asdict(result) for result in results], indent=1))


if __name__ == "__main__":
    main()
