"""Our own CSV: readings, transfers and the utility's register, in and out."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridcord.metering.records import AssetLoading
from gridcord.units import CableId, Period, Position, SiteId
from tests.unit.utility_adapter.files import facts_of, read_bytes, read_text
from tests.unit.utility_adapter.meter_data import (
    OPTIONS,
)
from utility_adapter.domain.grid_asset import GridAsset
from utility_adapter.domain.readings import DataQuality, ReadingFact, Register
from utility_adapter.domain.site import Site
from utility_adapter.domain.transfers import PeriodTransfer
from utility_adapter.sources import (
    FileRefused,
    Format,
    detect,
    read_file,
    write_csv_readings,
    write_csv_transfers,
)

IMPORT, EXPORT = Register.IMPORT, Register.EXPORT
NOON_S = 1_778_846_400


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
            "area_id\n"
            "nmi:0000000001,35.6812,139.7671,SN2 SN1,6000,200,pole-7,3\n"
            "nmi:0000000002,,,,,,,\nend,2\n"
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
        )
        assert bare == Site(site_id=SiteId("nmi:0000000002"))

    @pytest.mark.parametrize(
        ("row", "reason"),
        [
            ("nmi:1,95,0,", "no such place"),
            ("nmi:1,35.0,,", "a latitude and a longitude"),
            ("nmi:1,1_0,1,", "latitude_deg: not a finite number"),
            ("nmi:1,,,0", "rated_power_w of nmi:1 is not positive"),
            ("home,,,", "site_id: not a site id"),
        ],
    )
    def test_broken_sites(self, tmp_path: Path, row: str, reason: str) -> None:
        header = "site_id,latitude_deg,longitude_deg,rated_power_w"
        with pytest.raises(FileRefused, match=reason) as refused:
            read_text(tmp_path, f"{header}\n{row}\nend,1\n")
        assert refused.value.line == 2

    def test_secrets_of_meters_are_not_taken(self, tmp_path: Path) -> None:
        """They come by `gridcord site-access` only; the refusal names columns, and no secret."""
        text = "site_id,route_b_id,route_b_password\nnmi:1,00AB,hush-hush\nend,1\n"
        with pytest.raises(FileRefused, match=r"not known: .*route_b_password") as refused:
            read_text(tmp_path, text)
        assert "hush-hush" not in str(refused.value)

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
