"""What every format of meter data promises, one suite for all of them."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from gridcord.units import parse_site_id
from tests.unit.utility_adapter.meter_data import (
    BUILDERS,
    EXPORT,
    IMPORT,
    OPTIONS,
    RECEIVED_S,
    Builder,
    Sample,
    Values,
)
from utility_adapter.domain.readings import take_in
from utility_adapter.sources import Delivery, FileRefused, Limits, NoteKind, detect, read_file

SAMPLE = Sample()
formats = pytest.mark.parametrize("build", BUILDERS, ids=lambda build: build.name)


def values(delivery: Delivery) -> Values:
    return {(f.site_id, f.period.start_s, f.register): f.wh for f in delivery.facts()}


@formats
def test_is_recognised_by_its_beginning(build: Builder, tmp_path: Path) -> None:
    assert detect(build.write(tmp_path, SAMPLE)) is build.format


@formats
def test_every_value_is_read_once_and_exactly(build: Builder, tmp_path: Path) -> None:
    with read_file(build.write(tmp_path, SAMPLE), OPTIONS) as delivery:
        assert values(delivery) == build.expected(SAMPLE)
        assert delivery.summary.facts == len(build.expected(SAMPLE))
        assert delivery.summary.sites == SAMPLE.sites
        assert delivery.summary.notes == {}


@formats
def test_facts_carry_what_the_match_needs(build: Builder, tmp_path: Path) -> None:
    path = build.write(tmp_path, SAMPLE)
    with read_file(path, OPTIONS) as delivery:
        for fact in delivery.facts():
            assert fact.period.length_s == 1800
            assert fact.step_wh == build.step_wh
            assert (fact.received_at_s, fact.source) == (RECEIVED_S, path.name)


@formats
def test_batches_are_bounded_and_repeatable(build: Builder, tmp_path: Path) -> None:
    with read_file(build.write(tmp_path, SAMPLE), OPTIONS) as delivery:
        batches = list(delivery.batches(7))
        assert max(map(len, batches)) == 7
        assert [fact for batch in batches for fact in batch] == list(delivery.facts())


@formats
def test_the_same_file_again_adds_nothing(build: Builder, tmp_path: Path) -> None:
    path = build.write(tmp_path, SAMPLE)
    with read_file(path, OPTIONS) as first:
        known = list(first.facts())
    with read_file(path, replace(OPTIONS, received_at_s=RECEIVED_S + 60)) as second:
        intake = take_in(known=known, facts=second.facts())
    assert (intake.admitted, intake.conflicts) == ((), ())
    assert intake.duplicates == len(known) > 0


@formats
def test_half_hours_are_summed_into_longer_periods(build: Builder, tmp_path: Path) -> None:
    sample = replace(SAMPLE, sites=1, days=1)
    path = build.write(tmp_path, sample)
    with read_file(path, replace(OPTIONS, period_s=3600)) as delivery:
        hours = values(delivery)
        facts = list(delivery.facts())
    expected: Values = {}
    for (site, start_s, register), wh in build.expected(sample).items():
        key = (site, start_s - start_s % 3600, register)
        expected[key] = expected.get(key, 0) + wh
    assert hours == expected
    cumulative = build.name == "iec-registers"  # differences of one register: steps do not add up
    assert {f.step_wh for f in facts} == {build.step_wh * (1 if cumulative else 2)}


@pytest.mark.parametrize(
    "build", [b for b in BUILDERS if b.name != "iec-registers"], ids=lambda build: build.name
)
def test_longer_intervals_than_the_period_are_refused(build: Builder, tmp_path: Path) -> None:
    path = build.write(tmp_path, SAMPLE)
    with pytest.raises(FileRefused, match="longer than the period of 900 s") as refused:
        read_file(path, replace(OPTIONS, period_s=900))
    assert refused.value.line is not None


@formats
def test_a_file_that_was_cut_off_is_refused(build: Builder, tmp_path: Path) -> None:
    text = build.text(SAMPLE)
    for share in (0.2, 0.5, 0.9, 0.999):
        path = tmp_path / f"cut.{build.suffix}"
        path.write_text(text[: int(len(text) * share)], encoding="utf-8")
        with pytest.raises(FileRefused) as refused:
            read_file(path, OPTIONS)
        assert refused.value.file == path.name
        assert refused.value.reason


@formats
def test_zipped_is_the_same(build: Builder, tmp_path: Path) -> None:
    path = build.write(tmp_path, SAMPLE)
    zipped = tmp_path / "delivery.zip"
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(path, path.name)
    assert detect(zipped) is build.format
    with read_file(zipped, OPTIONS) as delivery:
        assert values(delivery) == build.expected(SAMPLE)


@formats
def test_too_many_bytes_are_refused_plain_and_zipped(build: Builder, tmp_path: Path) -> None:
    path = build.write(tmp_path, SAMPLE)
    zipped = tmp_path / "delivery.zip"
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(path, path.name)
    limits = Limits(file_bytes=path.stat().st_size - 1)
    for file in (path, zipped):
        with pytest.raises(FileRefused, match="more than"):
            read_file(file, replace(OPTIONS, limits=limits))


@formats
def test_sites_are_named_as_registered(build: Builder, tmp_path: Path) -> None:
    sample = replace(SAMPLE, sites=1, days=1)
    path = build.write(tmp_path, sample)
    if build.name != "csv":
        with read_file(path, replace(OPTIONS, scheme="other.utility")) as delivery:
            assert {f.site_id.partition(":")[0] for f in delivery.facts()} == {"other.utility"}
    told, registered = parse_site_id(build.site_id(0)), parse_site_id("jp.routeb:0123")
    with read_file(path, replace(OPTIONS, aliases={told: registered})) as delivery:
        assert {f.site_id for f in delivery.facts()} == {registered}


@formats
def test_more_sites_than_the_limit_are_refused(build: Builder, tmp_path: Path) -> None:
    path = build.write(tmp_path, replace(SAMPLE, sites=9, days=1))
    with pytest.raises(FileRefused, match="more than 8"):
        read_file(path, replace(OPTIONS, limits=Limits(names=8)))


@formats
def test_the_days_of_a_clock_change_have_46_and_50_half_hours(
    build: Builder, tmp_path: Path
) -> None:
    expected_days = {"d0036": (92, 100)}  # import and export
    for day, index in (
        (SAMPLE.day.replace(month=3, day=29), 0),
        (SAMPLE.day.replace(month=10, day=25), 1),
    ):
        sample = Sample(sites=1, days=1, day=day)
        with read_file(build.write(tmp_path, sample), OPTIONS) as delivery:
            usual = 48 * len(build.registers)
            count = expected_days.get(build.name, (usual, usual))[index]
            assert delivery.summary.facts == count
            assert values(delivery) == build.expected(sample)


@pytest.mark.parametrize(
    "build",
    [b for b in BUILDERS if b.name not in ("nem12", "d0036", "iec-registers")],  # whole days
    ids=lambda build: build.name,
)
def test_an_interval_too_few_leaves_a_gap_not_a_smaller_value(
    build: Builder, tmp_path: Path
) -> None:
    """Half of an hour is told: the hour has no value, and the note says which."""
    sample = replace(SAMPLE, sites=1, days=1)
    path = build.write(tmp_path, sample)
    text = path.read_text(encoding="utf-8")
    path.write_text(_without_first_value(build, text), encoding="utf-8")
    with read_file(path, replace(OPTIONS, period_s=3600)) as delivery:
        assert delivery.summary.notes == {NoteKind.PERIOD_INCOMPLETE: _halved(build)}
        starts = {start_s for _, start_s, register in values(delivery) if register is IMPORT}
        assert len(starts) == 23


def _halved(build: Builder) -> int:
    return 2 if build.name == "csv" else 1  # a row of CSV holds both registers


def _without_first_value(build: Builder, text: str) -> str:
    if build.name == "csv":
        head, _, rest = text.partition("\n")
        return head + "\n" + rest.partition("\n")[2].replace("end,48", "end,47")
    openers = {
        "japan-provisional": ("<JPMR00011>", "</JPMR00011>"),
        "japan-confirmed": ("<JPMR00014>", "</JPMR00014>"),
        "iec-delta": ("<IntervalReadings>", "</IntervalReadings>"),
        "espi": ("<espi:IntervalReading>", "</espi:IntervalReading>"),
    }
    opener, closer = openers[build.name]
    before, _, rest = text.partition(opener)
    return before + rest.partition(closer)[2]


@formats
def test_both_registers_are_seen_from_the_site(build: Builder, tmp_path: Path) -> None:
    with read_file(build.write(tmp_path, SAMPLE), OPTIONS) as delivery:
        assert {f.register for f in delivery.facts()} == set(build.registers) <= {IMPORT, EXPORT}
