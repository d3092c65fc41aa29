"""Opening a session: fences, lineages, clones."""

from __future__ import annotations

import pytest

from gridcord.session.opening import (
    CableCursor,
    CableHello,
    Finding,
    HelloRefused,
    Lineage,
    Opening,
    clear_clone_suspicion,
    open_session,
)


def hello(
    epoch: int = 1, *, oldest: int = 1, following: int = 1, fence: int = 0, boot: str = ""
) -> CableHello:
    return CableHello(
        journal_epoch=epoch,
        oldest_retained=oldest,
        next_sequence=following,
        last_fence=fence,
        boot_id=boot,
    )


def reopen(cursor: CableCursor, said: CableHello, *, alive: bool = False, at_s: float) -> Opening:
    return open_session(cursor=cursor, hello=said, previous_alive=alive, now_s=at_s)


def cursor_at(committed: int, *, epoch: int = 1, fence: int = 5) -> CableCursor:
    lineage = Lineage(journal_epoch=epoch, committed_sequence=committed)
    return CableCursor(fence=fence, lineages=(lineage,))


def test_the_first_session_of_a_cable() -> None:
    opened = reopen(CableCursor(), hello(), at_s=0.0)

    assert (opened.fence, opened.committed_sequence, opened.findings) == (1, 0, ())
    assert opened.cursor.lineages == (Lineage(journal_epoch=1),)


def test_the_fence_rises_above_what_either_side_remembers() -> None:
    assert reopen(cursor_at(3), hello(following=4, fence=5), at_s=0.0).fence == 6

    restored = reopen(cursor_at(3), hello(following=4, fence=41), at_s=0.0)
    assert restored.fence == 42
    assert restored.findings == (Finding.FENCE_REGRESSED,)


def test_a_replaced_flash_begins_a_lineage_and_its_return_is_a_clone() -> None:
    replaced = reopen(cursor_at(3), hello(2), at_s=0.0)
    assert replaced.committed_sequence == 0
    assert replaced.findings == (Finding.LINEAGE_REPLACED,)

    returned = reopen(replaced.cursor, hello(1, following=4), at_s=1.0)
    assert returned.committed_sequence == 3
    assert returned.findings == (Finding.LINEAGE_RETURNED, Finding.CLONE_SUSPECTED)
    assert returned.cursor.clone_suspected

    again = reopen(returned.cursor, hello(1, following=4), at_s=2.0)
    assert again.findings == ()
    assert again.cursor.clone_suspected


def test_more_than_three_take_overs_in_ten_minutes_are_a_clone() -> None:
    cursor, findings = CableCursor(boot_id="a"), []
    for count in range(4):
        opened = reopen(cursor, hello(boot="ba"[count % 2]), alive=True, at_s=count * 100.0)
        cursor = opened.cursor
        findings.append(opened.findings)

    assert findings[:3] == [(Finding.TOOK_OVER,)] * 3
    assert findings[3] == (Finding.TOOK_OVER, Finding.CLONE_SUSPECTED)

    cleared = clear_clone_suspicion(cursor=cursor)
    assert not cleared.clone_suspected
    assert reopen(cleared, hello(boot="x"), alive=True, at_s=500.0).findings == (Finding.TOOK_OVER,)


def test_slow_take_overs_are_no_clone() -> None:
    cursor = CableCursor(boot_id="a")
    for count in range(20):
        cursor = reopen(cursor, hello(boot="ba"[count % 2]), alive=True, at_s=count * 201.0).cursor

    assert not cursor.clone_suspected
    assert len(cursor.takeovers_s) <= 3


def test_a_flapping_link_of_one_boot_is_no_clone() -> None:
    cursor = CableCursor(boot_id="a")
    for count in range(20):
        cursor = reopen(cursor, hello(boot="a"), alive=True, at_s=count * 1.0).cursor

    assert not cursor.clone_suspected
    assert cursor.takeovers_s == ()


def test_a_cable_that_hides_its_boot_is_counted() -> None:
    cursor = CableCursor()
    for count in range(4):
        cursor = reopen(cursor, hello(), alive=True, at_s=count * 1.0).cursor

    assert cursor.clone_suspected


def test_journals_that_went_back_or_lost_entries_are_found() -> None:
    regressed = reopen(cursor_at(7), hello(following=5), at_s=0.0)
    assert regressed.findings == (Finding.SEQUENCE_REGRESSED,)
    assert regressed.committed_sequence == 7

    lost = reopen(cursor_at(2), hello(oldest=4, following=9), at_s=0.0)
    assert lost.findings == (Finding.ENTRIES_LOST,)

    pruned = reopen(cursor_at(7), hello(oldest=8, following=8), at_s=0.0)
    assert pruned.findings == ()


@pytest.mark.parametrize(
    ("oldest", "following", "fence"),
    [(0, 1, 0), (3, 2, 0), (1, 2**62, 0), (1, 1, -1), (1, 1, 2**62)],
)
def test_an_impossible_hello_is_refused(oldest: int, following: int, fence: int) -> None:
    with pytest.raises(HelloRefused, match="no journal holds"):
        hello(oldest=oldest, following=following, fence=fence)
