"""Readings as facts with two times: duplicates, corrections, conflicts, and what was known when."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridcord.metering.reading import ReadingQuality, ReadingSource
from gridcord.units import Period, SiteId
from utility_adapter.domain.admission import Admission, admit
from utility_adapter.domain.reading_views import (
    Gap,
    as_of,
    changes,
    current,
    gaps,
    site_readings,
    trust,
)
from utility_adapter.domain.readings import (
    MAX_WH,
    DataQuality,
    ReadingFact,
    Register,
    take_in,
    worst,
)

HOME, NEXT_DOOR = SiteId("nmi:0000000001"), SiteId("nmi:0000000002")
NOON = Period(1_778_846_400)
PROVISIONAL = ReadingFact(
    site_id=HOME,
    period=NOON,
    register=Register.IMPORT,
    wh=700,
    step_wh=100,
    quality=DataQuality.RAW,
    revision=0,
    received_at_s=1000.0,
    source="same-day.xml",
)
CONFIRMED = replace(
    PROVISIONAL,
    wh=731,
    step_wh=1,
    quality=DataQuality.VALID,
    revision=1,
    received_at_s=5000.0,
    source="month.xml",
)
EXPORTED = replace(CONFIRMED, register=Register.EXPORT, wh=12, revision=0, received_at_s=1500.0)

facts = st.builds(
    ReadingFact,
    site_id=st.sampled_from([HOME, NEXT_DOOR]),
    period=st.sampled_from([NOON, NOON.next()]),
    register=st.sampled_from(Register),
    wh=st.integers(0, 5),
    step_wh=st.sampled_from([1, 100]),
    quality=st.sampled_from(DataQuality),
    revision=st.integers(0, 4),
    received_at_s=st.integers(0, 50).map(float),
    source=st.just("file"),
)


class TestAdmission:
    def test_the_first_is_new(self) -> None:
        assert admit(known=[], fact=PROVISIONAL) is Admission.NEW

    def test_the_same_again_is_no_new_fact(self) -> None:
        again = replace(PROVISIONAL, received_at_s=9999.0, source="again.xml", method="S14")
        assert admit(known=[PROVISIONAL], fact=again) is Admission.DUPLICATE

    def test_a_higher_revision_corrects(self) -> None:
        assert admit(known=[PROVISIONAL], fact=CONFIRMED) is Admission.CORRECTION

    def test_a_confirmation_without_a_change_is_a_fact_too(self) -> None:
        confirmed = replace(PROVISIONAL, revision=1)
        assert admit(known=[PROVISIONAL], fact=confirmed) is Admission.CORRECTION

    def test_an_older_revision_that_comes_late_is_kept(self) -> None:
        assert admit(known=[CONFIRMED], fact=PROVISIONAL) is Admission.LATE

    @pytest.mark.parametrize("field", ["wh", "step_wh"])
    def test_another_value_of_one_revision_is_a_conflict(self, field: str) -> None:
        other = replace(PROVISIONAL, **{field: 701})  # type: ignore[arg-type]
        assert admit(known=[PROVISIONAL, CONFIRMED], fact=other) is Admission.CONFLICT


class TestIntake:
    def test_a_batch_is_sorted_into_new_known_and_contradictory(self) -> None:
        contradiction = replace(PROVISIONAL, wh=1)
        intake = take_in(
            known=[PROVISIONAL], facts=[CONFIRMED, PROVISIONAL, contradiction, EXPORTED, EXPORTED]
        )
        assert intake.admitted == (CONFIRMED, EXPORTED)
        assert intake.duplicates == 2
        [conflict] = intake.conflicts
        assert (conflict.kept, conflict.refused) == (PROVISIONAL, contradiction)

    @given(st.lists(facts))
    def test_nothing_is_lost_and_nothing_admitted_twice(self, batch: list[ReadingFact]) -> None:
        intake = take_in(known=[], facts=batch)
        told = len(intake.admitted) + intake.duplicates + len(intake.conflicts)
        assert told == len(batch)
        subjects = [(fact.key, fact.revision) for fact in intake.admitted]
        assert len(set(subjects)) == len(subjects)

    @given(st.lists(facts))
    def test_taking_in_again_changes_nothing(self, batch: list[ReadingFact]) -> None:
        admitted = take_in(known=[], facts=batch).admitted
        again = take_in(known=admitted, facts=admitted)
        assert (again.admitted, again.conflicts) == ((), ())


class TestViews:
    @given(st.lists(facts), st.randoms())
    def test_the_order_of_arrival_does_not_matter(
        self, batch: list[ReadingFact], random: object
    ) -> None:
        admitted = list(take_in(known=[], facts=batch).admitted)
        shuffled = admitted.copy()
        random.shuffle(shuffled)  # type: ignore[attr-defined]
        assert site_readings(facts=shuffled) == site_readings(facts=admitted)

    @given(st.lists(facts), st.integers(0, 60))
    def test_the_past_is_not_changed_by_what_comes_later(
        self, batch: list[ReadingFact], cut: int
    ) -> None:
        admitted = take_in(known=[], facts=batch).admitted
        before = [fact for fact in admitted if fact.received_at_s < cut]
        assert site_readings(facts=admitted, received_before_s=cut) == site_readings(facts=before)
        assert set(as_of(facts=admitted, received_before_s=cut)) == set(before)

    @given(st.lists(facts))
    def test_the_current_fact_has_the_highest_revision(self, batch: list[ReadingFact]) -> None:
        admitted = take_in(known=[], facts=batch).admitted
        for key, fact in current(facts=admitted).items():
            assert fact.revision == max(f.revision for f in admitted if f.key == key)

    def test_a_reading_joins_both_registers(self) -> None:
        [reading] = site_readings(facts=[CONFIRMED, EXPORTED])
        assert (reading.site_id, reading.period) == (HOME, NOON)
        assert (reading.import_wh, reading.export_wh, reading.revision) == (731, 12, 0)
        assert (reading.source, reading.step_wh) == (ReadingSource.UTILITY, 1)
        assert reading.quality is ReadingQuality.COMPLETE

    def test_what_did_we_know_on_that_day(self) -> None:
        facts = [PROVISIONAL, CONFIRMED, EXPORTED]
        assert site_readings(facts=facts, received_before_s=1000.0) == ()
        [early] = site_readings(facts=facts, received_before_s=1000.5)
        assert (early.import_wh, early.export_wh, early.step_wh) == (700, None, 100)
        [then] = site_readings(facts=facts, received_before_s=4000.0)
        assert (then.import_wh, then.export_wh, then.revision) == (700, 12, 0)
        [now] = site_readings(facts=facts)
        assert (now.import_wh, now.export_wh, now.revision) == (731, 12, 1)

    def test_only_measured_values_count_as_measured(self) -> None:
        complete = {quality for quality in DataQuality if trust(quality) is ReadingQuality.COMPLETE}
        assert complete == {DataQuality.VALID, DataQuality.RAW}
        estimated = replace(EXPORTED, quality=DataQuality.ESTIMATED)
        [reading] = site_readings(facts=[CONFIRMED, estimated])
        assert reading.quality is ReadingQuality.ESTIMATED

    def test_a_correction_is_a_change_a_confirmation_is_none(self) -> None:
        before = site_readings(facts=[PROVISIONAL])
        corrected = site_readings(facts=[PROVISIONAL, CONFIRMED])
        confirmed = site_readings(facts=[PROVISIONAL, replace(PROVISIONAL, revision=1)])
        assert changes(before=before, after=corrected) == corrected
        assert changes(before=before, after=confirmed) == ()
        assert changes(before=(), after=before) == before


class TestGaps:
    def test_runs_of_missing_periods_are_named(self) -> None:
        present = [NOON, NOON.next(3), NOON.next(4), NOON.next(99)]
        found = gaps(present=present, first=NOON.next(-2), count=10)
        assert found == (
            Gap(first=NOON.next(-2), count=2),
            Gap(first=NOON.next(1), count=2),
            Gap(first=NOON.next(5), count=3),
        )

    @given(st.sets(st.integers(0, 30)), st.integers(0, 30))
    def test_gaps_and_values_make_up_the_range(self, indexes: set[int], count: int) -> None:
        found = gaps(present=[NOON.next(i) for i in indexes], first=NOON, count=count)
        missing = {gap.first.next(i) for gap in found for i in range(gap.count)}
        assert missing == {NOON.next(i) for i in range(count) if i not in indexes}
        assert sum(gap.count for gap in found) == len(missing)

    def test_periods_of_another_length_fill_no_gap(self) -> None:
        hour = Period(NOON.start_s, 3600)
        assert gaps(present=[hour], first=NOON, count=1) == (Gap(first=NOON, count=1),)


@pytest.mark.parametrize(
    "wrong", [{"wh": -1}, {"wh": MAX_WH + 1}, {"step_wh": 0}, {"revision": -1}]
)
def test_an_impossible_fact_cannot_be_made(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"Wh|revision"):
        replace(PROVISIONAL, **wrong)  # type: ignore[arg-type]


def test_the_worst_quality_is_the_least_trusted() -> None:
    assert worst([DataQuality.RAW, DataQuality.ESTIMATED, DataQuality.VALID]) is (
        DataQuality.ESTIMATED
    )
