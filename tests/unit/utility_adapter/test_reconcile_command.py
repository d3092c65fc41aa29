"""`gridcord reconcile`: what a utility confirms is compared with all that it was told."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from gridcord.cli.main import main
from gridcord.units import CableId, Period, SiteId
from utility_adapter.domain.transfers import PeriodTransfer, ReportedTransfer, period_transfers
from utility_adapter.sources import write_csv_transfers, write_espi_transfers
from utility_adapter.storage.engine import open_engine
from utility_adapter.storage.store import Store

FIRST = Period(1_795_419_000)
SITE = SiteId("nmi:4001234567")


def told(number: int, charged_wh: int, revision: int = 0) -> ReportedTransfer:
    return ReportedTransfer(
        cable_id=CableId("cable-34"),
        journal_epoch=7,
        sequence_number=number,
        revision=revision,
        site_id=SITE,
        period=FIRST.next(number),
        site_to_vehicle_wh=charged_wh,
        vehicle_to_site_wh=0,
        received_at_s=float(revision),
    )


REPORTS = [told(0, 100), told(1, 200), told(1, 250, revision=1), told(2, 300)]
HELD = list(period_transfers(reports=REPORTS))


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    engine = open_engine(tmp_path / "utility.db")
    Store(engine).report(REPORTS)
    engine.dispose()
    path = tmp_path / "utility.toml"
    path.write_text(
        '[tls]\ncertificate = "c"\nkey = "k"\nroots = "r"\n'
        '[store]\nfile = "utility.db"\n[inbox]\nfolder = "inbox"\n'
    )
    return path


def confirmed(folder: Path, held: list[PeriodTransfer]) -> str:
    path = folder / "held.csv"
    with path.open("wb") as file:
        write_csv_transfers(held, file, written_at_s=0)
    return str(path)


def compare(settings: Path, file: str, *more: str) -> int:
    return main(["reconcile", "--settings", str(settings), "--confirmed", file, *more])


def test_what_they_hold_is_what_they_were_told(
    settings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert compare(settings, confirmed(settings.parent, HELD)) == 0
    assert "agrees" in capsys.readouterr().out
    espi = settings.parent / "held.xml"
    with espi.open("wb") as file:
        write_espi_transfers(HELD, file, written_at_s=FIRST.start_s)
    assert compare(settings, str(espi), "--json") == 0
    assert json.loads(capsys.readouterr().out)["found"]["AGREES"] == 3


def outdated(held: list[PeriodTransfer]) -> list[PeriodTransfer]:
    return [held[0], replace(held[1], site_to_vehicle_wh=200), held[2]]


def lost(held: list[PeriodTransfer]) -> list[PeriodTransfer]:
    return held[:2]


def invented(held: list[PeriodTransfer]) -> list[PeriodTransfer]:
    return [*held, replace(held[0], period=FIRST.next(9))]


def wrong(held: list[PeriodTransfer]) -> list[PeriodTransfer]:
    return [*held[:2], replace(held[2], site_to_vehicle_wh=299)]


@pytest.mark.parametrize(
    ("change", "finding", "difference_wh"),
    [
        (outdated, "OUTDATED", -50),
        (lost, "NOT_CONFIRMED", -300),
        (invented, "NOT_SENT", 100),
        (wrong, "DIFFERS", -1),
    ],
)
def test_what_differs_is_named(
    change: Callable[[list[PeriodTransfer]], list[PeriodTransfer]],
    finding: str,
    difference_wh: int,
    settings: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = confirmed(settings.parent, change(HELD))
    assert compare(settings, file, "--json") == 1
    found = json.loads(capsys.readouterr().out)
    (line,) = found["lines"]
    assert (line["finding"], line["cable_id"]) == (finding, "cable-34")
    assert found["difference_wh"] == line["difference_wh"] == difference_wh
    assert compare(settings, file) == 1
    assert finding in capsys.readouterr().out


def test_a_range_of_time_is_compared_alone(settings: Path) -> None:
    file = confirmed(settings.parent, lost(HELD))
    before = FIRST.next(2).start.isoformat()
    assert compare(settings, file, "--to", before) == 0
    assert compare(settings, file, "--from", before) == 1


def test_files_that_cannot_be_used_are_named(
    settings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = settings.parent / "broken.csv"
    broken.write_text("what is this\n")
    assert compare(settings, str(broken)) == 2
    assert "broken.csv" in capsys.readouterr().err
    assert compare(settings, "nowhere.csv") == 2
    assert "nowhere.csv cannot be read" in capsys.readouterr().err
    (settings.parent / "utility.db").unlink()
    assert compare(settings, confirmed(settings.parent, HELD)) == 2
    assert "no such store" in capsys.readouterr().err
