"""The real utility adapter: files in, answers to a manager, transfers out, and kills in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import grpc
import pytest

from gridcord.api.types.v1.types_pb2 import ReadingQuality
from gridcord.api.utility.v1 import utility_service_pb2 as pb
from gridcord.api.utility.v1.utility_service_pb2_grpc import UtilityServiceStub
from gridcord.chassis.exit_codes import ExitCode
from gridcord.chassis.failures import failure_of
from gridcord.chassis.identity import Kind
from gridcord.simulation.espi_server import EspiServer
from gridcord.simulation.world import write_table
from gridcord.units import Period, SiteId
from gridcord.wire.values import period_to_proto
from tests.integration.adapters import Adapter, first, running_adapter, until
from tests.unit.utility_adapter.meter_data import ESPI, Sample
from utility_adapter.sources import ReadOptions, read_file

SITE = "nmi:4001234567"
PERIOD = Period(1_778_846_400)  # 2026-05-15T12:00:00Z
CABLE = "cable-0001"
READINGS = "site_id,period_start,import_wh,export_wh"


def put_register(inbox: Path) -> None:
    """Files of a site below a transformer, and of its loading."""
    site = f"{SITE},35.6812,139.7671,SN1 SN2,6000,tr-7,tokyo"
    columns = "site_id,latitude_deg,longitude_deg,meter_ids,rated_power_w,asset_id,area_id"
    write_table(inbox / "1-assets.csv", "asset_id,kind,rated_va", ["tr-7,TRANSFORMER,50000"])
    write_table(inbox / "2-sites.csv", columns, [site])
    loading = "tr-7,2026-05-15T12:00:00Z,82.5,50000"
    write_table(
        inbox / "3-loadings.csv", "asset_id,measured_at,loading_percent,rated_va", [loading]
    )


def put_readings(inbox: Path, name: str, *import_wh: int, first_period: int = 0) -> None:
    rows = [
        f"{SITE},{PERIOD.next(first_period + n).start:%Y-%m-%dT%H:%M:%SZ},{wh},0"
        for n, wh in enumerate(import_wh)
    ]
    write_table(inbox / name, READINGS, rows)


def transfer(sequence: int, **changes: int) -> pb.ReportedTransfer:
    values: dict[str, Any] = {"site_to_vehicle_wh": 0, "vehicle_to_site_wh": 650} | changes
    return pb.ReportedTransfer(
        cable_id=CABLE,
        journal_epoch=7,
        sequence_number=sequence,
        site_id=SITE,
        period=period_to_proto(PERIOD),
        **values,
    )


async def report(stub: Any, *messages: Iterable[pb.ReportedTransfer]) -> tuple[int, int]:
    async def stream() -> AsyncIterator[pb.ReportTransfersRequest]:
        for transfers in messages:
            yield pb.ReportTransfersRequest(transfers=transfers)

    answer = await stub.ReportTransfers(stream())
    return answer.stored_count, answer.known_count


async def imports(stub: Any) -> list[int]:
    request = pb.ListReadingsRequest(
        site_id=SITE, first_period=period_to_proto(PERIOD), period_count=10
    )
    return [each.import_wh for each in (await stub.ListReadings(request)).readings]


def tables(folder: Path, **outbox: str) -> dict[str, dict[str, Any]]:
    return {
        "inbox": {"folder": str(folder / "inbox"), "look_s": 0.1},
        "outbox": {"file": str(folder / "out" / "transfers"), "write_every_s": 0.1, **outbox},
    }


def test_files_become_answers_and_outlive_a_kill(tmp_path: Path) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()

    async def before(adapter: Adapter) -> str:
        put_register(inbox)
        put_readings(inbox, "4-readings.csv", 731, 0, 512)
        async with adapter.channel() as channel:
            stub = UtilityServiceStub(channel)
            stream = stub.WatchReadings(pb.WatchReadingsRequest())
            last = await first(stream, lambda each: each.reading.import_wh == 512)
            assert last.reading.site_id == SITE
            assert last.reading.quality == ReadingQuality.READING_QUALITY_COMPLETE
            assert await imports(stub) == [731, 0, 512]
            loading = await first(
                stub.WatchAssetLoading(pb.WatchAssetLoadingRequest()), lambda _: True
            )
            assert list(loading.site_ids) == [SITE]
            assert loading.asset_loading.loading_percent == 82.5
            site = (await stub.GetSite(pb.GetSiteRequest(site_id=SITE))).site
            with pytest.raises(grpc.aio.AioRpcError) as unknown:
                await stub.GetSite(pb.GetSiteRequest(site_id="nmi:none"))
        assert (site.rated_power_w, site.area_id) == (6000, "tokyo")
        assert sorted(site.meter_ids) == ["SN1", "SN2"]
        assert [asset.rated_va for asset in site.assets] == [50_000]
        assert failure_of(unknown.value).reason == "SITE_NOT_FOUND"
        return str(last.cursor)

    async def after(adapter: Adapter, cursor: str) -> None:
        async with adapter.channel() as channel:
            stub = UtilityServiceStub(channel)
            assert await imports(stub) == [731, 0, 512]
            put_readings(inbox, "4-readings.csv", 731, 0, 512)  # the same again: nothing new
            put_readings(inbox, "5-readings.csv", 600, first_period=3)
            stream = stub.WatchReadings(pb.WatchReadingsRequest(cursor=cursor))
            told = await first(stream, lambda _: True)
            assert told.reading.import_wh == 600
            assert (await stub.GetSite(pb.GetSiteRequest(site_id=SITE))).site.area_id == "tokyo"
            write_table(inbox / "6-broken.csv", READINGS, [f"{SITE},yesterday,1,1"])
            refused = inbox / "refused" / "6-broken.csv.txt"
            await until(lambda: asyncio.to_thread(refused.exists), bool)
            assert await imports(stub) == [731, 0, 512, 600]

    with running_adapter(Kind.UTILITY, tmp_path / "utility", tables(tmp_path)) as adapter:
        cursor = asyncio.run(before(adapter))
        adapter.restart()
        asyncio.run(after(adapter, cursor))
        assert adapter.program.stop() == ExitCode.OK
    assert {path.name for path in (inbox / "done").iterdir()} == {
        f"{n}-{what}.csv"
        for n, what in enumerate(["assets", "sites", "loadings", "readings", "readings"], start=1)
    }


def written(file: Path) -> list[tuple[str, int, int]]:
    """Transfers other than none in the outbox, as a utility would read them."""
    with read_file(file, ReadOptions(received_at_s=0.0)) as delivery:
        return [
            (each.site_id, each.site_to_vehicle_wh, each.vehicle_to_site_wh)
            for each in delivery.transfers
            if each.site_to_vehicle_wh or each.vehicle_to_site_wh
        ]


async def eventually_written(file: Path, expected: list[tuple[str, int, int]]) -> None:
    async def look() -> list[tuple[str, int, int]]:
        exists = await asyncio.to_thread(file.exists)
        return await asyncio.to_thread(written, file) if exists else []

    assert await until(look, lambda found: found == expected) == expected


@pytest.mark.parametrize("form", ["csv", "espi"])
def test_transfers_are_stored_once_and_written_out(tmp_path: Path, form: str) -> None:
    file = tmp_path / "out" / "transfers"
    site = SiteId(SITE)

    async def story(adapter: Adapter) -> None:
        async with adapter.channel() as channel:
            stub = UtilityServiceStub(channel)
            one, two = transfer(1), transfer(2, site_to_vehicle_wh=30, vehicle_to_site_wh=0)
            assert await report(stub, [one], [two]) == (2, 0)
            assert await report(stub, [one, two]) == (0, 2)
            await eventually_written(file, [(site, 30, 650)])
            with pytest.raises(grpc.aio.AioRpcError) as differs:
                await report(stub, [transfer(1, vehicle_to_site_wh=651)])
            assert failure_of(differs.value).reason == "TRANSFER_DIFFERS"
        adapter.program.kill()
        file.unlink()  # as if the kill had come before it was written
        adapter.program.start()
        async with adapter.channel() as channel:
            stub = UtilityServiceStub(channel)
            await eventually_written(file, [(site, 30, 650)])
            correction = transfer(1, revision=1, vehicle_to_site_wh=640)
            assert await report(stub, [one, two, correction]) == (1, 2)
            await eventually_written(file, [(site, 30, 640)])

    settings = tables(tmp_path, format=form)
    with running_adapter(Kind.UTILITY, tmp_path / "utility", settings) as adapter:
        asyncio.run(story(adapter))


def test_a_green_button_server_is_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("simulated\n", "utf-8")
    sample = Sample(sites=1, days=1)

    async def story() -> None:
        async with EspiServer() as server:
            server.publish("7", ESPI.text(sample).encode())
            espi = {
                "resource_url": server.resource_url,
                "token_url": server.token_url,
                "client_id": server.client_id,
                "secret_file": str(tmp_path / "secret"),
                "subscription_id": "7",
                "every_s": 0.1,
            }
            settings = {**tables(tmp_path), "espi": espi}
            with running_adapter(Kind.UTILITY, tmp_path / "utility", settings) as adapter:
                await asyncio.to_thread(adapter.program.wait_ready)  # the server lives in this loop
                async with adapter.channel() as channel:
                    stream = UtilityServiceStub(channel).WatchReadings(pb.WatchReadingsRequest())
                    told = await first(stream, lambda each: each.HasField("reading"))
                    stream.cancel()
            expected = {site for site, _, _ in ESPI.expected(sample)}
            assert {told.reading.site_id} == expected

    asyncio.run(story())
