"""`gridcord demo` as a user runs it: a short afternoon, and one that is broken off."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

COMMAND = [sys.executable, "-m", "gridcord.cli.main"]
HOUSES = 3  # of which the last one cheats
PERIODS = 6
MONTH = "2026-06"
FIGURES = {
    "records_produced",
    "records_stored",
    "records_lost",
    "records_duplicated",
    "records_quarantined",
    "cable_net_wh",
    "manager_net_wh",
    "forwarded_transfers",
    "verdicts",
    "blocked_sites",
    "cheating_sites",
    "demand_wh",
    "delivered_wh",
    "earnings_micros",
    "seed",
}


def run(*arguments: str, timeout_s: float = 300.0) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, timeout=timeout_s, check=False
    )


@pytest.fixture(scope="module")
def afternoon(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A demonstration's folder and figures."""
    folder = tmp_path_factory.mktemp("demo")
    figures, kept = folder / "figures.json", folder / "kept"
    options = ["--houses", str(HOUSES), "--periods", str(PERIODS), "--keep", str(kept)]
    ended = run("demo", *options, "--json", str(figures))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    told = json.loads(figures.read_text("utf-8"))
    assert isinstance(told, dict)
    return kept, told


def test_its_figures_add_up(afternoon: tuple[Path, dict[str, Any]]) -> None:
    _, told = afternoon
    assert told.keys() >= FIGURES
    assert told["records_stored"] == told["records_produced"] >= HOUSES * PERIODS
    assert told["records_lost"] == told["records_duplicated"] == told["records_quarantined"] == 0
    assert told["cable_net_wh"] == told["manager_net_wh"] < 0
    assert told["forwarded_transfers"] + told["unsited_transfers"] == told["records_stored"]
    assert sum(told["verdicts"].values()) == told["records_stored"]
    assert set(told["verdicts"]) == {"MATCHED", "MISMATCHED", "INDETERMINATE"}
    assert told["earnings_micros"] > 0
    assert told["demand_wh"] < 0
    assert told["ledger"]["entries"] > 0
    assert told["ledger"]["sum_micros"] == 0
    assert told["ledger"]["accounts_micros"]["driver"] != 0


def test_the_market_takes_a_part_of_what_is_offered(
    afternoon: tuple[Path, dict[str, Any]],
) -> None:
    _, told = afternoon
    partly = [slot for slot in told["slots"] if 0 > slot["contracted_wh"] > slot["offered_wh"]]
    assert partly
    assert all(slot["imbalance_micros"] is not None for slot in partly)


def test_the_cheat_is_blocked_and_nobody_else(afternoon: tuple[Path, dict[str, Any]]) -> None:
    _, told = afternoon
    assert told["blocked_sites"] == told["cheating_sites"]
    assert len(told["cheating_sites"]) == 1


def test_the_kept_day_holds_its_evidence(
    afternoon: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    kept, told = afternoon
    database = kept / "manager" / "manager.db"
    checked = run("ledger", "check", "--database", str(database))
    assert checked.returncode == 0, checked.stdout + checked.stderr
    csv = tmp_path / "transfers.csv"
    exported = run("export", "transfers", "--database", str(database), "-o", str(csv))
    assert exported.returncode == 0, exported.stdout + exported.stderr
    rows = csv.read_text("utf-8").splitlines()
    assert len(rows) - 1 == told["records_stored"]
    bundle, data = tmp_path / "day.zip", ("--data", str(kept))
    exported = run("evidence", "export", *data, "-o", str(bundle))
    assert exported.returncode == 0, exported.stdout + exported.stderr
    verified = run("evidence", "verify", str(bundle), "--complete")
    assert verified.returncode == 0, verified.stdout + verified.stderr


def test_a_host_of_the_kept_day_has_a_statement_wherever_it_is_moved(
    afternoon: tuple[Path, dict[str, Any]],
) -> None:
    kept, _ = afternoon
    moved = kept.rename(kept.with_name("moved"))
    try:
        month = ("--month", MONTH)
        shown = run("statement", "host", "host-00", *month, "--data", str(moved), "--json")
    finally:
        moved.rename(kept)
    facts = json.loads((kept / "demo.json").read_text("utf-8"))
    assert (kept / facts["tls"] / "certificate.pem").is_file()
    assert str(kept) not in json.dumps(facts)
    assert shown.returncode == 0, shown.stdout + shown.stderr
    sums = json.loads(shown.stdout)["by_purpose_micros"]
    assert sums["HOST_FEE"] > 0 > sums["OWN_ENERGY"]


def test_broken_off_it_leaves_nothing_running(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    process = subprocess.Popen(
        [*COMMAND, "demo", "--houses", "2", "--periods", "3", "--keep", str(kept)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    ready = kept / "manager" / "ready.json"
    deadline = time.monotonic() + 120
    while not ready.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130, output
    assert "Traceback" not in output
    assert running_in(kept) == []


def running_in(folder: Path) -> list[str]:
    """Command lines of processes that were given something of a folder."""
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue  # it ended meanwhile
        if str(folder) in line and path.parent.name != str(os.getpid()):
            lines.append(line)
    return lines
