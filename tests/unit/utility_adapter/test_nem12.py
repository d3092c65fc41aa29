"""NEM12: AEMO's conformance files, suffixes, qualities, lengths; nemreader as the oracle."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nemreader import read_nem_file

from gridcord.units import CableId, Period, SiteId
from tests.reference_data import reference
from tests.unit.utility_adapter.files import facts_of, read_bytes, read_text, wh_of
from tests.unit.utility_adapter.meter_data import NEM12, OPTIONS, Sample
from utility_adapter.domain.readings import DataQuality, ReadingFact, Register
from utility_adapter.domain.transfers import PeriodTransfer
from utility_adapter.sources import (
    FileRefused,
    Nem12Names,
    NoteKind,
    NotExpressible,
    read_file,
    write_nem12_readings,
    write_nem12_transfers,
)

IMPORT, EXPORT = Register.IMPORT, Register.EXPORT
MIDNIGHT_S = int(datetime(2026, 5, 14, 14, tzinfo=UTC).timestamp())  # of 15 May, UTC+10
SITE = SiteId("nmi:0000000001")


def file(*records: str) -> str:
    return "\n".join(["100,NEM12,202605170010,MDP,RET", *records, "900", ""])


def channel(suffix: str, configuration: str = "E1B1", minutes: int = 30, unit: str = "kWh") -> str:
    return f"200,0000000001,{configuration},{suffix},{suffix},,SN1,{unit},{minutes},"


def day(*values: str, quality: str = "A", count: int = 48) -> str:
    filled = (*values, *["0.000"] * (count - len(values)))
    return f"300,20260515,{','.join(filled)},{quality},,,20260516000000,"


class TestConformanceFiles:
    def test_multiple_quality(self) -> None:
        path = reference("formats/nem12/Example_NEM12_multiple_quality.csv")
        facts = facts_of(read_file(path, OPTIONS))
        assert [f.wh for f in facts[:3]] == [18023, 19150, 17592]
        assert facts[0].period.start == datetime(2004, 4, 16, 14, tzinfo=UTC)
        assert {f.site_id for f in facts} == {"nmi:CCCC123456"}
        assert [f.quality for f in facts] == (
            [DataQuality.EDITED] * 20 + [DataQuality.VALID] * 4 + [DataQuality.ESTIMATED] * 24
        )
        assert [f.method for f in facts] == ["F14"] * 20 + ["A"] * 4 + ["S14"] * 24
        updated = datetime(2004, 4, 18, 10, 35, tzinfo=UTC)
        assert {f.revision for f in facts} == {int(updated.timestamp())}

    def test_two_streams_of_one_direction_are_summed(self) -> None:
        path = reference("formats/nem12/NEM12_SCENARIO1_UNITEDDP_NEMMCO.zip")
        with read_file(path, OPTIONS) as delivery:
            facts = list(delivery.facts())
            assert delivery.sites[0].meter_ids == ("01009",)
        assert len(facts) == 4 * 48
        assert {f.register for f in facts} == {IMPORT}
        assert facts[12].wh == 461 + 154  # E1 + E2 of the 13th half hour
        assert {f.step_wh for f in facts} == {2}

    def test_reactive_streams_are_left_out_and_noted(self) -> None:
        path = reference("formats/nem12/NEM12_SCENARIO2_UNITEDDP_NEMMCO.zip")
        with read_file(path, OPTIONS) as delivery:
            facts = list(delivery.facts())
            assert delivery.summary.notes == {NoteKind.STREAM_SKIPPED: 2}
        assert len(facts) == 4 * 48 * 2
        assert [f.wh for f in facts if f.register is EXPORT][12] == 461

    def test_the_synthetic_home(self) -> None:
        facts = facts_of(read_file(reference("formats/synthetic/nem12.csv"), OPTIONS))
        imported = [f.wh for f in facts if f.register is IMPORT]
        exported = [f.wh for f in facts if f.register is EXPORT]
        assert (imported[0], imported[16], sum(imported)) == (128, 846, 3445)
        assert (exported[11], sum(exported)) == (7, 10066)

    @pytest.mark.parametrize(
        "name",
        [
            "formats/nem12/Example_NEM12_multiple_quality.csv",
            "formats/nem12/NEM12_SCENARIO2_UNITEDDP_NEMMCO.zip",
            "formats/synthetic/nem12.csv",
        ],
    )
    def test_nemreader_reads_the_same(self, name: str) -> None:
        path = reference(name)
        assert by_oracle(path) == by_us(path)


def by_us(path: Path) -> dict[tuple[str, datetime], Decimal]:
    offset = timedelta(hours=10)
    return {
        ("E1" if f.register is IMPORT else "B1", (f.period.start + offset).replace(tzinfo=None)): (
            Decimal(f.wh) / 1000
        )
        for f in facts_of(read_file(path, OPTIONS))
    }


def by_oracle(path: Path) -> dict[tuple[str, datetime], Decimal]:
    return {
        (suffix, reading.t_start): Decimal(str(reading.read_value))
        for streams in read_nem_file(str(path)).readings.values()
        for suffix, readings in streams.items()
        if suffix in ("E1", "B1")
        for reading in readings
    }


def test_nemreader_reads_our_own_sample_the_same(tmp_path: Path) -> None:
    path = NEM12.write(tmp_path, Sample(sites=1, days=3))
    assert by_oracle(path) == by_us(path)
    assert len(by_us(path)) == 3 * 48 * 2


class TestDirections:
    def test_e_is_the_sites_import_and_b_its_export(self, tmp_path: Path) -> None:
        text = file(channel("E1"), day("1.000"), channel("B1"), day("2.000"))
        facts = facts_of(read_text(tmp_path, text))
        assert [(f.register, f.wh) for f in facts if f.wh] == [(IMPORT, 1000), (EXPORT, 2000)]
        assert facts[0].period.start_s == MIDNIGHT_S

    @pytest.mark.parametrize(
        ("unit", "value", "wh", "step_wh"),
        [
            ("kWh", "0.128", 128, 1),
            ("KWH", "0.1", 100, 100),
            ("Wh", "128", 128, 1),
            ("MWh", "0.001", 1000, 1000),
            ("kWh", "3", 3000, 1000),
        ],
    )
    def test_units_and_steps(
        self, tmp_path: Path, unit: str, value: str, wh: int, step_wh: int
    ) -> None:
        values = [value] * 48
        text = file(channel("E1", unit=unit), day(*values))
        fact = facts_of(read_text(tmp_path, text))[0]
        assert (fact.wh, fact.step_wh) == (wh, step_wh)

    def test_a_missing_stream_of_a_sum_leaves_a_gap(self, tmp_path: Path) -> None:
        with read_text(tmp_path, file(channel("E1", "E1E2"), day("1.000"))) as delivery:
            assert delivery.summary.facts == 0
            assert delivery.summary.notes == {NoteKind.PERIOD_INCOMPLETE: 48}


class TestIntervals:
    @pytest.mark.parametrize(("minutes", "count"), [(5, 6), (15, 2)])
    def test_shorter_intervals_are_summed(self, tmp_path: Path, minutes: int, count: int) -> None:
        values = [f"{n / 1000:.3f}" for n in range(24 * 60 // minutes)]
        text = file(channel("E1", "E1", minutes), day(*values, count=len(values)))
        facts = facts_of(read_text(tmp_path, text))
        assert [f.wh for f in facts] == [sum(range(n * count, (n + 1) * count)) for n in range(48)]
        assert {f.step_wh for f in facts} == {count}

    def test_finer_than_a_watt_hour_is_rounded_once_per_period(self, tmp_path: Path) -> None:
        values = ["0.00125"] * 288  # 1.25 Wh in 5 minutes
        text = file(channel("E1", "E1", 5), day(*values, count=288))
        facts = facts_of(read_text(tmp_path, text))
        assert {f.wh for f in facts} == {8}  # 7.5 Wh, to even
        assert {f.step_wh for f in facts} == {1}


class TestQuality:
    def test_the_records_400_name_the_quality_of_their_intervals(self, tmp_path: Path) -> None:
        events = ("400,1,2,E52,,", "400,3,3,N,,", "400,4,48,A,,")
        text = file(channel("E1", "E1"), day(quality="V"), *events)
        with read_text(tmp_path, text) as delivery:
            facts = list(delivery.facts())
            assert delivery.summary.notes == {NoteKind.PERIOD_INCOMPLETE: 1}
        assert len(facts) == 47
        assert [f.method for f in facts[:3]] == ["E52", "E52", "A"]
        assert facts[2].period.start_s == MIDNIGHT_S + 3 * 1800

    def test_a_day_that_names_no_quality_is_raw(self, tmp_path: Path) -> None:
        text = file(channel("E1", "E1"), "300,20260515," + ",".join(["0.1"] * 48))
        assert {f.quality for f in facts_of(read_text(tmp_path, text))} == {DataQuality.RAW}

    def test_the_worst_quality_of_a_sum_stands(self, tmp_path: Path) -> None:
        text = file(
            channel("E1", "E1", 15), day(quality="V", count=96), "400,1,1,S14,,", "400,2,96,A,,"
        )
        facts = facts_of(read_text(tmp_path, text))
        assert (facts[0].quality, facts[0].method) == (DataQuality.ESTIMATED, "S14")
        assert {f.quality for f in facts[1:]} == {DataQuality.VALID}

    def test_a_null_quarter_leaves_the_half_hour_without_a_value(self, tmp_path: Path) -> None:
        text = file(
            channel("E1", "E1", 15), day(quality="V", count=96), "400,1,1,N,,", "400,2,96,A,,"
        )
        with read_text(tmp_path, text) as delivery:
            assert delivery.summary.facts == 47
            assert delivery.summary.notes == {NoteKind.PERIOD_INCOMPLETE: 1}

    def test_the_files_own_time_stands_for_a_missing_update(self, tmp_path: Path) -> None:
        values = ",".join(["0.1"] * 48)
        text = file(channel("E1", "E1"), f"300,20260515,{values},A,,,,")
        fact = facts_of(read_text(tmp_path, text))[0]
        assert fact.revision == int(datetime(2026, 5, 16, 14, 10, tzinfo=UTC).timestamp())


class TestFiles:
    def test_joined_files_are_read_one_after_the_other(self, tmp_path: Path) -> None:
        first = file(channel("E1", "E1"), day("1.0"))
        second = first.replace("20260515,", "20260516,")
        assert sum(wh_of(read_text(tmp_path, first + second))) == 2000

    def test_b2b_records_and_quotes_are_understood(self, tmp_path: Path) -> None:
        text = file(
            channel("E1", "E1"),
            day(quality="V"),
            '400,1,48,F14,76,"said, and written"',
            "500,O,S01009,20260516121004,",
        )
        assert len(wh_of(read_text(tmp_path, text))) == 48

    def test_another_standard_time(self, tmp_path: Path) -> None:
        text = file(channel("E1", "E1"), day())
        fact = facts_of(read_text(tmp_path, text, nem12_offset_s=8 * 3600))[0]
        assert fact.period.start_s == MIDNIGHT_S + 2 * 3600

    def test_a_zip_of_two_files_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "two.zip"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a.csv", file())
            archive.writestr("b.csv", file())
        with pytest.raises(FileRefused, match="a zip must hold one file, this holds 2"):
            read_file(path, OPTIONS)


def period(n: int) -> Period:
    return Period(MIDNIGHT_S + n * 1800)


@st.composite
def readings(draw: st.DrawFn) -> list[ReadingFact]:
    """Facts of a few sites, sorted, with gaps, both registers of one quality and revision."""
    return [
        ReadingFact(
            site_id=SiteId(f"nmi:{site:010}"),
            period=period(n),
            register=register,
            wh=draw(st.integers(0, 10**9)),
            step_wh=1,
            quality=quality,
            revision=MIDNIGHT_S,
            received_at_s=OPTIONS.received_at_s,
            source="file",
            method={"VALID": "A", "EDITED": "F14", "ESTIMATED": "S14"}[quality],
        )
        for site in sorted(draw(st.sets(st.integers(0, 3), max_size=3)))
        for n in sorted(draw(st.sets(st.integers(0, 120), min_size=1, max_size=20)))
        for quality in [draw(st.sampled_from(["VALID", "EDITED", "ESTIMATED"]).map(DataQuality))]
        for register in Register
    ]


class TestWriting:
    @given(facts=readings())
    def test_what_is_written_is_read(
        self, facts: list[ReadingFact], tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        out = BytesIO()
        write_nem12_readings(facts, out, written_at_s=MIDNIGHT_S)
        read = facts_of(read_bytes(tmp_path_factory.mktemp("nem"), out))
        assert set(read) == set(facts)

    def test_nemreader_reads_what_we_write(self, tmp_path: Path) -> None:
        out = BytesIO()
        write_nem12_transfers(transfers(), out, written_at_s=MIDNIGHT_S)
        path = tmp_path / "out.csv"
        path.write_bytes(out.getvalue())
        data = read_nem_file(str(path)).readings["0000000001"]
        assert sorted(data) == ["B1", "B2", "E1", "E2"]
        assert data["B1"][4].read_value == 0.75
        assert {r.meter_serial_number for r in data["E2"]} == {"cable-2"}
        assert len(data["E1"]) == 48

    def test_a_cable_is_a_meter_of_the_sites_nmi(self, tmp_path: Path) -> None:
        out = BytesIO()
        write_nem12_transfers(transfers(), out, written_at_s=MIDNIGHT_S)
        cables = {"cable-1": CableId("cable-1"), "cable-2": CableId("cable-2")}
        with read_bytes(tmp_path, out, cables=cables) as delivery:
            got = {(t.key, t.site_to_vehicle_wh, t.vehicle_to_site_wh) for t in delivery.transfers}
            assert delivery.summary.facts == 0
        assert got == {(t.key, t.site_to_vehicle_wh, t.vehicle_to_site_wh) for t in transfers()}

    def test_names_of_the_market_may_be_given(self, tmp_path: Path) -> None:
        site, cable = SiteId("jp.routeb:0123"), CableId("a-cable-with-a-long-name")
        transfer = PeriodTransfer(
            cable_id=cable,
            site_id=site,
            period=period(0),
            site_to_vehicle_wh=5,
            vehicle_to_site_wh=0,
        )
        names = Nem12Names(nmis={site: "ABCDEFGHIJ"}, serials={cable: "SN7"})
        out = BytesIO()
        write_nem12_transfers([transfer], out, written_at_s=MIDNIGHT_S, names=names)
        aliases, cables = {SiteId("nmi:ABCDEFGHIJ"): site}, {"SN7": cable}
        with read_bytes(tmp_path, out, aliases=aliases, cables=cables) as delivery:
            [read] = delivery.transfers
        assert (read.key, read.site_to_vehicle_wh) == (transfer.key, 5)

    @pytest.mark.parametrize(
        ("site", "cable", "length_s", "reason"),
        [
            ("obis:0123", "cable-1", 1800, "no NMI"),
            ("nmi:short", "cable-1", 1800, "no NMI"),
            ("nmi:0000000001", "a-cable-with-a-long-name", 1800, "at most 12 characters"),
            ("nmi:0000000001", "cable-1", 3600, "no periods of 3600 s"),
        ],
    )
    def test_what_nem12_cannot_say_is_refused(
        self, site: str, cable: str, length_s: int, reason: str
    ) -> None:
        transfer = PeriodTransfer(
            cable_id=CableId(cable),
            site_id=SiteId(site),
            period=Period.containing(MIDNIGHT_S, length_s),
            site_to_vehicle_wh=1,
            vehicle_to_site_wh=0,
        )
        with pytest.raises(NotExpressible, match=reason):
            write_nem12_transfers([transfer], BytesIO(), written_at_s=0)

    def test_unsorted_transfers_are_refused(self) -> None:
        for wrong in (list(reversed(transfers())), [*transfers(), *transfers()[-1:]]):
            with pytest.raises(NotExpressible, match="sorted"):
                write_nem12_transfers(wrong, BytesIO(), written_at_s=0)


def transfers() -> list[PeriodTransfer]:
    def all_of(cable: str) -> Iterator[PeriodTransfer]:
        for n in (4, 5, 9):
            yield PeriodTransfer(
                cable_id=CableId(cable),
                site_id=SITE,
                period=period(n),
                site_to_vehicle_wh=10 * n if cable == "cable-2" else 0,
                vehicle_to_site_wh=750,
            )

    return [*all_of("cable-1"), *all_of("cable-2")]
