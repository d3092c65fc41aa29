"""Archives made to deceive or to exhaust their reader: each is refused, and says why."""

from __future__ import annotations

import struct
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from gridcord.evidence.bundle import Report, verify
from gridcord.evidence.bundle_archive import MANIFEST
from gridcord.evidence.bundle_lines import EntryLine, KeyLine
from gridcord.evidence.plain import read, write
from tests.unit.evidence.resealing import Raw, closed, contents, opened, resealed
from tests.unit.evidence.town import CABLES, SIGNERS, Town

CENTRAL = b"PK\x01\x02"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Town().write(tmp_path_factory.mktemp("evidence") / "town.zip")


def reason(report: Report) -> str:
    assert report.problem is not None
    return str(report.problem)


def test_packed_in_another_way_it_is_the_same_bundle(bundle: Path, tmp_path: Path) -> None:
    raw = opened(bundle)
    backwards = dict(reversed(raw.items()))
    report = verify(closed(backwards, tmp_path / "other.zip"))
    assert (report.ok, report.root) == (True, verify(bundle).root)
    assert bundle.stat().st_size < (tmp_path / "other.zip").stat().st_size / 2


def rename(raw: Raw) -> None:
    raw["earning.jsonl"] = raw.pop("earnings.jsonl")


def swap_members(raw: Raw) -> None:
    raw["fees.jsonl"], raw["bills.jsonl"] = raw["bills.jsonl"], raw["fees.jsonl"]


def add_member(raw: Raw) -> None:
    raw["notes.txt"] = ["trust me"]


def hide_in_folder(raw: Raw) -> None:
    raw["../ledger.jsonl"] = raw["ledger.jsonl"]


def lose_member(raw: Raw) -> None:
    del raw["market.jsonl"]


def empty_member(raw: Raw) -> None:
    raw["ledger.jsonl"] = []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (rename, "members missing, unknown or doubled"),
        (add_member, "notes.txt"),
        (hide_in_folder, "../ledger.jsonl"),
        (lose_member, "market.jsonl"),
        (swap_members, "fees line 1: was changed"),
        (empty_member, "ledger line 1: is missing"),
    ],
)
def test_members_are_those_that_were_written(
    change: Callable[[Raw], None], said: str, bundle: Path, tmp_path: Path
) -> None:
    raw = opened(bundle)
    change(raw)
    assert said in reason(verify(closed(raw, tmp_path / "changed.zip")))


def test_a_second_member_of_a_name_is_refused(bundle: Path, tmp_path: Path) -> None:
    """Two readers might see two different ledgers in one file."""
    raw, path = opened(bundle), tmp_path / "twice.zip"
    closed(raw, path)
    with zipfile.ZipFile(path, "a") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        archive.writestr("ledger.jsonl", "\n".join(raw["ledger.jsonl"]) + "\n")
    assert "doubled" in reason(verify(path))


def test_the_manifest_of_another_bundle_does_not_fit(bundle: Path, tmp_path: Path) -> None:
    other = Town()
    other.lines["payouts"].clear()
    raw = opened(bundle)
    raw[MANIFEST] = opened(other.write(tmp_path / "other.zip"))[MANIFEST]
    assert "not the one in the manifest" in reason(verify(closed(raw, tmp_path / "mix.zip")))


def test_keys_that_change_places_do_not_fit_the_signatures(bundle: Path, tmp_path: Path) -> None:
    whole = opened(bundle)
    texts = contents(whole)
    one, two = (read(KeyLine, text) for text in texts["keys"])
    texts["keys"] = [
        write(replace(one, public_key=two.public_key)),
        write(replace(two, public_key=one.public_key)),
    ]
    report = verify(resealed(texts, whole[MANIFEST][0], tmp_path / "swapped.zip"))
    assert report.problem is not None
    assert (report.problem.member, report.problem.record) == ("entries", f"{CABLES[0]}/7/1")
    assert "not to be believed" in report.problem.reason or "does not fit" in report.problem.reason


def test_an_entry_under_the_name_of_another_cable_is_refused(bundle: Path, tmp_path: Path) -> None:
    """Even where that cable's key is replaced by the key that signed it."""
    whole = opened(bundle)
    texts = contents(whole)
    key = SIGNERS[CABLES[1]].public_key_der.hex()
    texts["keys"] = [write(KeyLine(cable_id=CABLES[0], public_key=key)), texts["keys"][1]]
    entries = [read(EntryLine, text) for text in texts["entries"]]
    mine = [replace(each, cable_id=CABLES[0]) for each in entries if each.cable_id == CABLES[1]]
    rest = [each for each in entries if each.cable_id == CABLES[1]]
    texts["entries"] = [write(each) for each in (*mine, *rest)]
    report = verify(resealed(texts, whole[MANIFEST][0], tmp_path / "renamed.zip"))
    assert report.problem is not None
    assert report.problem.record == f"{CABLES[0]}/7/1"


@pytest.mark.parametrize("share", range(0, 100, 4))
def test_a_file_that_was_cut_is_refused(share: int, bundle: Path, tmp_path: Path) -> None:
    data, path = bundle.read_bytes(), tmp_path / "cut.zip"
    path.write_bytes(data[: len(data) * share // 100])
    assert "cannot be read" in reason(verify(path))


def test_an_archive_that_unpacks_without_end_is_refused(bundle: Path, tmp_path: Path) -> None:
    raw, path = opened(bundle), tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, lines in raw.items():
            text = "\n".join(lines) + "\n" if name != MANIFEST else "\n".join(lines)
            archive.writestr(name, text + " " * 50_000_000 if name == "ledger.jsonl" else text)
    assert path.stat().st_size < 200_000
    assert "ledger.jsonl would unpack to 50,0" in reason(verify(path))


def test_members_that_share_their_bytes_are_refused(bundle: Path, tmp_path: Path) -> None:
    data = bytearray(bundle.read_bytes())
    at = data.find(CENTRAL)
    while at >= 0:
        data[at + 20 : at + 24] = struct.pack("<I", len(data))  # its packed size
        at = data.find(CENTRAL, at + 1)
    path = tmp_path / "shared.zip"
    path.write_bytes(data)
    assert "on top of each other" in reason(verify(path))


def test_an_encrypted_archive_is_refused(bundle: Path, tmp_path: Path) -> None:
    data = bytearray(bundle.read_bytes())
    at = data.find(CENTRAL)
    while at >= 0:
        data[at + 8] |= 1
        at = data.find(CENTRAL, at + 1)
    path = tmp_path / "locked.zip"
    path.write_bytes(data)
    assert "cannot be read" in reason(verify(path))
