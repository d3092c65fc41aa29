"""Big files stream: four times the file costs the same memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.utility_files import measure_alone
from tests.unit.utility_adapter.meter_data import BUILDERS, Builder, Sample

SMALL, BIG = Sample(sites=25, days=8), Sample(sites=100, days=8)
ALLOWED_MIB = 12  # buffers, and what is kept of every site


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("build", BUILDERS, ids=lambda build: build.name)
def test_memory_does_not_grow_with_the_file(build: Builder, tmp_path: Path) -> None:
    small = measure_alone(build.name, build.write(tmp_path, SMALL))
    big = measure_alone(build.name, build.write(tmp_path, BIG))
    assert big.facts == 4 * small.facts == 100 * 8 * 48 * len(build.registers)
    assert big.peak_mib - small.peak_mib < ALLOWED_MIB, (small, big)
