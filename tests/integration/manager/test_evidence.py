"""Bundles of a real manager: they verify, in whole and in part, and nothing in them can change."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gridcord.chassis.exit_codes import ExitCode
from gridcord.chassis.identity import Kind, Role
from gridcord.cli.main import main
from gridcord.evidence.bundle import DERIVED, Trust, verify
from gridcord.metering.records import CableEvent, CableEventKind
from gridcord.wire.journal import entry_from_bytes
from tests.integration.manager.proven_town import AREA, ProvenTown, half_hour, proven_town
from tests.unit.evidence.resealing import contents, opened
from tests.unit.evidence.test_bundle_mutations import MUTATIONS, mutate


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The aggregator's, that signs bundles; the public one lies beside it."""
    private = ec.generate_private_key(ec.SECP256R1())
    path = tmp_path_factory.mktemp("key") / "bundles.pem"
    path.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    path.with_suffix(".pub").write_bytes(public)
    return path


@pytest.fixture(scope="module")
def town(
    module_database_url: str, key: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ProvenTown]:
    folder = tmp_path_factory.mktemp("town")
    signing: dict[str, object] = {"signing_key": str(key)}
    with proven_town(folder, module_database_url, evidence=signing) as made:
        assert made.close_month() == 5, "three drivers and two hosts"
        yield made


def export(town: ProvenTown, path: Path, *arguments: str) -> int:
    return main(["evidence", "export", "--database", town.database, "-o", str(path), *arguments])


def ask(town: ProvenTown, path: Path, *arguments: str, role: Role = Role.OPERATOR) -> int:
    files = town.process.identity(Kind.OPERATOR, f"{role.value}-1", role)
    who = ("--manager", town.process.address, "--tls", str(files.certificate.parent))
    return main(["evidence", "export", *who, "-o", str(path), *arguments])


def test_a_house_a_driver_and_every_derived_line_verify(town: ProvenTown, tmp_path: Path) -> None:
    house, driver = tmp_path / "house.zip", tmp_path / "driver.zip"
    assert export(town, house, "--site", town.sites[0]) == 0
    assert export(town, driver, "--driver", town.cables[2].driver_id) == 0
    assert main(["evidence", "verify", str(house)]) == 0
    texts = contents(opened(house))
    assert all(texts[member] for member in DERIVED), "nothing derived is left out"
    revised = [json.loads(line)["reading"]["revision"] for line in texts["readings"]]
    assert revised == [0, 0, 1]
    report = verify(driver)
    assert report.ok
    mismatched = [json.loads(line) for line in contents(opened(driver))["verdicts"]]
    assert "MISMATCHED" in {line["verdict"]["verdict"] for line in mismatched}


def test_entries_without_money_are_shown_as_they_were_signed(
    town: ProvenTown, tmp_path: Path
) -> None:
    house, everything = tmp_path / "house.zip", tmp_path / "all.zip"
    assert export(town, house, "--site", town.sites[0]) == 0
    assert export(town, everything) == 0
    assert [verify(path).withheld for path in (house, everything)] == [0, 0]
    assert main(["evidence", "verify", str(everything), "--complete"]) == 0
    entries = [json.loads(line) for line in contents(opened(everything))["entries"]]
    told = [entry_from_bytes(bytes.fromhex(each["body"])) for each in entries if each["body"]]
    events = [each for each in told if isinstance(each, CableEvent)]
    assert [each.kind for each in events] == [CableEventKind.EQUIPMENT_LIMIT_REACHED] * 3
    assert all(each.asset_loading is not None for each in events)


def micros(texts: dict[str, list[str]], purpose: str) -> dict[str, int]:
    """Sums of the ledger's lines for a purpose, by account."""
    sums: Counter[str] = Counter()
    for line in texts["ledger"]:
        for each in json.loads(line)["postings"]:
            if each["purpose"] == purpose:
                sums[each["account"]] += each["micros"]
    return {account: each for account, each in sums.items() if each}


def test_a_bundle_of_everything_derives_what_came_of_it_at_the_market(
    town: ProvenTown, tmp_path: Path
) -> None:
    """Sold 500 and 400 Wh; given -50 and 300, because two drivers left early."""
    path = tmp_path / "all.zip"
    assert export(town, path) == 0
    texts = contents(opened(path))
    results = [json.loads(line)["result"] for line in texts["market"]]
    told = {(r["recorded_wh"], r["telemetry_wh"], r["left_early_wh"]) for r in results}
    assert told == {(-50, 0, 200), (300, 0, 200)}
    assert [each["revision"] for each in results] == [0, 0, 1, 1], "the price came later"
    assert micros(texts, "CONTRACT")[f"MARKET:{AREA}"] == -(500 + 400) * 30_000
    shares = micros(texts, "IMBALANCE")
    assert shares == {
        f"IMBALANCE:{AREA}": (550 + 100) * 30_000,
        f"DRIVER:{town.cables[2].driver_id}": -200 * 30_000 * 40 // 100,
        f"DRIVER:{town.cables[1].driver_id}": -100 * 30_000 * 40 // 100,
        "AGGREGATOR:": -(650 - 120) * 30_000,
    }
    ended = [json.loads(line) for line in texts["blocks"] if "SESSION_ENDED" in line]
    assert [(each["cable_id"], each["actor"]) for each in ended] == [(town.cables[0].name, "alice")]
    assert len(texts["payouts"]) == 5
    report = verify(path)
    assert report.complete
    assert (report.partial, report.telemetry_results, report.unproven_payouts) == (False, 0, ())
    assert all(abs(each.micros) < 10**6 for each in report.balances if "DRIVER" in each.account)


def test_a_bundle_of_one_driver_shows_the_own_share_and_of_the_area_figures_alone(
    town: ProvenTown, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own, everything = tmp_path / "driver.zip", tmp_path / "all.zip"
    driver = town.cables[2].driver_id
    assert export(town, own, "--driver", driver) == 0
    assert export(town, everything) == 0
    texts, whole = contents(opened(own)), contents(opened(everything))
    assert (texts["market"], len(texts["expectations"])) == ([], 1)
    assert texts["shares"], "the own"
    assert set(texts["shares"]) < set(whole["shares"])
    assert {json.loads(line)["share"]["driver"] for line in texts["shares"]} == {driver}
    paid = [json.loads(line)["payout"]["account"]["owner"] for line in texts["payouts"]]
    assert paid == [driver, "host-2"], "all that either was owed for is in it"
    digests = {json.loads(line)["share"]["figures"]["digest"] for line in texts["shares"]}
    shown = (
        json.dumps(json.loads(line)["result"], separators=(",", ":")) for line in whole["market"]
    )
    assert digests < {hashlib.sha256(text.encode()).hexdigest() for text in shown}
    capsys.readouterr()
    assert main(["evidence", "verify", str(own)]) == 0
    said = capsys.readouterr().out
    assert "market results shown by their figures and digest only: 2" in said
    assert "payouts only of accounts that earned nowhere else" in said
    assert main(["evidence", "verify", str(own), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["hidden_results"] == len(digests)


def test_everything_is_one_bundle(
    town: ProvenTown, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here, there = tmp_path / "here.zip", tmp_path / "there.zip"
    assert export(town, here) == 0
    assert ask(town, there) == 0
    assert main(["evidence", "verify", str(there), "--complete"]) == 0
    texts = contents(opened(there))
    assert texts == contents(opened(here))
    assert {json.loads(line)["cable_id"] for line in texts["keys"]} == {
        cable.name for cable in town.cables
    }
    capsys.readouterr()
    assert main(["export", "transfers", "--database", town.database, "--json"]) == 0
    assert len(texts["earnings"]) == len(capsys.readouterr().out.splitlines())


def test_a_manager_hands_out_what_its_database_says(
    town: ProvenTown, key: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here, there = tmp_path / "here.zip", tmp_path / "there.zip"
    signed = ("--signing-key", str(key))
    assert export(town, here, "--site", town.sites[0], *signed) == 0
    assert ask(town, there, "--site", town.sites[0]) == 0
    assert contents(opened(there)) == contents(opened(here))
    assert (
        main(["evidence", "verify", str(there), "--signer-key", str(key.with_suffix(".pub"))]) == 0
    )
    root = verify(there).root
    files = town.process.identity(Kind.OPERATOR, "admin-1", Role.ADMIN)
    who = ("--manager", town.process.address, "--tls", str(files.certificate.parent))
    capsys.readouterr()
    assert main(["audit", *who, "--json"]) == 0
    noted = json.loads(capsys.readouterr().out)["entries"]
    exported = [each for each in noted if each["action"] == "EVIDENCE_EXPORTED"]
    assert exported[-1]["actor"] == "operator/operator/operator-1"
    assert json.loads(exported[-1]["detail"])["root"] == root


def test_who_may_not_and_what_is_not_there(
    town: ProvenTown, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "none.zip"
    assert ask(town, path, "--site", town.sites[0], role=Role.VIEWER) == ExitCode.NEGATIVE
    assert "NOT_PERMITTED" in capsys.readouterr().err
    assert ask(town, path, "--site", "obis:4599999999") == ExitCode.NEGATIVE
    assert "NOTHING_THERE" in capsys.readouterr().err
    assert ask(town, path, "--site", town.sites[0], "--to", "2100-01-01") == 0
    later = ("--from", "2100-01-01", "--site", town.sites[0])
    assert ask(town, path.with_name("late.zip"), *later) == ExitCode.NEGATIVE
    assert export(town, path.with_name("late.zip"), *later) == ExitCode.NEGATIVE
    assert ask(town, path, "--site", "s", "--driver", "d") == ExitCode.USAGE
    folder = ("--site", town.sites[0])
    assert export(town, tmp_path / "absent" / "b.zip", *folder) == ExitCode.USAGE
    assert [each.name for each in tmp_path.iterdir()] == ["none.zip"]


@pytest.mark.parametrize("begin", range(1, 8))
def test_a_later_begin_takes_over_what_the_match_knew(
    begin: int, town: ProvenTown, tmp_path: Path
) -> None:
    """Half hours 1 to 2 and 4 to 7 are one session each at the first house."""
    path = tmp_path / "part.zip"
    start = half_hour(begin).start
    assert export(town, path, "--site", town.sites[0], "--from", start.isoformat()) == 0
    report = verify(path)
    assert report.ok, report.problem
    begins = 0 if begin < 4 else 4
    first = min(json.loads(line)["period"]["start_s"] for line in contents(opened(path))["bills"])
    assert first == half_hour(begins).start_s
    assert report.taken_over == (() if begins == 0 else (town.sites[0],))
    assert (report.withheld, report.hidden_results) == (0, 2)
    assert contents(opened(path))["payouts"] == [], "what was owed before is not in it"
    assert main(["evidence", "verify", str(path), "--complete"]) == ExitCode.NEGATIVE


@pytest.mark.parametrize(
    "count", [4_000, pytest.param(10_000, marks=(pytest.mark.soak, pytest.mark.timeout(3600)))]
)
def test_every_change_of_a_managers_bundle_is_found_and_named(
    count: int, town: ProvenTown, tmp_path: Path
) -> None:
    """Flipped, dropped, doubled, moved, another tariff: none undetected, each names the record."""
    if "postgresql" in town.database:
        pytest.skip("the bundle is the same whatever the database; SQLite's is changed")
    path = tmp_path / "bundle.zip"
    assert export(town, path) == 0
    texts = contents(opened(path))
    assert all(texts[member] for member in ("expectations", "market", "shares", "payouts"))
    assert verify(path, trust=Trust(root=verify(path).root)).ok
    kinds = mutate(path, tmp_path, count, seed=8)
    assert kinds.total() == count
    assert set(kinds) == {each.__name__ for each in MUTATIONS}
