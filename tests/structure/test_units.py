"""The systemd units: what they start exists, and they are as systemd understands them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.structure.tree import ROOT, pyproject

UNITS = sorted((ROOT / "deploy" / "systemd").glob("*.service"))
PREFIX = "/opt/gridcord/bin/"
MOST_EXPOSED = 2.5  # of 10: what `systemd-analyze security` calls OK


def _lines(unit: Path, key: str) -> list[str]:
    lines = unit.read_text("utf-8").splitlines()
    return [line.partition("=")[2] for line in lines if line.startswith(f"{key}=")]


def test_each_program_has_a_unit() -> None:
    programs = {name for name in pyproject()["project"]["scripts"] if name != "gridcord"}
    assert {unit.stem for unit in UNITS} == programs


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_a_unit_starts_its_program_with_its_settings(unit: Path) -> None:
    arguments = f"--config /etc/gridcord/{unit.stem.removeprefix('gridcord-')}.toml"
    assert _lines(unit, "ExecStart") == [f"{PREFIX}{unit.stem} {arguments}"]
    assert _lines(unit, "ExecStartPre") == [f"{PREFIX}{unit.stem} --check {arguments}"]
    assert _lines(unit, "Type") == ["notify"]
    assert _lines(unit, "Restart") == ["always"]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_systemd_understands_a_unit_and_finds_it_shut_in(unit: Path, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed (Debian: apt-get install systemd)")
    here = tmp_path / unit.name
    program = Path(sys.executable).parent
    here.write_text(unit.read_text("utf-8").replace(PREFIX, f"{program}/"), "utf-8")
    for check in (
        ["verify"],
        ["security", "--offline=yes", f"--threshold={MOST_EXPOSED * 10:.0f}"],
    ):
        done = subprocess.run(
            ["systemd-analyze", *check, str(here)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
