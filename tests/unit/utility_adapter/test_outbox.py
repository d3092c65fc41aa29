"""The file of transfers: every format reads back as what was reported, whatever died before."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from gridcord.chassis.settings import SettingsError
from gridcord.units import CableId, Period, SiteId
from utility_adapter.assembly import transfer_writer
from utility_adapter.domain.transfers import ReportedTransfer
from utility_adapter.outbox import Outbox
from utility_adapter.settings import Nem12Settings, OutboxSettings
from utility_adapter.sources import ReadOptions, read_file
from utility_adapter.storage.engine import open_engine
from utility_adapter.storage.store import Store

PERIOD = Period(1_778_846_400)
SITE, CABLE = SiteId("obis:4530303033"), CableId("cable-with-a-long-name")
NAMES = Nem12Settings(nmis={SITE: "NMIH001001"}, serials={CABLE: "GC0001"})


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    engine = open_engine(tmp_path / "utility.db")
    yield Store(engine)
    engine.dispose()


def transfer(sequence: int, **changes: int) -> ReportedTransfer:
    values = {"revision": 0, "site_to_vehicle_wh": 0, "vehicle_to_site_wh": 650} | changes
    return ReportedTransfer(
        cable_id=CABLE,
        journal_epoch=7,
        sequence_number=sequence,
        site_id=SITE,
        period=PERIOD,
        received_at_s=0.0,
        **values,
    )


def outbox(store: Store, file: Path, settings: OutboxSettings) -> Outbox:
    return Outbox(
        store,
        file,
        write=transfer_writer(settings),
        now=lambda: PERIOD.end_s + 60.0,
        sleep=asyncio.sleep,
        write_every_s=0.01,
    )


def told(file: Path) -> list[tuple[str, str, int, int]]:
    options = ReadOptions(
        received_at_s=0.0, aliases={SiteId("nmi:NMIH001001"): SITE}, cables={"GC0001": CABLE}
    )
    with read_file(file, options) as delivery:
        return [
            (each.cable_id, each.site_id, each.site_to_vehicle_wh, each.vehicle_to_site_wh)
            for each in delivery.transfers
            if each.site_to_vehicle_wh or each.vehicle_to_site_wh
        ]


@pytest.mark.parametrize("name", ["csv", "espi", "nem12"])
def test_each_format_reads_back_as_what_was_reported(
    tmp_path: Path, store: Store, name: str
) -> None:
    store.report([transfer(1), transfer(2, vehicle_to_site_wh=50)])
    store.report([transfer(2, revision=1, vehicle_to_site_wh=40)])
    settings = OutboxSettings.model_validate({"format": name, "nem12": NAMES})
    file = tmp_path / "out" / "transfers"
    asyncio.run(outbox(store, file, settings).write())
    found = [(cable, charged, given) for cable, _, charged, given in told(file)]
    assert found == [(CABLE, 0, 690)]
    assert [path.name for path in file.parent.iterdir()] == ["transfers"]


def test_what_was_reported_before_a_kill_is_written_at_the_next_start(
    tmp_path: Path, store: Store
) -> None:
    store.report([transfer(1)])
    file = tmp_path / "transfers.csv"

    async def story() -> None:
        running = asyncio.ensure_future(outbox(store, file, OutboxSettings()).run())
        async with asyncio.timeout(60):
            while not file.exists():  # noqa: ASYNC110  a thread writes it
                await asyncio.sleep(0.01)
        running.cancel()

    asyncio.run(story())
    assert told(file) == [(CABLE, SITE, 0, 650)]


def test_what_a_format_cannot_say_leaves_the_file_as_it_was(tmp_path: Path, store: Store) -> None:
    file = tmp_path / "transfers.csv"
    file.write_text("as it was", "utf-8")
    store.report([transfer(1)])
    asyncio.run(outbox(store, file, OutboxSettings(format="nem12")).write())
    assert file.read_text("utf-8") == "as it was"
    assert not (tmp_path / ".transfers.csv").exists()


def test_names_that_are_none_are_refused() -> None:
    settings = OutboxSettings(format="nem12", nem12=Nem12Settings(nmis={"no site": "NMIH001001"}))
    with pytest.raises(SettingsError, match=r"outbox\.nem12"):
        transfer_writer(settings)
