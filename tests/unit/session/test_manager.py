"""What becomes of an entry, alone and in a batch."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridcord.session.entry import EntryKey, digest_of
from gridcord.session.manager import (
    Decision,
    Folded,
    Offer,
    Ruling,
    decide,
    fold_batch,
    keys_to_look_up,
)
from gridcord.session.opening import CableCursor, Lineage

CURSOR = CableCursor(
    fence=5,
    lineages=(
        Lineage(journal_epoch=1, committed_sequence=9),
        Lineage(journal_epoch=2, committed_sequence=4),
    ),
)


def offer(
    sequence: int,
    body: bytes = b"",
    *,
    previous: int | None = None,
    fence: int = 5,
    epoch: int = 2,
    cable: str = "c1",
    impossible: str | None = None,
) -> Offer:
    return Offer(
        key=EntryKey(cable, epoch, sequence),
        digest=digest_of(body or b"%d" % sequence),
        fence=fence,
        previous_sequence=sequence - 1 if previous is None else previous,
        impossible=impossible,
    )


def ruling(made: Offer, stored: bytes | None = None) -> Ruling:
    return decide(cursor=CURSOR, offer=made, stored=stored)


def test_the_next_entry_is_accepted() -> None:
    assert ruling(offer(5)) == Ruling(decision=Decision.ACCEPT)


def test_an_impossible_entry_is_stored_apart_and_blocks_nothing() -> None:
    made = ruling(offer(5, impossible="RATED_POWER_EXCEEDED"))

    assert made.decision is Decision.QUARANTINE
    assert made.advances
    assert made.acked


def test_the_same_bytes_again_are_a_duplicate_other_bytes_are_not() -> None:
    assert ruling(offer(3, b"x"), digest_of(b"x")).decision is Decision.DUPLICATE
    assert ruling(offer(3, b"y"), digest_of(b"x")).decision is Decision.EQUIVOCATION


@pytest.mark.parametrize("decision", [Decision.DUPLICATE, Decision.EQUIVOCATION])
def test_both_are_confirmed_and_advance_nothing(decision: Decision) -> None:
    made = Ruling(decision=decision)

    assert made.acked
    assert not made.advances


def test_a_gap_is_refused_unless_the_cable_says_that_the_entries_are_lost() -> None:
    assert ruling(offer(7)).decision is Decision.GAP
    assert ruling(offer(7, previous=4)) == Ruling(decision=Decision.ACCEPT, lost=(5, 6))
    assert ruling(offer(7, previous=2)) == Ruling(decision=Decision.ACCEPT, lost=(5, 6))
    assert ruling(offer(7, previous=5)).decision is Decision.GAP


def test_an_entry_that_was_given_up_for_lost_is_welcome() -> None:
    assert ruling(offer(3)) == Ruling(decision=Decision.ACCEPT)


@pytest.mark.parametrize("fence", [4, 6])
def test_only_the_newest_session_writes(fence: int) -> None:
    made = ruling(offer(5, fence=fence))

    assert made.decision is Decision.FENCED
    assert not made.acked


def test_a_lineage_that_no_hello_named_writes_nothing() -> None:
    assert ruling(offer(1, epoch=3)).decision is Decision.FENCED


def test_a_batch_of_two_cables() -> None:
    other = CableCursor(fence=1, lineages=(Lineage(journal_epoch=8),))
    offers = [
        offer(5),
        offer(1, fence=1, epoch=8, cable="c2"),
        offer(6),
        offer(6),
        offer(6, b"forged"),
        offer(8),
        offer(7, fence=4),
        offer(1, cable="nobody"),
    ]

    folded = fold_batch(cursors={"c1": CURSOR, "c2": other}, offers=offers, stored={})

    assert [made.decision for made in folded.rulings] == [
        Decision.ACCEPT,
        Decision.ACCEPT,
        Decision.ACCEPT,
        Decision.DUPLICATE,
        Decision.EQUIVOCATION,
        Decision.GAP,
        Decision.FENCED,
        Decision.FENCED,
    ]
    assert folded.acks == {("c1", 5): 6, ("c2", 1): 1}
    assert folded.ended == {
        ("c1", 5): Decision.GAP,
        ("c1", 4): Decision.FENCED,
        ("nobody", 5): Decision.FENCED,
    }
    assert folded.cursors["c1"].lineages == (
        Lineage(journal_epoch=1, committed_sequence=9),
        Lineage(journal_epoch=2, committed_sequence=6),
    )
    assert folded.cursors["c2"].committed(journal_epoch=8) == 1


def test_cursors_that_did_not_move_are_not_written() -> None:
    stored = {EntryKey("c1", 2, 3): digest_of(b"3")}

    folded = fold_batch(cursors={"c1": CURSOR}, offers=[offer(3)], stored=stored)

    assert folded.cursors == {}
    assert folded.acks == {("c1", 5): 3}


def test_only_entries_at_or_below_the_cursor_are_looked_up() -> None:
    offers = [offer(4), offer(5), offer(9, epoch=1), offer(1, epoch=3), offer(1, cable="nobody")]

    assert keys_to_look_up(cursors={"c1": CURSOR}, offers=offers) == [
        EntryKey("c1", 2, 4),
        EntryKey("c1", 1, 9),
    ]


OFFERS = st.lists(
    st.builds(
        offer,
        st.integers(1, 12),
        st.sampled_from([b"a", b"b"]),
        previous=st.integers(0, 0),
        fence=st.integers(4, 6),
        epoch=st.integers(1, 3),
        impossible=st.sampled_from([None, "NO"]),
    )
    | st.builds(offer, st.integers(1, 12)),
    max_size=12,
)


def one_by_one(
    offers: list[Offer], stored: dict[EntryKey, bytes]
) -> tuple[list[Ruling], CableCursor]:
    cursor, digests, rulings = CURSOR, dict(stored), []
    for made in offers:
        folded: Folded = fold_batch(cursors={"c1": cursor}, offers=[made], stored=digests)
        assert folded.rulings[0] == decide(cursor=cursor, offer=made, stored=digests.get(made.key))
        cursor = folded.cursors.get("c1", cursor)
        if folded.rulings[0].advances:
            digests[made.key] = made.digest
        rulings.append(folded.rulings[0])
    return rulings, cursor


@given(offers=OFFERS, kept=st.sets(st.integers(1, 9)))
def test_a_batch_is_its_entries_one_after_the_other(offers: list[Offer], kept: set[int]) -> None:
    stored = {EntryKey("c1", 1, sequence): digest_of(b"a") for sequence in kept}

    folded = fold_batch(cursors={"c1": CURSOR}, offers=offers, stored=stored)
    rulings, cursor = one_by_one(offers, stored)

    assert list(folded.rulings) == rulings
    assert folded.cursors.get("c1", CURSOR) == cursor
    for epoch in (1, 2):
        before, after = (c.committed(journal_epoch=epoch) or 0 for c in (CURSOR, cursor))
        assert after >= before
    for (_, fence), number in folded.acks.items():
        assert fence == CURSOR.fence
        assert number <= max(x.committed_sequence for x in cursor.lineages)
