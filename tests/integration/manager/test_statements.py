"""Statements of a driver and of hosts from a real manager's ledger, in every form."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from gridcord.cli.main import main
from tests.integration.manager.proven_town import HALF_HOURS, ProvenTown, half_hour, proven_town

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
MONTH = half_hour(0).start.strftime("%Y-%m")


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProvenTown]:
    with proven_town(tmp_path_factory.mktemp("town")) as made:
        yield made


def statement(town: ProvenTown, kind: str, who: str, *arguments: str) -> int:
    named = ("--database", town.database, "--month", MONTH, "--zone", "UTC")
    return main(["statement", kind, who, *named, *arguments])


def test_a_host_pays_for_the_house_alone_and_gets_fees_for_guests(
    town: ProvenTown, capsys: pytest.CaptureFixture[str]
) -> None:
    assert statement(town, "host", "host-1", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert len(told["lines"]) == HALF_HOURS
    own = [line["own_wh"] for line in told["lines"]]
    assert own == [300, 300, 320, 300, 300, 300, 300, 300]  # the third was corrected by the utility
    assert told["by_purpose_micros"]["OWN_ENERGY"] == -sum(own) * 31_000
    assert told["by_purpose_micros"]["HOST_FEE"] > 0
    assert told["payable_micros"] + told["carried_micros"] == told["exact_micros"]
    assert statement(town, "host", "host-1", "--format", "csv") == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["own_kwh"] for row in rows] == [f"{wh / 1000:.3f}" for wh in own]
    assert statement(town, "host", "nobody", "--json") == 2
    assert "no site has a host called nobody" in capsys.readouterr().err
    assert statement(town, "driver", "nobody", "--json") == 2
    assert "no record has a driver called nobody" in capsys.readouterr().err


def test_what_statements_say_is_what_the_ledger_says(
    town: ProvenTown, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", "ledger", "--database", town.database, "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    people = [("driver", "DRIVER", cable.driver_id) for cable in town.cables]
    people += [("host", "HOST", f"host-{number}") for number in (1, 2)]
    for kind, prefix, who in people:
        assert statement(town, kind, who, "--json") == 0
        told = json.loads(capsys.readouterr().out)
        account = f"{prefix}:{who}"
        owed = sum(line["micros"] for line in lines if line["account"] == account)
        assert told["exact_micros"] == owed, account


def test_the_folder_of_a_kept_demo_names_its_database(
    town: ProvenTown,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "demo.json").write_text(json.dumps({"database": town.database}), "utf-8")
    assert main(["ledger", "check", "--data", str(tmp_path)]) == 0
    month = ("--month", MONTH, "--zone", "UTC")
    assert main(["statement", "host", "host-1", "--data", str(tmp_path), *month, "--json"]) == 0
    capsys.readouterr()
    monkeypatch.setenv("GRIDCORD_DATA", str(tmp_path))
    assert main(["export", "transfers", "--json"]) == 0
    assert capsys.readouterr().out
    assert main(["evidence", "export", "-o", str(tmp_path / "all.zip")]) == 0
    monkeypatch.delenv("GRIDCORD_DATA")
    capsys.readouterr()
    assert main(["ledger", "check"]) == 2
    assert "--data DIR" in capsys.readouterr().err


def test_a_month_that_runs_is_not_closed(
    town: ProvenTown, capsys: pytest.CaptureFixture[str]
) -> None:
    later = ("--month", "2999-01", "--zone", "UTC")
    assert main(["ledger", "close", "--database", town.database, *later]) == 1
    assert "close it later" in capsys.readouterr().err


def test_a_browser_shows_the_page(town: ProvenTown, tmp_path: Path) -> None:
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip("no browser here: the Debian package chromium brings one")
    page = tmp_path / "statement.html"
    assert statement(town, "host", "host-1", "-o", str(page)) == 0
    done = subprocess.run(
        [
            browser,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            f"--user-data-dir={tmp_path / 'profile'}",
            "--dump-dom",
            page.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stdout.count("<tr") >= HALF_HOURS
    assert "<rect" in done.stdout
    assert "host-1" in done.stdout
