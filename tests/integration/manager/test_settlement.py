"""Half hours become ledger entries once, are corrected by what comes late, and can be proven."""

from __future__ import annotations

import asyncio
import csv
import json
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from gridcord.api.manager.v1 import transfer_service_pb2 as pb
from gridcord.chassis.identity import Role
from gridcord.cli.main import main
from gridcord.metering.reading import ReadingSource, SiteReading, Verdict
from gridcord.metering.records import SiteObservation, TransferRecord
from gridcord.metering.verdict import StatedMatch
from gridcord.units import Period, epoch_text
from manager.storage.derivation.utility_facts import SqlUtilityFacts
from manager.storage.engine import Database
from manager.storage.schema import migrate
from tests.integration.manager.conftest import ManagerProcess, running_manager
from tests.integration.manager.recording import (
    RecordingCable,
    eventually,
    listed,
    tools,
)

DAY_S = 86_400
PAID = 6_000_000  # 0.3 kWh at 20 JPY
NOON = Period.containing((time.time() // DAY_S - 2) * DAY_S + DAY_S / 2)
UNDECIDED = StatedMatch(verdict=Verdict.INDETERMINATE, reason="NO_REFERENCE")


@dataclass
class Settled:
    """A manager that judges at once by the patent's rule, and the address of its database."""

    process: ManagerProcess
    database: str

    def command(self, *arguments: str) -> int:
        return main([*arguments, "--database", self.database])

    def rows(self, query: str) -> list[Any]:
        url = self.database if "://" in self.database else f"sqlite:///{self.database}"
        engine = sa.create_engine(url)
        with engine.connect() as connection:
            rows = list(connection.exec_driver_sql(query))
        engine.dispose()
        return rows


@pytest.fixture
def settled(request: pytest.FixtureRequest, database_url: str, tmp_path: Path) -> Iterator[Settled]:
    url = "" if database_url.startswith("sqlite") else database_url
    match = {
        "rule": "patent",
        "difference_wh": 50,
        "reading_grace_s": 0,
        "check_every_s": 0.2,
        "sample_matched": 0,
    }
    with running_manager(tmp_path, url, match=match) as process:
        yield Settled(process, url or str(tmp_path / "manager.db"))


def half_hour(number: int) -> Period:
    """Of the day before yesterday, from noon on."""
    return NOON.next(number)


def reading(
    cable: RecordingCable,
    period: Period,
    import_wh: int,
    source: ReadingSource = ReadingSource.SMART_METER,
) -> SiteReading:
    return SiteReading(
        site_id=cable.site_id, period=period, source=source, import_wh=import_wh, export_wh=0
    )


def observation(cable: RecordingCable, period: Period, import_wh: int) -> SiteObservation:
    return SiteObservation(
        period=period,
        site_id=cable.site_id,
        readings=(reading(cable, period, import_wh),),
        transferred_wh=0,
        match=UNDECIDED,
    )


def half_hours(cable: RecordingCable) -> tuple[list[TransferRecord], list[SiteObservation]]:
    """An idle half hour, one whose discharge the meter saw, and one whose it did not."""
    records = [cable.counted(half_hour(number), discharged_wh=300) for number in (1, 2)]
    seen = [observation(cable, half_hour(n), wh) for n, wh in ((0, 300), (1, 0), (2, 300))]
    return records, seen


async def energies(settled: Settled, cable: RecordingCable) -> list[int | None]:
    async with tools(settled.process, Role.VIEWER) as client:
        found: list[pb.Transfer] = await listed(client.transfers(cable_id=cable.name))
    return [each.earning.energy.amount_micros for each in found]


async def earning(settled: Settled, cable: RecordingCable, wanted: list[int]) -> None:
    await eventually(lambda: energies(settled, cable), lambda found: found == wanted)


def restart(settled: Settled) -> None:
    """Kill the manager and start another on what it left."""
    settled.process.program.kill()
    settled.process.program.start()
    settled.process.address = str(settled.process.program.wait_ready()["grpc"])


async def the_utility_tells(settled: Settled, told: SiteReading) -> None:
    url = settled.database if "://" in settled.database else f"sqlite:///{settled.database}"
    database = Database(url)
    await SqlUtilityFacts(database).take_reading(told, "1", now_s=int(time.time()))
    database.close()


def test_money_follows_what_is_known_across_restarts(
    settled: Settled, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cable = RecordingCable(settled.process)
    records, seen = half_hours(cable)

    async def scenario() -> None:
        await cable.deliver(records)
        await earning(settled, cable, [0, 0])  # nobody knows what the meter saw
        restart(settled)
        await cable.deliver(seen)
        await earning(settled, cable, [PAID, 0])  # the second did not pass the meter
        restart(settled)
        late = reading(cable, half_hour(2), 0, source=ReadingSource.UTILITY)
        await the_utility_tells(settled, late)
        await earning(settled, cable, [PAID, PAID])  # by the utility it did
        restart(settled)
        await earning(settled, cable, [PAID, PAID])

    asyncio.run(scenario())
    assert settled.command("ledger", "check", "--json") == 0
    checked = json.loads(capsys.readouterr().out)
    assert (checked["ok"], checked["sums"], checked["waiting"]) == (True, {"JPY": 0}, 0)
    kinds = settled.rows("SELECT kind, COUNT(*) FROM ledger_fact GROUP BY kind")
    counts = dict(map(tuple, kinds))
    assert (counts["READING"], counts["TRANSFER"]) == (4, 2)
    site = f"site:{cable.site_id}@{half_hour(2)}"
    history = settled.rows(
        f"SELECT serial, reverses FROM ledger_entry WHERE subject = '{site}' ORDER BY serial"
    )
    assert [tuple(row) for row in history] == [(1, None), (2, 1), (3, None)]
    _prove(settled, cable, tmp_path, capsys)
    _state(settled, cable, tmp_path, capsys)


def _prove(
    settled: Settled, cable: RecordingCable, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = folder / "bundle.zip"
    wanted = ("evidence", "export", "--site", cable.site_id, "-o", str(bundle))
    assert settled.command(*wanted) == 0
    assert main(["evidence", "verify", str(bundle)]) == 0
    forged = folder / "forged.zip"
    with zipfile.ZipFile(bundle) as before, zipfile.ZipFile(forged, "w") as after:
        for name in before.namelist():
            content = before.read(name)
            if name.startswith("earnings"):
                content = content.replace(str(PAID).encode(), str(PAID + 1).encode(), 1)
                assert content != before.read(name)
            after.writestr(name, content)
    capsys.readouterr()
    assert main(["evidence", "verify", str(forged), "--json"]) == 1
    problem = json.loads(capsys.readouterr().out)["problem"]
    assert (problem["member"], problem["line"]) == ("earnings", 1)


def _state(
    settled: Settled, cable: RecordingCable, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    month = half_hour(0).start.strftime("%Y-%m")
    named = ("--month", month, "--zone", "UTC")
    assert settled.command("statement", "driver", cable.driver_id, *named, "--json") == 0
    statement = json.loads(capsys.readouterr().out)
    assert statement["by_purpose_micros"] == {"AVAILABILITY": 2_000_000, "ENERGY": 2 * PAID}
    page = folder / "statement.html"
    assert settled.command("statement", "driver", cable.driver_id, *named, "-o", str(page)) == 0
    assert "<svg" in page.read_text()
    capsys.readouterr()
    assert settled.command("export", "ledger", *named, "--json") == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    own = [each for each in lines if each["account"] == f"DRIVER:{cable.driver_id}"]
    assert sum(each["micros"] for each in own) == 2_000_000 + 2 * PAID
    assert settled.command("export", "transfers", *named) == 0
    written = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert [each["journal_epoch"] for each in written] == [epoch_text(cable.epoch)] * 2
    assert settled.command("ledger", "reconcile", *named, "--json") == 1
    (site,) = json.loads(capsys.readouterr().out)["sites"]
    assert (site["discharged_wh"], site["read"], site["differing"]) == (600, 1, 1)
    assert site["difference_wh"] == 300


def test_a_database_that_is_none_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ledger", "check", "--database", str(tmp_path / "absent.db")]) == 2
    assert "no such database" in capsys.readouterr().err
    other = tmp_path / "other.db"
    other.write_bytes(b"")
    assert main(["ledger", "check", "--database", str(other)]) == 2
    assert "cannot be read as a manager's database" in capsys.readouterr().err
    database = Database(f"sqlite:///{other}")
    migrate(database)
    old = sa.text("UPDATE alembic_version SET version_num = '0001'")
    database.write_now(lambda connection: connection.execute(old))
    database.close()
    assert main(["ledger", "check", "--database", str(other)]) == 2
    assert "another version of Gridcord (step 0001)" in capsys.readouterr().err
    assert main(["ledger", "close", "--database", str(other), "--month", "2026-01"]) == 2
    assert "another version of Gridcord (step 0001)" in capsys.readouterr().err
