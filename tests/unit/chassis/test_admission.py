"""Deny lists and expiry."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gridcord.chassis.admission import (
    CERTIFICATE_EXPIRED,
    CERTIFICATE_REVOKED,
    FOREIGN_DOMAIN,
    Admission,
    DenyList,
    DenyListError,
    parse_deny_list,
)
from gridcord.chassis.failures import Failure
from gridcord.chassis.identity import Peer, parse_principal
from gridcord.testing.clock import ManualClock

NOW_S = 1_800_000_000.0

PEER = Peer(
    principal=parse_principal("spiffe://grid.example/cable/c-0001"),
    serial="5c37",
    fingerprint="ab" * 32,
    not_after_s=NOW_S + 3600,
)


def admission(path: Path | None = None, clock: ManualClock | None = None) -> Admission:
    return Admission(
        domain="grid.example", clock=clock or ManualClock(NOW_S), deny_list=path, interval_s=2
    )


def reason(found: Failure | None) -> str | None:
    return found.reason if found else None


@pytest.mark.parametrize(
    ("entry", "denied"),
    [
        ("spiffe://grid.example/cable/c-0001", True),
        ("serial:5c37", True),
        (f"sha256:{'ab' * 32}", True),
        ("spiffe://grid.example/cable/c-000", False),
        ("spiffe://grid.example/driver/c-0001", False),
        ("serial:5c3", False),
        (f"sha256:{'ba' * 32}", False),
    ],
)
def test_a_deny_list_names_peers_in_three_ways(entry: str, denied: bool) -> None:
    text = f"# stolen on Monday\n\n  {entry}  # ticket 17\r\n"

    assert parse_deny_list(text) == DenyList(frozenset({entry}))
    assert parse_deny_list(text).denies(PEER) is denied


@pytest.mark.parametrize(
    "line",
    [
        "c-0001",
        "spiffe://grid.example/cable/C-0001",
        "serial:",
        "serial:5C37",
        "serial: 5c37",
        "sha256:ab",
        "sha1:" + "ab" * 20,
    ],
)
def test_a_line_that_means_nothing_is_refused_and_named(line: str) -> None:
    with pytest.raises(DenyListError, match="line 2"):
        parse_deny_list(f"serial:5c37\n{line}\n")


def test_who_is_of_us_valid_and_not_denied_is_admitted() -> None:
    assert admission().refusal(PEER) is None
    admission().require(PEER)


@pytest.mark.parametrize(("step_s", "expected"), [(3599, None), (3600, CERTIFICATE_EXPIRED)])
def test_expiry_is_the_first_instant_that_is_too_late(step_s: float, expected: str | None) -> None:
    clock = ManualClock(NOW_S)
    clock.step(step_s)

    assert reason(admission(clock=clock).refusal(PEER)) == expected


def test_a_stranger_of_another_domain_is_refused() -> None:
    foreign = Admission(domain="other.example", clock=ManualClock(NOW_S))

    with pytest.raises(Failure) as caught:
        foreign.require(PEER)

    assert caught.value.reason == FOREIGN_DOMAIN


def test_a_missing_deny_list_is_an_error_at_start(tmp_path: Path) -> None:
    with pytest.raises(DenyListError, match="absent"):
        admission(tmp_path / "absent")


class Recorded:
    """Calls whose review is counted."""

    def __init__(self) -> None:
        self.reasons: list[str | None] = []

    def review(self, admission: Admission) -> None:
        self.reasons.append(reason(admission.refusal(PEER)))


def test_a_change_of_the_file_acts_at_the_next_look(tmp_path: Path) -> None:
    path = tmp_path / "deny"
    path.write_text("")
    clock = ManualClock(NOW_S)
    calls = Recorded()

    async def scenario() -> None:
        watched = admission(path, clock)
        watched.watch(calls)
        watching = asyncio.create_task(watched.run())
        await clock.advance(2)
        path.write_text("serial:5c37")
        await clock.advance(2)
        path.write_text("")
        await clock.advance(2)
        watching.cancel()

    asyncio.run(scenario())
    assert calls.reasons == [None, CERTIFICATE_REVOKED, None]


@pytest.mark.parametrize("damage", ["nonsense\n", None, b"\xff\xfe"])
def test_a_damaged_file_leaves_the_old_list_in_force_until_it_is_mended(
    tmp_path: Path, damage: str | bytes | None
) -> None:
    path = tmp_path / "deny"
    path.write_text("serial:5c37")
    watched = admission(path)

    match damage:
        case None:
            path.unlink()
        case bytes():
            path.write_bytes(damage)
        case str():
            path.write_text(damage)
    watched.refresh()
    assert reason(watched.refusal(PEER)) == CERTIFICATE_REVOKED

    path.write_text("# pardoned\n")
    watched.refresh()
    assert watched.refusal(PEER) is None
