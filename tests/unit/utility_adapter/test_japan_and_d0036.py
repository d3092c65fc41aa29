"""Japan's two families and Britain's D0036: documented values and what replaces what."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.reference_data import reference
from tests.unit.utility_adapter.files import facts_of, read_text
from tests.unit.utility_adapter.meter_data import (
    JAPAN_CONFIRMED,
    JAPAN_PROVISIONAL,
    OPTIONS,
    Sample,
)
from utility_adapter.domain.admission import Admission, admit
from utility_adapter.domain.readings import DataQuality, Register
from utility_adapter.sources import (
    NoteKind,
    read_file,
)

IMPORT, EXPORT = Register.IMPORT, Register.EXPORT


class TestD0036:
    def test_the_synthetic_home(self) -> None:
        facts = facts_of(read_file(reference("formats/synthetic/d0036.usr"), OPTIONS))
        assert {f.site_id for f in facts} == {"mpan:1000000000001"}
        assert [len([f for f in facts if f.register is r]) for r in Register] == [48, 48]
        assert [f.wh for f in facts[:5]] == [100, 0, 0, 0, 100]
        assert {f.step_wh for f in facts} == {100}
        # 15 May 2009 is summer time: the day begins at 23:00 UTC.
        assert str(facts[0].period) == "2009-05-14T23:00:00Z"

    def test_indicators(self, tmp_path: Path) -> None:
        values = ["103|E|1.0|", "103|C|1.0|", *["103|A|1.0|"] * 46]
        text = "\n".join(
            [
                "ZHV|1|D0036001|C|D|X|S|20260516001000||||OPER|",
                "101|1014572465589|AE|S|",
                "102|20260515|",
                *values,
                "101|1014572465589|RI|S|",
                "102|20260515|",
                *["103|A|9.9|"] * 48,
                "ZPT|1|100||2|20260516001001|",
            ]
        )
        with read_text(tmp_path, text) as delivery:
            facts = list(delivery.facts())
            assert delivery.summary.notes == {NoteKind.STREAM_SKIPPED: 1}
        assert [f.quality for f in facts[:3]] == [
            DataQuality.ESTIMATED,
            DataQuality.RAW,
            DataQuality.VALID,
        ]
        assert {f.register for f in facts} == {EXPORT}


class TestJapan:
    def test_the_synthetic_half_hour(self) -> None:
        path = reference("formats/synthetic/jp_bp_lowvoltage_daily_synthetic.xml")
        facts = facts_of(read_file(path, OPTIONS))
        assert [(f.site_id[-2:], f.wh) for f in facts] == [("00", 100), ("01", 100), ("02", 0)]
        assert {str(f.period) for f in facts} == {"2009-05-15T03:00:00Z"}  # 12:00 in Japan
        assert {f.step_wh for f in facts} == {100}

    def test_confirmed_values_replace_provisional_ones_whatever_came_first(
        self, tmp_path: Path
    ) -> None:
        sample = Sample(sites=1, days=1)
        provisional = facts_of(read_file(JAPAN_PROVISIONAL.write(tmp_path, sample), OPTIONS))
        confirmed = facts_of(read_file(JAPAN_CONFIRMED.write(tmp_path, sample), OPTIONS))
        for early, late in zip(provisional, confirmed, strict=True):
            assert (early.quality, late.quality) == (DataQuality.RAW, DataQuality.VALID)
            assert admit(known=[early], fact=late) is Admission.CORRECTION
            assert admit(known=[late], fact=early) is Admission.LATE

    def test_a_reissue_is_numbered_by_hand(self, tmp_path: Path) -> None:
        path = JAPAN_CONFIRMED.write(tmp_path, Sample(sites=1, days=1))
        first = facts_of(read_file(path, OPTIONS))[0]
        again = facts_of(read_file(path, replace(OPTIONS, japan_issue=1)))[0]
        assert admit(known=[first], fact=again) is Admission.CORRECTION

    def test_generating_points_count_export(self, tmp_path: Path) -> None:
        path = JAPAN_CONFIRMED.write(tmp_path, Sample(sites=1, days=1))
        facts = facts_of(read_file(path, replace(OPTIONS, japan_register=EXPORT)))
        assert {f.register for f in facts} == {EXPORT}

    def test_groups_without_a_wrapper_a_namespace_and_high_voltage(self, tmp_path: Path) -> None:
        """One period a file, the period above its points, points directly below JPM00010."""
        text = (
            '<?xml version="1.0" encoding="Shift_JIS"?><SBD-MSG xmlns="urn:x"><JPMGRP><JPTRM>'
            "<JP06116>20260515</JP06116><JP06219>48</JP06219><JPM00010>"
            "<JPMR00010><JP06400>0300000000000000000000</JP06400><JP06120>東京</JP06120>"
            "<JP06122>0</JP06122><JP06123>12.5</JP06123></JPMR00010>"
            "<JPMR00010><JP06400>0300000000000000000001</JP06400><JP06122>1</JP06122>"
            "</JPMR00010></JPM00010></JPTRM></JPMGRP></SBD-MSG>"
        )
        path = tmp_path / "w4.xml"
        path.write_bytes(text.encode("shift_jis"))
        with read_file(path, OPTIONS) as delivery:
            [fact] = delivery.facts()
            assert delivery.summary.notes == {NoteKind.PERIOD_INCOMPLETE: 1}
        assert (fact.wh, fact.step_wh, str(fact.period)) == (12500, 100, "2026-05-15T14:30:00Z")

    def test_a_point_whose_month_is_withheld_is_noted(self, tmp_path: Path) -> None:
        text = JAPAN_CONFIRMED.text(Sample(sites=2, days=1))
        withheld = text.replace("<JP06405>0", "<JP06405>1", 1)
        with read_text(tmp_path, withheld) as delivery:
            assert delivery.summary.facts == 48
            assert delivery.summary.notes == {NoteKind.PERIOD_INCOMPLETE: 1}

    def test_an_empty_value_is_a_gap(self, tmp_path: Path) -> None:
        text = JAPAN_CONFIRMED.text(Sample(sites=1, days=1))
        head, _, rest = text.partition("<JP06424>")
        empty = f"{head}<JP06424>{rest[rest.index('<') :]}"
        with read_text(tmp_path, empty) as delivery:
            assert delivery.summary.facts == 47
            assert delivery.summary.notes == {NoteKind.PERIOD_INCOMPLETE: 1}
