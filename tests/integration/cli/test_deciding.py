"""Commands that decide: block, unblock, end a session; who may, with a reason, and the audit."""

from __future__ import annotations

import pytest

from gridcord.chassis.identity import Role
from tests.integration.cli.conftest import Command
from tests.integration.manager.recording import new_site


def test_a_block_is_made_seen_and_lifted(gridcord: Command) -> None:
    site = new_site()
    made = gridcord(
        "block", site, "--reason", "meter swapped", "--permission", "charge_only", "--json"
    ).document
    assert (made["permission"], made["cause"], made["reason"]) == (
        "CHARGE_ONLY",
        "OPERATOR",
        "meter swapped",
    )
    assert made["created_by"] == "operator/admin/admin-1"
    (seen,) = gridcord("blocks", "--site", site, "--json").document["blocks"]
    assert seen == made

    again = gridcord("block", site, "--reason", "once more")
    assert again.exit_code == 1
    assert "SITE_ALREADY_BLOCKED" in again.err

    lifted = gridcord("unblock", site, "--reason", "checked", "--json", role=Role.OPERATOR).document
    assert lifted["lift_reason"] == "checked"
    assert gridcord("blocks", "--site", site, "--json").document["blocks"] == []
    (ended,) = gridcord("blocks", "--site", site, "--ended", "--json").document["blocks"]
    assert ended["block_number"] == made["block_number"]

    twice = gridcord("unblock", site, "--reason", "checked")
    assert twice.exit_code == 1
    assert "SITE_NOT_BLOCKED" in twice.err
    entries = gridcord("audit", "--json").document["entries"]
    assert len([entry for entry in entries if site in entry["subject"]]) == 2
    assert gridcord("audit", "verify").exit_code == 0


@pytest.mark.parametrize("command", ["block", "unblock", "prove"])
@pytest.mark.parametrize("reason", [[], ["--reason", " "]], ids=["none", "blank"])
def test_a_decision_needs_a_reason(gridcord: Command, command: str, reason: list[str]) -> None:
    answer = gridcord(command, new_site(), *reason)
    assert answer.exit_code == 2
    assert "--reason" in answer.err


@pytest.mark.parametrize("command", ["block", "unblock", "prove"])
def test_a_viewer_decides_nothing(gridcord: Command, command: str) -> None:
    answer = gridcord(command, new_site(), "--reason", "why not", role=Role.VIEWER)
    assert answer.exit_code == 1
    assert "NOT_PERMITTED" in answer.err


@pytest.mark.parametrize(
    ("arguments", "exit_code", "reason"),
    [
        (["block", "no site at all", "--reason", "r"], 2, "SITE_ID_INVALID"),
        (["block", "obis:4530303033", "--reason", "r", "--until", "soon"], 2, "--until"),
        (["prove", "obis:9999999999", "--reason", "r"], 1, "NO_CABLE_CONNECTED"),
        (["sessions", "end", "nobody", "--reason", "r"], 1, "SESSION_NOT_FOUND"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_a_decision_that_cannot_be_is_refused_in_words(
    gridcord: Command, arguments: list[str], exit_code: int, reason: str
) -> None:
    answer = gridcord(*arguments)
    assert (answer.exit_code, reason in answer.err) == (exit_code, True), answer.err
