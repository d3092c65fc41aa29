"""Read commands: tables for people, JSON for programs, errors that say what to do."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from gridcord.chassis.identity import Kind, Principal, Role
from gridcord.chassis.pki import PkiFolder
from gridcord.units import epoch_text
from tests.integration.cli.conftest import Command
from tests.integration.manager.conftest import DOMAIN
from tests.integration.manager.recording import RecordingCable, past_period

READS = ("transfers", "sites", "blocks", "sessions", "resources", "demand", "earnings")


@pytest.mark.parametrize("command", READS)
def test_every_list_is_a_document_or_a_table(
    gridcord: Command, delivered: RecordingCable, command: str
) -> None:
    document = gridcord(command, "--json", role=Role.VIEWER).document
    assert list(document) == [command]
    table = gridcord(command, role=Role.VIEWER)
    assert table.exit_code == 0, table.err
    assert not table.err
    if document[command]:
        assert len(table.out.splitlines()) > len(document[command])
    else:
        assert table.out == f"no {command}\n"


def test_what_a_cable_delivered_is_told_everywhere(
    gridcord: Command, delivered: RecordingCable
) -> None:
    own = ("--cable", delivered.name, "--json")
    transfers = gridcord("transfers", *own).document["transfers"]
    assert [each["transferred_wh"] for each in transfers] == [-100, -100]
    assert transfers[0]["key"]["journal_epoch"] == epoch_text(delivered.epoch)
    assert transfers[0]["period"]["start_time"] == f"{past_period().start:%Y-%m-%dT%H:%M:%SZ}"
    (first,) = gridcord("transfers", *own, "--limit", "1").document["transfers"]
    assert first == transfers[0]
    later = f"{past_period(1).start:%Y-%m-%dT%H:%M:%SZ}"
    assert gridcord("transfers", *own, "--from", later).document["transfers"] == transfers[1:]
    assert gridcord("transfers", *own, "--to", later).document["transfers"] == transfers[:1]

    (site,) = gridcord("sites", "--site", delivered.site_id, "--json").document["sites"]
    assert (site["vehicle_to_site_wh"], site["permission"]) == (200, "BIDIRECTIONAL")
    (session,) = gridcord("sessions", "--site", delivered.site_id, "--ended", "--json").document[
        "sessions"
    ]
    assert (session["cable_id"], session["committed_sequence_number"]) == (delivered.name, 2)
    table = gridcord("transfers", "--cable", delivered.name).out
    assert delivered.site_id in table
    assert "-100" in table


def test_a_driver_sees_its_own_earnings_and_their_sum(
    gridcord: Command, delivered: RecordingCable
) -> None:
    told = gridcord("earnings", "--json", driver=delivered.driver_id).document["earnings"]
    assert [each["driver_id"] for each in told] == [delivered.driver_id] * 2
    assert "together" in gridcord("earnings", driver=delivered.driver_id).out
    other = gridcord("earnings", "--driver", "somebody-else", driver=delivered.driver_id)
    assert other.exit_code == 1
    assert "OTHER_DRIVER" in other.err
    assert "--tls" in other.err


def test_a_site_that_is_unknown_is_no(gridcord: Command) -> None:
    answer = gridcord("sites", "--site", "obis:9999999999")
    assert answer.exit_code == 1
    assert answer.err == "gridcord: SITE_NOT_FOUND: no cable was ever at obis:9999999999\n"


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        (["transfers", "--from", "yesterday"], "give one such as 2026-11-23T09:30:00Z"),
        (["transfers", "--follow", "--limit", "3"], "leave out --from, --to and --limit"),
        (["sites", "--site", "x" * 9_000], "site_id: more than 256 characters"),
        (["transfers", "watch", "--cursor", "not-one"], "CURSOR_INVALID"),
        (["transfers", "--limit", "0"], "--limit"),
        (["transfer"], "transfers"),
    ],
    ids=lambda value: " ".join(value)[:30] if isinstance(value, list) else "",
)
def test_what_cannot_be_used_is_2_and_says_why(
    gridcord: Command, arguments: list[str], advice: str
) -> None:
    answer = gridcord(*arguments)
    assert answer.exit_code == 2
    assert advice in " ".join(answer.err.split())
    assert "Traceback" not in answer.err


def test_nobody_there_is_3(gridcord: Command) -> None:
    _, _, _, tls = gridcord.options()
    answer = gridcord.plain("sites", "--manager", "127.0.0.1:1", "--tls", tls)
    assert answer.exit_code == 3
    assert "the manager at 127.0.0.1:1 does not answer: is it running" in answer.err


def test_an_identity_of_another_authority_is_3_and_asks_about_it(
    gridcord: Command, tmp_path: Path
) -> None:
    stranger = PkiFolder(tmp_path)
    stranger.create(domain=DOMAIN, now_s=time.time() - 60)
    principal = Principal(domain=DOMAIN, kind=Kind.OPERATOR, id="eve", role=Role.ADMIN)
    files = stranger.issue(principal, now_s=time.time() - 60)
    answer = gridcord.plain(
        "sites", "--manager", gridcord.manager.address, "--tls", str(files.certificate.parent)
    )
    assert answer.exit_code == 3
    assert "do both trust the same authority?" in answer.err


def test_another_name_in_the_managers_certificate_is_3(gridcord: Command) -> None:
    answer = gridcord("sites", "--server-name", "manager.other.example")
    assert answer.exit_code == 3


def test_what_is_missing_is_asked_for(
    gridcord: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("GRIDCORD_MANAGER", "GRIDCORD_TLS", "GRIDCORD_DATA"):
        monkeypatch.delenv(variable, raising=False)
    for arguments, advice in (
        ((), "which manager? Give --manager HOST:PORT or set GRIDCORD_MANAGER"),
        (("--manager", "127.0.0.1:1"), "who are you? Give --tls DIR or set GRIDCORD_TLS"),
        (("--manager", "here", "--tls", str(tmp_path)), "give host:port"),
        (("--manager", "127.0.0.1:1", "--tls", str(tmp_path)), "gridcord ca issue"),
        (("--data", str(tmp_path)), "is it the folder of a demo with --keep?"),
    ):
        answer = gridcord.plain("sites", *arguments)
        assert answer.exit_code == 2
        assert advice in answer.err


def test_the_environment_reaches_a_manager(
    gridcord: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, address, _, tls = gridcord.options(Role.VIEWER)
    monkeypatch.setenv("GRIDCORD_MANAGER", address)
    monkeypatch.setenv("GRIDCORD_TLS", tls)
    assert gridcord.plain("blocks", "--json").exit_code == 0


def test_a_cables_identity_reads_nothing(gridcord: Command) -> None:
    files = gridcord.manager.identity(Kind.CABLE, "curious")
    answer = gridcord.plain(
        "sites", "--manager", gridcord.manager.address, "--tls", str(files.certificate.parent)
    )
    assert answer.exit_code == 1
    assert "NOT_PERMITTED" in answer.err
    assert "name another identity with --tls" in answer.err
