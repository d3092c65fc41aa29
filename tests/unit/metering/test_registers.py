"""Registers to period energy: conservation, boundaries, and declared breaks."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridcord.metering.reading import ReadingQuality, ReadingSource, Registers
from gridcord.metering.registers import (
    Accumulator,
    PeriodEnergy,
    RegisterBreak,
    RegisterLimits,
    close,
    feed,
    interpolate,
    period_energies,
)
from gridcord.units import SiteId

LENGTH_S = 1800
T0 = 1_700_000_000 // LENGTH_S * LENGTH_S


def sample(at_s: float, import_wh: int, export_wh: int | None = 0) -> Registers:
    return Registers(at_s=at_s, import_wh=import_wh, export_wh=export_wh)


@st.composite
def runs(draw: st.DrawFn) -> list[Registers]:
    """Samples of an honest meter: any spacing, any believable power, either direction."""
    at_s = T0 + draw(st.floats(0, LENGTH_S, allow_nan=False))
    imported = draw(st.integers(0, 10**9))
    exported = draw(st.integers(0, 10**9))
    out = [sample(at_s, imported, exported)]
    for gap_s in draw(st.lists(st.floats(0.5, 5000), min_size=1, max_size=40)):
        at_s += gap_s
        imported += int(draw(st.integers(0, 9000)) * gap_s / 3600)
        exported += int(draw(st.integers(0, 3000)) * gap_s / 3600)
        out.append(sample(at_s, imported, exported))
    return out


@given(runs())
def test_nothing_is_lost_and_nothing_is_made(samples: list[Registers]) -> None:
    parts = period_energies(samples=samples, length_s=LENGTH_S)
    assert sum(p.import_wh for p in parts) == samples[-1].import_wh - samples[0].import_wh
    first, last = samples[0].export_wh, samples[-1].export_wh
    assert first is not None
    assert last is not None
    assert sum(p.export_wh or 0 for p in parts) == last - first


@given(runs())
def test_each_end_is_the_next_start(samples: list[Registers]) -> None:
    parts = period_energies(samples=samples, length_s=LENGTH_S)
    assert all(before.end == after.start for before, after in pairwise(parts))
    assert all(p.broken_by is None for p in parts)
    assert all(p.import_wh >= 0 and (p.export_wh or 0) >= 0 for p in parts)


@given(runs())
def test_parts_lie_in_their_periods_without_hole_or_overlap(samples: list[Registers]) -> None:
    parts = period_energies(samples=samples, length_s=LENGTH_S)
    assert parts[0].start.at_s == samples[0].at_s
    assert parts[-1].end.at_s == samples[-1].at_s
    for part in parts:
        assert part.period.start_s <= part.start.at_s < part.end.at_s <= part.period.end_s
        assert -1e-6 <= part.missing_s <= LENGTH_S + 1e-6
    assert all(p.end.at_s == p.period.end_s for p in parts[:-1])


@given(runs(), st.data())
def test_where_samples_are_cut_does_not_matter(
    samples: list[Registers], data: st.DataObject
) -> None:
    """State survives being stored between any two samples: it is a plain value."""
    cut = data.draw(st.integers(0, len(samples)))
    accumulator = Accumulator(length_s=LENGTH_S)
    parts: list[PeriodEnergy] = []
    for chunk in (samples[:cut], samples[cut:]):
        for one in chunk:
            accumulator, finished = feed(accumulator=accumulator, sample=one)
            parts += finished
    last = close(accumulator=accumulator)[1]
    assert [*parts, *([] if last is None else [last])] == period_energies(
        samples=samples, length_s=LENGTH_S
    )


@given(st.integers(-3000, 3000), st.floats(0.2, 2.0), st.floats(0.0, 1.0), st.integers(1000, 10**8))
def test_a_boundary_is_as_close_as_power_times_spacing(
    power_w: int, spacing_s: float, phase: float, offset_wh: int
) -> None:
    """At 3 kW and one second between samples the boundary is known to 0.8 Wh and its truncation."""
    times = [T0 - 50 + (k + phase) * spacing_s for k in range(int(100 / spacing_s))]
    rising = [offset_wh + int(abs(power_w) * (t - T0 + 60) / 3600) for t in times]
    samples = [sample(t, r) for t, r in zip(times, rising, strict=True)]
    before, after = period_energies(samples=samples, length_s=LENGTH_S)
    truth = offset_wh + abs(power_w) * 60 / 3600
    bound = abs(power_w) * spacing_s / 3600 + 1
    assert abs(before.end.import_wh - truth) <= bound
    assert after.start == before.end


@given(
    st.integers(0, 10**6), st.integers(0, 10**5), st.lists(st.floats(0, 1), min_size=2, max_size=6)
)
def test_interpolation_is_monotonic_and_between(start: int, rise: int, shares: list[float]) -> None:
    before, after = sample(0.0, start, None), sample(1000.0, start + rise, None)
    values = [interpolate(before=before, after=after, at_s=1000.0 * s)[0] for s in sorted(shares)]
    assert values == sorted(values)
    assert start <= values[0]
    assert values[-1] <= start + rise


def test_samples_on_the_boundary_are_taken_as_they_are() -> None:
    samples = [sample(T0 + k * LENGTH_S, 100 * k) for k in range(4)]
    parts = period_energies(
        samples=samples, length_s=LENGTH_S, limits=RegisterLimits(max_gap_s=LENGTH_S)
    )
    assert [p.import_wh for p in parts] == [100, 100, 100]
    assert {p.quality for p in parts} == {ReadingQuality.COMPLETE}
    assert [p.missing_s for p in parts] == [0, 0, 0]


def test_plugged_in_late_is_partial_and_says_how_much_is_missing() -> None:
    samples = [sample(T0 + 600 + k, 5000 + k) for k in range(1400)]
    first, rest = period_energies(samples=samples, length_s=LENGTH_S)
    assert (first.quality, first.missing_s) == (ReadingQuality.PARTIAL, 600)
    assert (rest.quality, rest.missing_s) == (ReadingQuality.PARTIAL, LENGTH_S - 199)


def test_a_gap_across_a_boundary_estimates_both_neighbours() -> None:
    dense = [*range(1000), *range(2600, 5400)]
    samples = [sample(T0 + s, s // 4) for s in dense] + [sample(T0 + 5400, 1350)]
    parts = period_energies(samples=samples, length_s=LENGTH_S)
    assert [p.quality for p in parts] == [
        ReadingQuality.ESTIMATED, ReadingQuality.ESTIMATED, ReadingQuality.COMPLETE,
    ]  # fmt: skip
    assert [p.missing_s for p in parts] == [801, 800, 0]
    assert sum(p.import_wh for p in parts) == 1350


def test_a_gap_inside_a_period_costs_no_energy() -> None:
    samples = [sample(T0 + s, s) for s in (*range(500), *range(700, 1801))]
    (only,) = period_energies(samples=samples, length_s=LENGTH_S)
    assert only.quality is ReadingQuality.COMPLETE
    assert (only.import_wh, only.missing_s) == (1800, 201)


@pytest.mark.parametrize(
    ("after", "meter_id", "expected"),
    [
        (sample(T0 + 11, 1001), "b", RegisterBreak.METER_SWAP),
        (sample(T0 + 11, 1001, None), "a", RegisterBreak.METER_SWAP),
        (sample(T0 + 11, 999), "a", RegisterBreak.BACKWARDS),
        (sample(T0 + 11, 1000, 4), "a", RegisterBreak.BACKWARDS),
        (sample(T0 + 11, 9000, 5), "a", RegisterBreak.JUMP),
        (sample(T0 + 9, 1002, 5), "a", RegisterBreak.CLOCK_BACK),
        (sample(T0 + 30 * 86_400, 1002, 5), "a", RegisterBreak.SILENCE),
    ],
)
def test_a_broken_chain_is_declared_never_bridged(
    after: Registers, meter_id: str, expected: RegisterBreak
) -> None:
    accumulator = Accumulator(length_s=LENGTH_S)
    for one in (sample(T0, 940, 5), sample(T0 + 10, 1000, 5)):
        accumulator, _ = feed(accumulator=accumulator, sample=one, meter_id="a")
    accumulator, (part,) = feed(accumulator=accumulator, sample=after, meter_id=meter_id)
    assert (part.import_wh, part.end.at_s, part.broken_by) == (60, T0 + 10, None)
    later = Registers(at_s=after.at_s + 5, import_wh=after.import_wh + 7, export_wh=after.export_wh)
    accumulator, _ = feed(accumulator=accumulator, sample=later, meter_id=meter_id)
    accumulator, last = close(accumulator=accumulator)
    assert last is not None
    assert (last.import_wh, last.broken_by) == (7, expected)
    assert close(accumulator=accumulator)[1] is None


def test_the_same_sample_twice_counts_once() -> None:
    samples = [sample(T0, 0), sample(T0 + 5, 3), sample(T0 + 5, 3), sample(T0 + 9, 4)]
    (part,) = period_energies(samples=samples, length_s=LENGTH_S)
    assert (part.import_wh, part.broken_by) == (4, None)


def test_both_directions_are_kept_and_the_net_is_the_transfer() -> None:
    samples = [sample(T0, 10, 20), sample(T0 + 9, 14, 21)]
    (part,) = period_energies(samples=samples, length_s=LENGTH_S)
    assert (part.import_wh, part.export_wh, part.net_wh) == (4, 1, 3)
    reading = part.reading(site_id=SiteId("obis:1"), source=ReadingSource.SMART_METER)
    assert (reading.import_wh, reading.export_wh) == (4, 1)
    assert reading.quality is ReadingQuality.PARTIAL


def test_a_meter_without_export_register_gives_none() -> None:
    (part,) = period_energies(samples=[sample(T0, 1, None), sample(T0 + 9, 4, None)], length_s=900)
    assert (part.import_wh, part.export_wh, part.net_wh) == (3, None, 3)
