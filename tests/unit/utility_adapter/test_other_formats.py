"""D0036, Japan's two families, IEC 61968-9 and our own CSV: documented values and their meaning."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridcord.metering.records import AssetLoading
from gridcord.units import CableId, Period, Position, SiteId
from tests.reference_data import reference
from tests.unit.utility_adapter.files import facts_of, read_bytes, read_text, wh_of
from tests.unit.utility_adapter.meter_data import (
    IEC_DELTA,
    IEC_REGISTER,
    IEC_REGISTERS,
    JAPAN_CONFIRMED,
    JAPAN_PROVISIONAL,
    OPTIONS,
    Sample,
    iec_message,
    iec_reading,
)
from utility_adapter.domain.admission import Admission, admit
from utility_adapter.domain.grid_asset import GridAsset
from utility_adapter.domain.readings import DataQuality, ReadingFact, Register
from utility_adapter.domain.site import RouteBAccess, Site
from utility_adapter.domain.transfers import PeriodTransfer
from utility_adapter.sources import (
    Delivery,
    FileRefused,
    Format,
    NoteKind,
    RegisterRead,
    detect,
    read_file,
    write_csv_readings,
    write_csv_transfers,
)
from utility_adapter.sources.iec_reading_type import parse_reading_type

IMPORT, EXPORT = Register.IMPORT, Register.EXPORT
NOON_S = 1_778_846_400


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


class TestCsv:
    def test_only_what_is_stated_is_a_fact(self, tmp_path: Path) -> None:
        text = (
            "period_start,site_id,export_wh,import_wh\r\n"
            "2026-05-15T21:00:00+09:00,obis:1,,700\r\n\r\n"
            '"2026-05-15T12:30:00Z",obis:1,0,\r\n'
            "end,2\r\n"
        )
        facts = facts_of(read_text(tmp_path, text))
        assert [(f.period.start_s, f.register, f.wh) for f in facts] == [
            (NOON_S, IMPORT, 700),
            (NOON_S + 1800, EXPORT, 0),
        ]
        assert {(f.quality, f.revision, f.step_wh) for f in facts} == {(DataQuality.VALID, 0, 1)}

    def test_a_byte_order_mark_is_passed_over(self, tmp_path: Path) -> None:
        text = "\ufeffsite_id,period_start,import_wh,export_wh\nend,0\n"
        assert facts_of(read_text(tmp_path, text)) == []

    def test_sites(self, tmp_path: Path) -> None:
        text = (
            "site_id,latitude_deg,longitude_deg,meter_ids,rated_power_w,service_voltage_v,asset_id,"
            "area_id,route_b_id,route_b_password\n"
            "nmi:0000000001,35.6812,139.7671,SN2 SN1,6000,200,pole-7,3,00AB,secret\n"
            "nmi:0000000002,,,,,,,,,\nend,2\n"
        )
        with read_text(tmp_path, text) as delivery:
            assert delivery.format is Format.CSV_SITES
            full, bare = delivery.sites
        assert full == Site(
            site_id=SiteId("nmi:0000000001"),
            position=Position(35.6812, 139.7671),
            meter_ids=("SN1", "SN2"),
            rated_power_w=6000,
            service_voltage_v=200,
            asset_id="pole-7",
            area_id="3",
            route_b=RouteBAccess(route_b_id="00AB", password="secret"),
        )
        assert bare == Site(site_id=SiteId("nmi:0000000002"))

    @pytest.mark.parametrize(
        ("row", "reason"),
        [
            ("nmi:1,95,0,,,", "no such place"),
            ("nmi:1,35.0,,,,", "a latitude and a longitude"),
            ("nmi:1,1_0,1,,,", "latitude_deg: not a finite number"),
            ("nmi:1,,,0,,", "rated_power_w of nmi:1 is not positive"),
            ("nmi:1,,,,x,", "a route-B id and a password"),
            ("home,,,,,", "site_id: not a site id"),
        ],
    )
    def test_broken_sites(self, tmp_path: Path, row: str, reason: str) -> None:
        header = "site_id,latitude_deg,longitude_deg,rated_power_w,route_b_id,route_b_password"
        with pytest.raises(FileRefused, match=reason) as refused:
            read_text(tmp_path, f"{header}\n{row}\nend,1\n")
        assert refused.value.line == 2

    def test_assets_and_loadings(self, tmp_path: Path) -> None:
        assets = (
            "asset_id,kind,rated_va,parent_id,load_limit_percent,feed_limit_percent\n"
            "pole-7,pole transformer,30000,bank-2,90,60\nbank-2,bank,10000000,,,\nend,2\n"
        )
        with read_text(tmp_path, assets) as delivery:
            assert delivery.assets == (
                GridAsset(
                    asset_id="pole-7",
                    kind="pole transformer",
                    rated_va=30_000,
                    parent_id="bank-2",
                    load_limit_percent=90,
                    feed_limit_percent=60,
                ),
                GridAsset(asset_id="bank-2", kind="bank", rated_va=10_000_000),
            )
        loadings = (
            "asset_id,measured_at,loading_percent\npole-7,2026-05-15T12:00:00Z,-61.5\nend,1\n"
        )
        with read_text(tmp_path, loadings) as delivery:
            assert delivery.loadings == (
                AssetLoading(asset_id="pole-7", loading_percent=-61.5, measured_s=NOON_S),
            )

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("asset_id,kind,rated_va\npole-7,pole,0\nend,1\n", "must be positive"),
            ("asset_id,kind,rated_va\n,pole,1\nend,1\n", "asset_id is empty"),
            ("asset_id,measured_at,loading_percent\na,now,5\nend,1\n", "measured_at: not a time"),
            (
                "asset_id,measured_at,loading_percent\na,2026-05-15T12:00:00Z,nan\nend,1\n",
                "loading_percent: not a finite number",
            ),
        ],
    )
    def test_broken_registers(self, tmp_path: Path, text: str, reason: str) -> None:
        with pytest.raises(FileRefused, match=reason) as refused:
            read_text(tmp_path, text)
        assert refused.value.line == 2

    def test_transfers_twice_are_refused(self, tmp_path: Path) -> None:
        row = "cable-1,obis:1,2026-05-15T12:00:00Z,0,750\n"
        header = "cable_id,site_id,period_start,site_to_vehicle_wh,vehicle_to_site_wh\n"
        with pytest.raises(FileRefused, match=r"file\.txt:3: .* twice"):
            read_text(tmp_path, f"{header}{row}{row}end,2\n")


facts = st.builds(
    ReadingFact,
    site_id=st.sampled_from([SiteId("obis:1"), SiteId("jp.routeb:0123")]),
    period=st.integers(0, 50).map(lambda n: Period(NOON_S + n * 1800)),
    register=st.sampled_from(Register),
    wh=st.integers(0, 10**15),
    step_wh=st.sampled_from([1, 10, 100]),
    quality=st.sampled_from(DataQuality),
    revision=st.integers(0, 2**40),
    received_at_s=st.just(OPTIONS.received_at_s),
    source=st.just("file"),
    method=st.sampled_from(["", "S14", "by hand, twice", 'said "so"']),
)


class TestWritingCsv:
    @given(batch=st.lists(facts, unique_by=lambda f: f.key))
    def test_written_readings_are_read(
        self, batch: list[ReadingFact], tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        batch.sort(key=lambda f: f.key)
        out = BytesIO()
        write_csv_readings(batch, out)
        assert set(facts_of(read_bytes(tmp_path_factory.mktemp("csv"), out))) == set(batch)

    @given(
        batch=st.lists(
            st.builds(
                PeriodTransfer,
                cable_id=st.sampled_from([CableId("cable-1"), CableId("c")]),
                site_id=st.sampled_from([SiteId("obis:1"), SiteId("jp.routeb:0123")]),
                period=st.integers(0, 50).map(lambda n: Period(NOON_S + n * 1800)),
                site_to_vehicle_wh=st.integers(0, 10**15),
                vehicle_to_site_wh=st.integers(0, 10**15),
                step_wh=st.integers(1, 100),
                revision=st.integers(0, 9),
            ),
            unique_by=lambda t: t.key,
        )
    )
    def test_written_transfers_are_read(
        self, batch: list[PeriodTransfer], tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        out = BytesIO()
        write_csv_transfers(batch, out, written_at_s=0)
        path = tmp_path_factory.mktemp("csv") / "transfers.csv"
        path.write_bytes(out.getvalue())
        assert detect(path) is Format.CSV_TRANSFERS
        with read_file(path, OPTIONS) as delivery:
            assert delivery.transfers == tuple(batch)


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
