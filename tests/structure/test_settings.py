"""The samples of conf/: their programs read them, and they name no place of a developer's."""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path

import pytest

from gridcord.chassis.settings import load_settings
from tests.structure.tree import ROOT, pyproject

SAMPLES = sorted((ROOT / "conf").glob("*.toml"))
GROUP = "gridcord.settings"


def test_each_program_has_a_sample() -> None:
    programs = pyproject()["project"]["entry-points"][GROUP]
    assert {sample.stem for sample in SAMPLES} == set(programs)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.stem)
def test_a_program_reads_its_sample(sample: Path) -> None:
    (model,) = (each.load() for each in entry_points(group=GROUP, name=sample.stem))
    settings = load_settings(model, sample)
    assert settings.tls.certificate.is_relative_to(sample.parent / "tls")


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.stem)
def test_what_a_sample_writes_is_where_its_unit_may_write(sample: Path) -> None:
    allowed = (f"/var/lib/gridcord/{sample.stem}/", "/run/gridcord/")
    unit = (ROOT / "deploy" / "systemd" / f"gridcord-{sample.stem}.service").read_text("utf-8")
    assert f"StateDirectory=gridcord/{sample.stem}" in unit
    written = [
        part for part in sample.read_text("utf-8").split('"') if part.startswith(("/var", "/run"))
    ]
    assert written
    assert [path for path in written if not path.startswith(allowed)] == []
