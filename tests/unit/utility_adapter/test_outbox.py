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


def transfer(sequence: int, *, period: Period = PERIOD, **changes: int) -> ReportedTransfer:
    values = {"revision": 0, "site_to_vehicle_wh": 0, "vehicle_to_site_wh": 650} | changes
    return ReportedTransfer(
        cable_id=CABLE,
        journal_epoch=7,
        sequence_number=sequence,
        site_id=SITE,
        period=period,
        received_at_s=0.0,
        **values,
    )


def outbox(
    store: Store, file: Path | None, settings: OutboxSettings, *, folder: Path | None = None
) -> Outbox:
    return Outbox(
        store,
        file,
        folder=folder,
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


NEXT_DAY = PERIOD.next(48)


def files_of_days(store: Store, folder: Path, settings: OutboxSettings | None = None) -> list[str]:
    """Names of the files that a start with what is stored writes."""
    before = {path.name: path.stat().st_mtime_ns for path in folder.glob("*")}
    asyncio.run(outbox(store, None, settings or OutboxSettings(), folder=folder).write())
    after = {path.name: path.stat().st_mtime_ns for path in folder.glob("*")}
    return sorted(name for name, written_ns in after.items() if before.get(name) != written_ns)


def test_each_day_is_a_file_that_is_written_when_it_changed(tmp_path: Path, store: Store) -> None:
    folder = tmp_path / "out"
    first, second = "transfers-2026-05-15.csv", "transfers-2026-05-16.csv"
    store.report([transfer(1), transfer(2, period=NEXT_DAY, vehicle_to_site_wh=50)])
    assert files_of_days(store, folder) == [first, second]
    assert told(folder / first) == [(CABLE, SITE, 0, 650)]
    assert told(folder / second) == [(CABLE, SITE, 0, 50)]
    assert files_of_days(store, folder) == []
    store.report([transfer(1)])  # nothing new
    assert files_of_days(store, folder) == []
    store.report([transfer(3, period=NEXT_DAY, vehicle_to_site_wh=7)])
    assert files_of_days(store, folder) == [second]
    assert told(folder / second) == [(CABLE, SITE, 0, 57)]


def test_a_correction_that_moves_a_record_is_told_on_both_days(
    tmp_path: Path, store: Store
) -> None:
    folder = tmp_path / "out"
    store.report([transfer(1)])
    files_of_days(store, folder)
    store.report([transfer(1, revision=1, period=NEXT_DAY)])
    assert len(files_of_days(store, folder)) == 2
    with read_file(folder / "transfers-2026-05-15.csv", ReadOptions(received_at_s=0.0)) as left:
        assert [each.vehicle_to_site_wh for each in left.transfers] == [0]
    assert told(folder / "transfers-2026-05-16.csv") == [(CABLE, SITE, 0, 650)]


def test_what_changes_while_a_day_is_written_is_not_forgotten(tmp_path: Path, store: Store) -> None:
    store.report([transfer(1)])
    ((day, changes),) = store.changed_days().items()
    store.report([transfer(2)])
    store.told(day, changes)
    assert files_of_days(store, tmp_path / "out") == ["transfers-2026-05-15.csv"]
    assert told(tmp_path / "out" / "transfers-2026-05-15.csv") == [(CABLE, SITE, 0, 1300)]


def test_a_day_that_cannot_be_told_is_tried_again(tmp_path: Path, store: Store) -> None:
    store.report([transfer(1)])
    folder = tmp_path / "out"
    assert files_of_days(store, folder, OutboxSettings(format="nem12")) == []
    assert files_of_days(store, folder) == ["transfers-2026-05-15.csv"]


def test_days_begin_where_the_format_has_them_begin(tmp_path: Path) -> None:
    engine = open_engine(tmp_path / "utility.db")
    store = Store(engine, day_offset_s=10 * 3600)
    settings = OutboxSettings(format="nem12", nem12=NAMES)
    store.report([transfer(1), transfer(2, period=PERIOD.next(4))])  # midnight in Brisbane is 14:00
    folder = tmp_path / "out"
    assert files_of_days(store, folder, settings) == [
        "transfers-2026-05-15.csv",
        "transfers-2026-05-16.csv",
    ]
    for path in folder.iterdir():
        day = path.stem.removeprefix("transfers-").replace("-", "")
        rows = [line for line in path.read_text("ascii").splitlines() if line.startswith("300,")]
        assert {row.split(",")[1] for row in rows} == {day}
    engine.dispose()
