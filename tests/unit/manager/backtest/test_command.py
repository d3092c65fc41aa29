"""`gridcord backtest` from files to figures, and what it says when it cannot."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gridcord.cli.main import main
from manager.backtest.aside import aside
from tests.unit.manager.backtest.made import residential_file, spot_file

KEYS = (
    "profit_micros",
    "oracle_profit_micros",
    "smart_charge_profit_micros",
    "plug_and_charge_profit_micros",
    "ratio_to_oracle",
    "promises_broken",
    "imbalance_wh",
    "periods",
)


def _files(tmp_path: Path, *, days: int) -> list[str]:
    prices = spot_file(tmp_path / "spot.csv", days=days)
    sessions = residential_file(tmp_path / "homes.csv", homes=3)
    return ["backtest", "--prices", str(prices), "--sessions", str(sessions)]


def test_files_become_figures_and_a_picture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told, drawn = tmp_path / "result.json", tmp_path / "result.png"
    arguments = _files(tmp_path, days=9)
    code = main([*arguments, "--vehicles", "2", "--json", str(told), "--plot", str(drawn)])
    assert code == 0
    facts = json.loads(told.read_text())
    assert list(facts)[: len(KEYS)] == list(KEYS)
    assert facts["periods"] == 9 * 48
    assert facts["promises_broken"] == 0
    assert facts["plug_and_charge_profit_micros"] == 0
    assert facts["profit_micros"] <= facts["oracle_profit_micros"]
    assert facts["parameters"]["vehicles"] == 2
    assert drawn.read_bytes().startswith(b"\x89PNG")
    assert "0 promises broken" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--area", "mars"], "no area 'mars'"),
        (["--start", "2031-01-01"], "is before the first"),
        (["--end", "2031-01-01"], "no price of 2030-01-10"),
        (["--plot", "result.gif"], "a picture ends in"),
        (["--json", "absent/result.json"], "its folder is not there"),
        (["--json", "."], "cannot be written to"),
        (["--sessions", "absent.csv"], "No such file"),
        (["--sessions", "spot.csv"], "neither the residential form"),
        (["--prices", "homes.csv"], "no column of prices"),
        (["--target-percent", "3"], "above the one promised"),
    ],
)
def test_what_cannot_be_used_is_named(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    more: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*_files(tmp_path, days=3), *more]) == 2
    said = capsys.readouterr().err
    assert said.startswith("gridcord: ")
    assert message in said


def test_ctrl_c_ends_it_at_once_without_a_traceback(tmp_path: Path) -> None:
    arguments = _files(tmp_path, days=60)
    process = subprocess.Popen(
        [sys.executable, "-m", "gridcord.cli.main", *arguments, "--vehicles", "40"],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TTY_COMPATIBLE": "1"},  # the bar shows when the replay runs
    )
    assert process.stderr is not None
    said = ""
    while "Replaying" not in said:
        piece = process.stderr.read(1)
        assert piece, said
        said += piece
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "Traceback" not in said + rest


def _answer() -> int:
    return 42


def _die() -> int:
    os._exit(1)


def test_a_second_process_answers_or_its_end_is_noticed() -> None:
    with aside(_answer) as result:
        assert result() == 42
    with aside(_die) as result, pytest.raises(RuntimeError, match="ended without a result"):
        result()
