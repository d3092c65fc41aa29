"""IEC 61968-9: registers and amounts of head-end systems."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gridcord.units import SiteId
from tests.unit.utility_adapter.files import facts_of, read_text, wh_of
from tests.unit.utility_adapter.meter_data import (
    IEC_REGISTERS,
    Sample,
)
from tests.unit.utility_adapter.snippets import IEC_DELTA, IEC_REGISTER, iec_message, iec_reading
from utility_adapter.domain.readings import DataQuality, Register
from utility_adapter.sources import (
    Delivery,
    NoteKind,
    RegisterRead,
)
from utility_adapter.sources.iec61968.reading_type import parse_reading_type

IMPORT, EXPORT = Register.IMPORT, Register.EXPORT
NOON_S = 1_778_846_400


def message(*blocks: tuple[str, list[str]], meter: str = "WT20069447") -> str:
    told = [(reading_type, iter(readings)) for reading_type, readings in blocks]
    return "".join(iec_message(iter([(meter, told)])))


class TestIec61968:
    def test_registers_of_a_head_end_system(self, tmp_path: Path) -> None:
        """The values of a published example: kWh with four decimals, every quarter hour."""
        reads = [
            iec_reading(NOON_S, "6519.0512"),
            iec_reading(NOON_S + 900, "6519.0955"),
            iec_reading(NOON_S + 1800, "6519.1396"),
        ]
        reactive = "0.0.2.9.15.2.164.0.0.0.0.0.0.0.0.3.73.0"
        text = message((IEC_REGISTER[IMPORT], reads), (reactive, [iec_reading(NOON_S, "0.8358")]))
        with read_text(tmp_path, text) as delivery:
            [fact] = delivery.facts()
            assert delivery.summary.notes == {NoteKind.STREAM_SKIPPED: 1}
            [last] = delivery.registers
        assert (fact.site_id, fact.wh, fact.step_wh) == ("iec.meter:WT20069447", 88, 1)
        assert (last.at_s, last.wh) == (NOON_S + 1800, 6_519_139)

    def test_the_next_file_goes_on_where_the_last_ended(self, tmp_path: Path) -> None:
        first = message((IEC_REGISTER[IMPORT], [iec_reading(NOON_S, "100.0")]))
        second = message((IEC_REGISTER[IMPORT], [iec_reading(NOON_S + 1800, "100.7")]))
        with read_text(tmp_path, first) as delivery:
            assert delivery.summary.facts == 0
            known = {(read.site_id, read.register): read for read in delivery.registers}
        [fact] = facts_of(read_text(tmp_path, second, known_registers=known))
        assert (fact.period.start_s, fact.wh, fact.step_wh) == (NOON_S, 700, 100)
        # An older file that comes late stands alone, and is no error.
        assert facts_of(read_text(tmp_path, first, known_registers=late(known))) == []

    def test_a_register_that_fell_has_no_difference(self, tmp_path: Path) -> None:
        reads = [
            iec_reading(NOON_S + n * 1800, value)
            for n, value in enumerate(["999998.000", "999999.000", "0.500", "0.900"])
        ]
        with read_text(tmp_path, message((IEC_REGISTER[IMPORT], reads))) as delivery:
            assert [f.wh for f in delivery.facts()] == [1000, 400]
            assert delivery.summary.notes == {NoteKind.REGISTER_FELL: 1}

    def test_a_read_missing_at_a_boundary_is_a_gap_of_two(self, tmp_path: Path) -> None:
        text = IEC_REGISTERS.text(Sample(sites=1, days=1))
        start = text.index("<IntervalReadings>", text.index("2026-05-15T01:45"))
        end = text.index("</IntervalReadings>\n", start) + len("</IntervalReadings>\n")
        with read_text(tmp_path, text[:start] + text[end:]) as delivery:
            assert delivery.summary.facts == 96 - 2
            assert delivery.summary.notes == {NoteKind.PERIOD_INCOMPLETE: 1}

    @pytest.mark.parametrize(
        ("code", "quality"),
        [
            ("1.0.0", DataQuality.VALID),
            ("3.0.0", DataQuality.VALID),
            ("5.4.260", DataQuality.VALID),
            ("3.7.0", DataQuality.EDITED),
            ("3.8.1", DataQuality.ESTIMATED),
            ("3.6.0", DataQuality.QUESTIONABLE),
            ("1.4.2", DataQuality.QUESTIONABLE),
            ("good", DataQuality.QUESTIONABLE),
            ("2.5.259", None),
            ("1.4.4", None),
        ],
    )
    def test_quality_codes(self, tmp_path: Path, code: str, quality: DataQuality | None) -> None:
        text = message((IEC_DELTA[EXPORT], [iec_reading(NOON_S + 1800, "5", code)]))
        with read_text(tmp_path, text) as delivery:
            assert [f.quality for f in delivery.facts()] == ([quality] if quality else [])

    def test_a_bad_read_spoils_the_periods_it_ends_and_begins(self, tmp_path: Path) -> None:
        codes = ["1.0.0", "3.8.1", "1.0.0", "1.0.0"]
        reads = [iec_reading(NOON_S + n * 1800, f"{n}", code) for n, code in enumerate(codes)]
        facts = facts_of(read_text(tmp_path, message((IEC_REGISTER[IMPORT], reads))))
        estimated, valid = DataQuality.ESTIMATED, DataQuality.VALID
        assert [f.quality for f in facts] == [estimated, estimated, valid]

    def test_reading_types(self) -> None:
        hourly = parse_reading_type("0.0.7.4.1.1.12.0.0.0.0.0.0.0.0.0.72.0")
        assert hourly is not None
        assert (hourly.cumulative, hourly.length_s, hourly.exponent) == (False, 3600, 0)
        for other in (
            "0.0.7.4.4.1.12.0.0.0.0.0.0.0.0.0.72.0",
            "0.0.7.6.1.1.12" + ".0" * 9 + ".72.0",
        ):
            assert parse_reading_type(other) is None


def late(
    known: dict[tuple[SiteId, Register], RegisterRead],
) -> dict[tuple[SiteId, Register], RegisterRead]:
    return {key: replace(read, at_s=read.at_s + 86_400, wh=0) for key, read in known.items()}


def test_export_and_import_are_told_apart_everywhere(tmp_path: Path) -> None:
    delta = message((IEC_DELTA[EXPORT], [iec_reading(NOON_S + 1800, "5")]))
    assert wh_of(read_text(tmp_path, delta), EXPORT) == [5]
    assert wh_of(read_text(tmp_path, delta), IMPORT) == []


def test_a_delivery_frees_its_file(tmp_path: Path) -> None:
    delivery: Delivery = read_text(
        tmp_path, message((IEC_DELTA[EXPORT], [iec_reading(NOON_S + 1800, "5")]))
    )
    with delivery:
        assert len(list(delivery.facts())) == 1
    with pytest.raises(ValueError, match="closed"):
        list(delivery.facts())
