"""Bundles: what verifies, what is refused by name, and what trust from elsewhere adds."""

from __future__ import annotations

import dataclasses
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from gridcord.evidence import ocmf
from gridcord.evidence.bundle import (
    MEMBERS,
    MemorySource,
    Report,
    Scope,
    Trust,
    verify,
    write_bundle,
)
from gridcord.evidence.bundle_archive import MANIFEST
from gridcord.evidence.bundle_lines import EntryLine, KeyLine
from gridcord.evidence.plain import read, write
from gridcord.evidence.site_history import SiteHistory
from gridcord.metering.matching import Finding, Match, MatchPolicy, Reason
from gridcord.metering.reading import Verdict
from tests.unit.evidence.records import START_S
from tests.unit.evidence.resealing import contents, opened, resealed
from tests.unit.evidence.town import (
    AGGREGATOR,
    CABLES,
    PATENT,
    SIGNERS,
    SITES,
    Town,
    replaced,
)


def rewritten(town: Town, path: Path) -> Report:
    """Verify a town whose lines were changed, everything derived again by the forger."""
    return verify(town.write(path / "town.zip", signed=False))


def fault(report: Report) -> tuple[str, int, str]:
    assert report.problem is not None
    return report.problem.member, report.problem.line, report.problem.reason


@pytest.mark.parametrize("policy", [PATENT, MatchPolicy()], ids=["patent", "evidence"])
def test_a_bundle_verifies_without_a_server(policy: MatchPolicy, tmp_path: Path) -> None:
    town = Town(policy)
    report = verify(town.write(tmp_path / "town.zip"))
    assert report.ok
    assert report.complete
    assert report.problem is None
    assert report.signed_entries == 28
    assert report.signer == AGGREGATOR.public_key_der.hex()
    assert report.lines["earnings"] == 10
    assert sum(each.micros for each in report.balances) == 0
    assert report.breaks == ()


def test_the_same_content_gives_the_same_file(tmp_path: Path) -> None:
    town = Town()
    one, two = (
        town.write(tmp_path / name, signed=False).read_bytes() for name in ("a.zip", "b.zip")
    )
    assert one == two


def test_the_patent_rule_finds_the_house_that_sees_nothing() -> None:
    town = Town()
    found = {
        site: [
            line.verdict.verdict for line in town.lines["verdicts"] if line.verdict.site_id == site
        ]
        for site in SITES
    }
    assert Verdict.MISMATCHED not in found[SITES[0]]
    assert found[SITES[1]].count(Verdict.MISMATCHED) == 4
    earnings = {line.record: line for line in town.derived()["earnings"]}  # type: ignore[attr-defined]
    assert earnings["cable-1/7/2"].energy_micros == 0  # type: ignore[attr-defined]
    assert earnings["cable-0/7/2"].energy_micros == 30_952_500  # type: ignore[attr-defined]


def test_another_match_function_reaches_other_verdicts(tmp_path: Path) -> None:
    def believer(history: SiteHistory, policy: MatchPolicy) -> Iterable[Match]:
        assert policy == PATENT
        return [Match(finding=Finding.MATCH, reason=Reason.CHANGE_SEEN) for _ in history.periods]

    report = verify(Town().write(tmp_path / "town.zip"), match=believer)
    member, line, reason = fault(report)
    assert (member, line) == ("verdicts", 1)
    assert "derived is match" in reason


def test_entries_of_no_concern_are_withheld_and_counted(tmp_path: Path) -> None:
    town = Town()
    last = {each.cable_id: each for each in town.lines["entries"]}  # unplugged
    events = list(last.values())
    for each in events:
        at = town.lines["entries"].index(each)
        town.lines["entries"][at] = replaced(each, body="", signature="", digest="00" * 32)
    report = rewritten(town, tmp_path)
    assert report.ok
    assert report.withheld == len(events)
    assert not report.complete


def test_a_fiscal_record_cannot_be_withheld_more_often_than_entries_are(tmp_path: Path) -> None:
    town = Town()
    entries = town.lines["entries"]
    at = next(i for i, each in enumerate(entries) if each.ocmf)
    entries[at] = replaced(entries[at], ocmf="", digest="00" * 32)
    assert rewritten(town, tmp_path).withheld == 1
    record = ocmf.verify(entries[at + 2].ocmf, SIGNERS[CABLES[0]].public_key_der)
    jumped = dataclasses.replace(record, pagination=record.pagination + 1)
    text = ocmf.sign(ocmf.payload_text(jumped), SIGNERS[CABLES[0]])
    town = Town()
    same = town.lines["entries"][at + 2]
    town.lines["entries"][at + 2] = replaced(same, ocmf=text)
    with pytest.raises(ValueError, match="records are missing or doubled"):
        rewritten(town, tmp_path)


def test_a_quarantined_entry_earns_nothing_and_is_named(tmp_path: Path) -> None:
    town = Town()
    entries = town.lines["entries"]
    at = next(i for i, each in enumerate(entries) if each.ocmf)
    before = len(town.derived()["earnings"])
    entries[at] = replaced(entries[at], quarantine="ENERGY_IMPOSSIBLE")
    town.judged_again()
    report = rewritten(town, tmp_path)
    assert report.ok, report.problem
    assert report.quarantined == (f"{entries[at].name}: ENERGY_IMPOSSIBLE",)
    assert report.lines["earnings"] == before - 1


def test_a_declared_loss_is_a_gap_and_not_hidden(tmp_path: Path) -> None:
    town = Town()
    entries = town.lines["entries"]
    at = next(i for i, each in enumerate(entries) if each.body and i > 20)
    assert entries[at].cable_id == entries[at + 1].cable_id
    entries[at + 1] = replaced(entries[at + 1], previous=entries[at].sequence - 1)
    del entries[at]
    town.judged_again()
    report = rewritten(town, tmp_path)
    assert report.ok, report.problem
    assert report.gaps == (entries[at].name,)
    assert not report.complete


Change = Callable[[Town], None]


def entry_without_signature(town: Town) -> None:
    at = next(i for i, each in enumerate(town.lines["entries"]) if each.body)
    town.lines["entries"][at] = replaced(town.lines["entries"][at], signature="")


def set_line(member: str, at: int, **changes: Any) -> Change:
    def change(town: Town) -> None:
        town.lines[member][at] = replaced(town.lines[member][at], **changes)

    return change


def double(member: str) -> Change:
    def change(town: Town) -> None:
        town.lines[member].append(town.lines[member][0])

    return change


def swap_records(town: Town) -> None:
    """A genuine record in another entry's place."""
    entries = town.lines["entries"]
    one, other = (i for i, each in enumerate(entries) if each.ocmf and i < 5)
    first, second = entries[one].ocmf, entries[other].ocmf
    entries[one] = replaced(entries[one], ocmf=second)
    entries[other] = replaced(entries[other], ocmf=first)


def drop_verdict(town: Town) -> None:
    at = next(
        i for i, each in enumerate(town.lines["verdicts"]) if each.finding is Finding.MISMATCH
    )
    del town.lines["verdicts"][at]
    town.lines["blocks"].clear()


def flip_verdict(town: Town) -> None:
    lines = town.lines["verdicts"]
    at = next(i for i, each in enumerate(lines) if each.finding is Finding.MISMATCH)
    stated = replaced(lines[at].verdict, verdict=Verdict.MATCHED)
    lines[at] = replaced(
        lines[at], verdict=stated, finding=Finding.MATCH, reason=Reason.CHANGE_SEEN
    )
    town.lines["blocks"].clear()


def verdict_of_nowhere(town: Town) -> None:
    line = town.lines["verdicts"][-1]
    nowhere = replaced(line.verdict, site_id="obis:9999")
    town.lines["verdicts"].append(replaced(line, number=1000, known_s=2**32, verdict=nowhere))


def second_verdict(town: Town) -> None:
    line = town.lines["verdicts"][0]
    town.lines["verdicts"].append(replaced(line, number=1000, known_s=2**32))


@pytest.mark.parametrize(
    ("change", "member", "reason"),
    [
        pytest.param(set_line("keys", 0, public_key="xy"), "keys", "no hexadecimal", id="no key"),
        pytest.param(
            set_line("keys", 0, public_key=AGGREGATOR.public_key_der.hex()),
            "entries",
            "does not fit",
            id="another key",
        ),
        pytest.param(double("keys"), "keys", "second key", id="two keys"),
        pytest.param(double("rules"), "rules", "exactly one", id="two rules"),
        pytest.param(double("sites"), "sites", "second line", id="two lines of a site"),
        pytest.param(double("tariffs"), "tariffs", "two tariffs", id="two tariffs"),
        pytest.param(double("consents"), "consents", "two consents", id="two consents"),
        pytest.param(entry_without_signature, "entries", "exactly one of", id="no signature"),
        pytest.param(swap_records, "entries", "another entry", id="record in another's place"),
        pytest.param(set_line("entries", 3, number=1), "entries", "number 1", id="one number"),
        pytest.param(
            set_line("entries", 3, known_s=1), "entries", "known before", id="time runs back"
        ),
        pytest.param(
            set_line("entries", 0, sequence=2), "entries", "does not fit", id="another number"
        ),
        pytest.param(drop_verdict, "verdicts", "none is stated", id="no verdict"),
        pytest.param(flip_verdict, "verdicts", "derived is mismatch", id="kinder verdict"),
        pytest.param(second_verdict, "verdicts", "does not rise", id="two of a revision"),
        pytest.param(verdict_of_nowhere, "verdicts", "nothing is known", id="nowhere"),
        pytest.param(
            set_line("blocks", 0, verdict_periods=()), "blocks", "no such mismatch", id="block"
        ),
        pytest.param(set_line("sites", 0, matcher="{}"), "sites", "matched", id="matcher"),
    ],
)
def test_who_derives_everything_again_is_still_refused(
    change: Change, member: str, reason: str, tmp_path: Path
) -> None:
    town = Town()
    derived = town.derived()
    change(town)
    lines = town.lines | derived
    path = tmp_path / "forged.zip"
    scope = Scope(from_s=0, to_s=1)
    write_bundle(path, MemorySource(scope, lines), created_s=START_S)
    found = fault(verify(path))
    assert found[0] == member
    assert reason in found[2]


def test_a_missing_tariff_is_said_so(tmp_path: Path) -> None:
    town = Town()
    lines = town.lines | town.derived() | {"tariffs": []}
    path = tmp_path / "town.zip"
    write_bundle(path, MemorySource(Scope(from_s=0, to_s=1), lines), created_s=START_S)
    assert "no tariff" in fault(verify(path))[2]


def cheaper(texts: dict[str, list[str]]) -> None:
    texts["tariffs"] = [each.replace("41270000", "11270000") for each in texts["tariffs"]]


def test_a_swapped_tariff_does_not_fit_what_was_paid(tmp_path: Path) -> None:
    whole = opened(Town().write(tmp_path / "town.zip"))
    texts = contents(whole)
    cheaper(texts)
    report = verify(resealed(texts, whole[MANIFEST][0], tmp_path / "forged.zip"))
    assert fault(report)[0] == "earnings"


def test_an_announced_root_or_key_catches_who_derives_everything_again(tmp_path: Path) -> None:
    """The one forgery that only trust from elsewhere finds: other inputs, all consistent."""
    honest = verify(Town().write(tmp_path / "town.zip"))
    town = Town()
    town.lines["readings"].pop()
    town.judged_again()
    forged = town.write(tmp_path / "forged.zip", signed=False)
    assert verify(forged).ok
    signer = AGGREGATOR.public_key_der
    assert fault(verify(forged, trust=Trust(root=honest.root)))[0] == "manifest"
    assert fault(verify(forged, trust=Trust(signer_key=signer)))[0] == "manifest"
    assert verify(tmp_path / "town.zip", trust=Trust(root=honest.root, signer_key=signer)).ok


def test_enrolled_keys_catch_who_signs_with_his_own(tmp_path: Path) -> None:
    path = Town().write(tmp_path / "town.zip")
    enrolled = {str(cable): SIGNERS[cable].public_key_der for cable in CABLES}
    assert verify(path, trust=Trust(cable_keys=enrolled)).ok
    stolen = enrolled | {str(CABLES[0]): AGGREGATOR.public_key_der}
    assert fault(verify(path, trust=Trust(cable_keys=stolen)))[:2] == ("keys", 1)


def test_registers_that_jump_are_told(tmp_path: Path) -> None:
    town = Town()
    entries = town.lines["entries"]
    at = max(i for i, each in enumerate(entries) if each.ocmf and each.cable_id == CABLES[0])
    record = ocmf.verify(entries[at].ocmf, SIGNERS[CABLES[0]].public_key_der)
    transfer = record.transfer
    jumped = dataclasses.replace(
        record,
        transfer=dataclasses.replace(
            transfer,
            vehicle_to_site_start_wh=transfer.vehicle_to_site_start_wh + 5,
            vehicle_to_site_end_wh=transfer.vehicle_to_site_end_wh + 5,
        ),
    )
    text = ocmf.sign(ocmf.payload_text(jumped), SIGNERS[CABLES[0]])
    entries[at] = replaced(entries[at], ocmf=text)
    report = rewritten(town, tmp_path)
    assert report.ok, report.problem
    assert report.breaks == (entries[at].name,)


def test_a_writer_that_fails_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "town.zip"
    source = MemorySource(Scope(from_s=0, to_s=1), {"keys": ["no key line"]})
    with pytest.raises(TypeError, match="keys holds KeyLine"):
        write_bundle(path, source, created_s=START_S)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"PK\x05\x06" + bytes(18), b"no zip at all" * 50])
def test_no_bundle_is_said_so(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "town.zip"
    path.write_bytes(content)
    assert fault(verify(path))[0] == "archive"


def test_a_strange_member_is_refused(tmp_path: Path) -> None:
    path = Town().write(tmp_path / "town.zip")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("more.jsonl", "")
    assert "more.jsonl" in fault(verify(path))[2]


def test_a_missing_file_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        verify(tmp_path / "nowhere.zip")


def test_lines_have_one_text_only() -> None:
    line = EntryLine(number=1, known_s=2, cable_id="c", journal_epoch="0", sequence=1)
    text = write(line)
    assert read(EntryLine, text) == line
    for other in (
        text.replace(":1,", ": 1,"),
        text.replace('"number":1', '"number":1.0'),
        text.replace('"number":1', '"number":true'),
        text.replace('"number":1,', ""),
        text.replace('"journal_epoch":"0"', '"journal_epoch":0'),
        text.replace('"journal_epoch":"0"', '"journal_epoch":"00"'),
        text.replace('"number":1', '"number":1,"number":1'),
        text.replace('"previous":null', '"previous":"null"'),
        "[]",
        "",
    ):
        with pytest.raises(ValueError, match=r".*"):
            read(EntryLine, other)


def test_members_are_named_once() -> None:
    assert len(set(MEMBERS)) == len(MEMBERS)
    assert KeyLine in {type(each) for each in Town().lines["keys"]}
