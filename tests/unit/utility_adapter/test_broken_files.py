"""Broken files of every format: refused with file, line and reason, and nothing imported."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.unit.utility_adapter.meter_data import (
    CSV,
    D0036,
    ESPI,
    IEC_DELTAS,
    IEC_REGISTERS,
    JAPAN_CONFIRMED,
    JAPAN_PROVISIONAL,
    NEM12,
    OPTIONS,
    Builder,
    Sample,
)
from utility_adapter.domain.readings import ReadingFact
from utility_adapter.sources import FileRefused, read_file

SAMPLE = Sample(sites=1, days=1)


@dataclass(frozen=True)
class Case:
    """One defect: the first match of a pattern is replaced.

    Args:
        build: The format.
        pattern: What is spoilt.
        by: What stands there instead.
        reason: What the refusal must say.
        later: Lines after the spoilt place at which it is noticed; None where no line is told.
    """

    build: Builder
    pattern: str
    by: str
    reason: str
    later: int | None = 0

    def __str__(self) -> str:
        return f"{self.build.name}-{self.reason}".replace(" ", "_")


def csv(pattern: str, by: str, reason: str, later: int | None = 0) -> Case:
    return Case(CSV, pattern, by, reason, later)


def nem(pattern: str, by: str, reason: str, later: int | None = 0) -> Case:
    return Case(NEM12, pattern, by, reason, later)


def d36(pattern: str, by: str, reason: str, later: int | None = 0) -> Case:
    return Case(D0036, pattern, by, reason, later)


def day(pattern: str, by: str, reason: str, later: int | None = 0) -> Case:
    return Case(JAPAN_PROVISIONAL, pattern, by, reason, later)


def month(pattern: str, by: str, reason: str, later: int | None = 0) -> Case:
    return Case(JAPAN_CONFIRMED, pattern, by, reason, later)


def iec(pattern: str, by: str, reason: str, later: int | None = 0) -> Case:
    return Case(IEC_DELTAS, pattern, by, reason, later)


def reg(pattern: str, by: str, reason: str, later: int | None = 0) -> Case:
    return Case(IEC_REGISTERS, pattern, by, reason, later)


def espi(pattern: str, by: str, reason: str, later: int | None = 0) -> Case:
    return Case(ESPI, pattern, by, reason, later)


DAY_TWICE = r"(300,20260515[^\n]*\n)"
CASES = [
    # canonical CSV
    csv(r"export_wh", "exported", r"columns missing: \['export_wh'\]"),
    csv(r"method", "step_wh", "a column stands twice"),
    csv(r"method", "colour", r"not known: \['colour'\]"),
    csv(r"obis:000001", "no site", "site_id: not a site id"),
    csv(r"2026-05-15T00:00:00Z", "2026-05-15T00:00:00", "a time without a zone"),
    csv(r"2026-05-15T00:00:00Z", "15.05.2026", "not a time of ISO 8601"),
    csv(r"2026-05-15T00:00:00Z", "1960-05-15T00:00:00Z", "before 1970"),
    csv(r"2026-05-15T00:00:00Z", "2026-05-15T00:10:00Z", "crosses a boundary"),
    csv(r"2026-05-15T01:00:00Z", "2026-05-15T00:30:00Z", "before the end of the one above"),
    csv(r",1800,", ",0,", "an interval of 0 s"),
    csv(r"(Z,1800,)\d+", r"\1-5", "import_wh: negative"),
    csv(r"(Z,1800,)\d+", r"\g<1>0.5", "import_wh: not a whole number"),
    csv(r"(Z,1800,)\d+", r"\g<1>99999999999999999999", "import_wh: not a whole number"),
    csv(r"(Z,1800,)\d+", r"\g<1>2000000000000000", "IMPORT of 2000000000000000 Wh"),
    csv(r",1,VALID", ",0,VALID", "step_wh: not positive"),
    csv(r"VALID", "GOOD", "quality: 'GOOD'"),
    csv(r"VALID,0", "VALID,-1", "revision: negative"),
    csv(r"VALID,0,", "VALID,0," + "x" * 41, "method: more than 40 characters"),
    csv(r"VALID,0,", "VALID,0", "9 fields expected, not 8"),
    csv(r"VALID,0,", 'VALID,0,"x', "not CSV"),
    csv(r"end,48", "end,47", "48 rows, but the closing line says '47'"),
    csv(r"end,48\n", "", "cut off", -1),
    csv(r"end,48", "end,48\nobis:1,2026-05-15T00:00:00Z,1800,1,1,1,VALID,0,", "a row after", 1),
    # NEM12
    nem(r"^(100[^\n]*\n)", r"\1\1", "a 100 before the 900", 1),
    nem(r"200,", "250,", "no record of NEM12: '250'"),
    nem(r"200,[^\n]*\n", "", "300 without a 200"),
    nem(r"(?=200,)", "400,1,2,A,,\n", "400 without a 300"),
    nem(r"900\n", "", "no 900 record", -1),
    nem(r"900\n", "900\n200,x", "outside of 100", 1),
    nem(r"NEM12,\d+", "NEM12,2026", "no date or time: '2026'"),
    nem(r"0000000001", "0000 00001", "not a site id"),
    nem(r"E1B1,E1", "E1B,E1", "no list of suffixes: 'E1B'"),
    nem(r",E1B1,E1,E1", ",E1B1,E1,E2", "suffix 'E2' is not one of E1B1"),
    nem(r",KWH,30", ",KWH,20", "5, 15 or 30 minutes, not '20'"),
    nem(r",KWH,30", ",KVARH,30", "E1 counts Wh, kWh or MWh, not 'KVARH'"),
    nem(r",KWH,30", ",KWH,15", "96 values expected"),
    nem(r"300,20260515", "300,20260532", "no date or time: '20260532'"),
    nem(r"300,20260515", "300,19650515", "before 1970"),
    nem(r"(300,20260515,)[\d.]+", r"\1-0.100", "value 1 is negative"),
    nem(r"(300,20260515,)[\d.]+", r"\g<1>0,1", "no quality method"),
    nem(r"(300,20260515,)[\d.]+", r"\1abc", "value 1: not a number: 'abc'"),
    nem(r"(300,20260515,)[\d.]+", r"\g<1>0.1234567890", "value 1: not a number"),
    nem(r"(300,20260515,)[\d.]+,", r"\1", "no quality method|not a number"),
    nem(r"(300,20260515(?:,[\d.]+){20})[^\n]*", r"\1", "48 values expected, not 20"),
    nem(DAY_TWICE, r"\1\1", "day 20260515 of E1 stands twice", 1),
    nem(r",A,,,2026", ",X,,,2026", "no quality method: 'X'"),
    nem(r",A,,,2026", ",V,,,2026", "the 400 records name none for interval 1"),
    nem(r",A(,,,2026[^\n]*\n)", r",V\g<1>400,1,47,A,,\n", "name none for interval 48"),
    nem(r",A(,,,2026[^\n]*\n)", r",V\g<1>400,1,49,A,,\n", "no range of intervals 1 to 48", 1),
    nem(r",A(,,,2026[^\n]*\n)", r",V\g<1>400,5,4,A,,\n", "no range of intervals", 1),
    nem(r",A(,,,2026[^\n]*\n)", r",V\g<1>400,1,48,Q9,,\n", "no quality method: 'Q9'", 1),
    nem(r",A,,,2026", ',A,,"x,2026', "not CSV"),
    nem(r"20260515235900", "2026051523590", "no date or time: '2026051523590'"),
    # D0036
    d36(r"D0036001", "D0010002", "of no format that we read"),
    d36(r"ZHV[^\n]*\n", "", "of no format that we read"),
    d36(r"\|20260516001000", "|2026051600", "no time"),
    d36(r"(?=101)", "ZHV|1|D0036001|C|D|X|S|20260516001000|\n", "begins with one ZHV"),
    d36(r"101\|\d+", "101|123", "an MPAN has 13 digits"),
    d36(r"\|AI\|", "|XX|", "no measurement quantity: 'XX'"),
    d36(r"101\|[^\n]*\n", "", "102 without a 101"),
    d36(r"102\|[^\n]*\n", "", "103 without a 102"),
    d36(r"102\|20260515", "102|20260230", "no date"),
    d36(r"102\|20260515", "102|00010101", "no such settlement date"),
    d36(r"(102[^\n]*\n)103[^\n]*\n", r"\1", "2026-05-15 has 48 half hours, not 47", 47),
    d36(r"103\|A", "103|Z", "no actual/estimated indicator"),
    d36(r"(103\|A\|)[\d.]+", r"\1-1.0", "a negative value"),
    d36(r"(103\|A\|)[\d.]+", r"\1,5", "not a number"),
    d36(r"(?=102)", "999|x|\n", "no record of D0036: '999'"),
    d36(r"ZPT\|0000000001\|100", "ZPT|0000000001|99", "100 records, but the ZPT counts '99'"),
    d36(r"ZPT[^\n]*\n", "", "no ZPT record", -1),
    d36(r"(ZPT[^\n]*\n)", r"\g<1>103|A|1.0|\n", "a record after the ZPT", 1),
    # Japan
    day(r"20260515", "2026515", "no date: '2026515'"),
    day(r"<JP06116>20260515</JP06116>", "", "before its day", 2),
    day(r"<JP06219>01", "<JP06219>49", "no period 01 to 48: '49'"),
    day(r"<JP06400>\d+", "<JP06400>", "without JP06400"),
    day(r"<JP06400>\d+", "<JP06400>03 04", "not a site id"),
    day(r"<JP06125>[\d.]+", "<JP06125>-0.1", "a negative value"),
    day(r"<JP06125>[\d.]+", "<JP06125>one", "not a number"),
    day(r"<JP06219>02", "<JP06219>01", "before the end of the one above", 1),
    day(r"</JPMGRP>", "", "not well-formed"),
    day(r"(?s)<JPTRM>.*</JPTRM>", "", "no supply point", None),
    month(r"<JP06423>20260515", "<JP06423>20261315", "no date"),
    month(r"<JP06219>07", "<JP06219>99", "no period 01 to 48"),
    month(r"<JP06219>07</JP06219>", "", "without JP06219"),
    month(r"<JP06423>20260515</JP06423>", "", "without JP06423"),
    month(r"<JP06424>[\d.]+", "<JP06424>1,5", "not a number"),
    # IEC 61968-9
    iec(r"MeterReadings</Noun>", "EndDeviceEvents</Noun>", "about 'EndDeviceEvents'"),
    iec(r"2026-05-17T08:42:21.539\+08:00", "yesterday", "not a time of ISO 8601", -1),
    iec(r"<Meter>[^\n]*</Meter>", "", "MeterReading without Meter", None),
    iec(r"<mRID>[^\n]*</mRID>", "", "Meter without mRID"),
    iec(r'<ReadingType ref="[^"]*"/>', "", "no reading type of 18 parts", None),
    iec(r"0\.0\.5\.4\.1\.", "0.0.5.4.", "no reading type of 18 parts", None),
    iec(r"0\.0\.5\.4\.1\.", "0.0.0.4.1.", "names no interval length", None),
    iec(r"0\.0\.72\.0", "0.99.72.0", "no power of ten", None),
    iec(r"<value>\d+", "<value>-1", "a negative value"),
    iec(r"<value>\d+", "<value>", "without value"),
    iec(r"<timeStamp>[^<]*", "<timeStamp>", "without timeStamp"),
    iec(r"<timeStamp>[^<]*", "<timeStamp>2026-05-15T00:30:00", "without a zone"),
    iec(r"<timeStamp>2026-05-15T01", "<timeStamp>2026-05-15T00", "before the end of the one"),
    reg(r"<value>6519.0955", "<value>-6519.0955", "a negative value"),
    reg(r"0\.0\.2\.9\.1\.", "0.0.7.9.1.", "longer apart than a period", None),
    reg(r"<timeStamp>2026-05-15T01:00", "<timeStamp>2026-05-15T00:30", "before or beside"),
    # Green Button
    espi(r'<feed xmlns="[^"]*"', '<feed xmlns="urn:other"', "of no format that we read", None),
    espi(r"<updated>2026-05-16T00:10:00Z</updated></entry>", "<updated>?</updated></entry>",
         "updated: not a time"),
    espi(r'(<entry>)<link rel="self"[^>]*/>', r"\1", "UsagePoint without a self link"),
    espi(r"UsagePoint/0001", "UsagePoint/a%20b", "not a site id"),
    espi(r"(espi:MeterReading/>)", r"espi:Nothing/>", "belongs to no MeterReading", 2),
    espi(r"(<espi:flowDirection>)1", r"\g<1>one", "flowDirection: not a whole number"),
    espi(r"(<espi:powerOfTenMultiplier>)0", r"\g<1>99", "no power of ten for energy: 99"),
    espi(r"(<espi:powerOfTenMultiplier>)0", r"\1-9", "finer than a millionth of a Wh", 1),
    espi(r"(ReadingType/1\"/><)", r'ReadingType/none"/><', "names no ReadingType"),
    espi(r"(<espi:start>)\d+", r"\g<1>then", "start: not a whole number"),
    espi(r"(<espi:start>)\d+", r"\1-1800", "without start or duration"),
    espi(r"(<espi:duration>)1800", r"\g<1>0", "an interval of 0 s"),
    espi(r"(<espi:duration>)1800", r"\g<1>7200", "longer than the period"),
    espi(r"(<espi:value>)\d+", r"\1-5", "a negative amount of one direction"),
    espi(r"(<espi:value>)\d+", r"\g<1>5.5", "value: not a whole number"),
    espi(r"(<espi:value>)\d+", r"\g<1>999999999999999999", "no amount of a site"),
    espi(r"(<espi:quality>)0", r"\g<1>good", "quality: not a whole number"),
    espi(r"<espi:flowDirection>19", "<espi:flowDirection>1", "two streams count IMPORT", None),
    espi(r"</feed>", "", "not well-formed"),
    espi(r"</espi:value>", "</espi:worth>", "not well-formed"),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
def test_is_refused_with_file_line_and_reason(case: Case, tmp_path: Path) -> None:
    sound = case.build.text(SAMPLE)
    place = re.search(case.pattern, sound)
    assert place is not None, "the case spoils nothing"
    path = tmp_path / f"{case.build.name}.{case.build.suffix}"
    broken = sound[: place.start()] + place.expand(case.by) + sound[place.end() :]
    path.write_text(broken, encoding="utf-8", newline="")
    imported: list[ReadingFact] = []
    with pytest.raises(FileRefused) as refused, read_file(path, OPTIONS) as delivery:
        imported.extend(delivery.facts())
    assert imported == []
    assert refused.value.file == path.name
    assert re.search(case.reason, refused.value.reason), refused.value
    if case.later is not None:
        line = sound[: place.start()].count("\n") + 1
        assert refused.value.line is not None
        assert abs(refused.value.line - line - case.later) <= 1, (refused.value, line)
    assert str(refused.value).startswith(f"{path.name}:") or refused.value.line is None


def test_every_format_has_its_share() -> None:
    for build in (CSV, NEM12, D0036, ESPI):
        assert sum(case.build is build for case in CASES) >= 15
    assert sum(case.build.suffix == "xml" for case in CASES) >= 40


def test_a_sound_file_is_read_again_after_the_broken_one(tmp_path: Path) -> None:
    path = NEM12.write(tmp_path, SAMPLE)
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("900\n", ""), encoding="utf-8")
    with pytest.raises(FileRefused, match=r"nem12\.csv:5: cut off"):
        read_file(path, OPTIONS)
    path.write_text(text, encoding="utf-8")
    with read_file(path, OPTIONS) as delivery:
        assert delivery.summary.facts == 96
