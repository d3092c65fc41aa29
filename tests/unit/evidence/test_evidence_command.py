"""`gridcord evidence verify`: what it says and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
)

from gridcord.cli.main import main
from gridcord.evidence.bundle import MemorySource, Scope, verify
from gridcord.evidence.bundle_export import DoesNotVerify, export_bundle
from tests.unit.evidence.records import START_S
from tests.unit.evidence.resealing import closed, opened
from tests.unit.evidence.town import AGGREGATOR, CABLES, SIGNERS, Town


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Town().write(tmp_path_factory.mktemp("evidence") / "town.zip")


@pytest.fixture
def broken(bundle: Path, tmp_path: Path) -> Path:
    raw = opened(bundle)
    lines = raw["earnings.jsonl"]
    lines[2] = lines[2].replace('"energy_micros":-15525000', '"energy_micros":-5525000')
    return closed(raw, tmp_path / "broken.zip")


def test_a_good_bundle_ends_with_0(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evidence", "verify", str(bundle)]) == 0
    said = capsys.readouterr().out
    assert "verifies" in said
    assert "DRIVER:driver-0" in said
    assert "-0.2412 JPY" in said
    assert "nobody vouches for it" in said


def test_a_changed_bundle_ends_with_1_and_names_the_record(
    broken: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evidence", "verify", str(broken)]) == 1
    said = capsys.readouterr().out
    assert "earnings line 3" in said
    assert "cable-0/7/7" in said


def test_json_says_the_same(bundle: Path, broken: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evidence", "verify", "--json", "--complete", str(bundle)]) == 0
    good = json.loads(capsys.readouterr().out)
    assert good["ok"]
    assert good["lines"]["earnings"] == 10
    assert main(["evidence", "verify", "--json", str(broken)]) == 1
    bad = json.loads(capsys.readouterr().out)
    assert (bad["problem"]["member"], bad["problem"]["line"]) == ("earnings", 3)
    assert bad["problem"]["record"] == "cable-0/7/7"


def test_what_is_left_out_counts_when_completeness_is_asked(tmp_path: Path) -> None:
    town = Town()
    entries = town.lines["entries"]
    last = entries[-1]
    entries[-1] = type(last)(
        number=last.number,
        known_s=last.known_s,
        cable_id=last.cable_id,
        journal_epoch=last.journal_epoch,
        sequence=last.sequence,
        digest="00" * 32,
    )
    path = town.write(tmp_path / "town.zip")
    assert main(["evidence", "verify", str(path)]) == 0
    assert main(["evidence", "verify", "--complete", str(path)]) == 1


def test_keys_and_root_from_elsewhere(bundle: Path, tmp_path: Path) -> None:
    der, pem = tmp_path / "aggregator.der", tmp_path / "cable.pem"
    der.write_bytes(AGGREGATOR.public_key_der)
    key = load_der_public_key(SIGNERS[CABLES[0]].public_key_der)
    pem.write_bytes(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    arguments = ["evidence", "verify", str(bundle), "--signer-key", str(der)]
    assert main([*arguments, "--cable-key", f"{CABLES[0]}={pem}"]) == 0
    assert main([*arguments, "--cable-key", f"{CABLES[1]}={pem}"]) == 1
    assert main([*arguments, "--root", verify(bundle).root.upper()]) == 0
    assert main([*arguments, "--root", "00"]) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["nowhere.zip"],
        ["nowhere.zip", "--signer-key", "nowhere.pem"],
        ["nowhere.zip", "--cable-key", "cable-1"],
        [],
    ],
)
def test_what_cannot_be_used_ends_with_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evidence", "verify", *arguments]) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_an_export_is_verified_before_it_leaves(tmp_path: Path) -> None:
    town = Town()
    lines = town.lines | town.derived()
    scope = Scope(from_s=0, to_s=1)
    path = tmp_path / "town.zip"
    manifest = export_bundle(MemorySource(scope, lines), path, created_s=START_S, signer=AGGREGATOR)
    assert verify(path).root == manifest.root
    wrong = MemorySource(scope, lines | {"earnings": lines["earnings"][1:]})
    with pytest.raises(DoesNotVerify, match="earnings line"):
        export_bundle(wrong, tmp_path / "wrong.zip", created_s=START_S)
    assert [each.name for each in tmp_path.iterdir()] == ["town.zip"]
