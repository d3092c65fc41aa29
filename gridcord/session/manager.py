"""The manager's side of a cable's session: what becomes of each entry.

Pure. The caller reads the cursor of a cable under a lock, folds, and writes the rows, the cursor
and whatever follows in one transaction; it acknowledges after the commit. Nothing here remembers
anything, so any process of the manager may be killed at any instruction. How a session is opened
is in `opening`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from gridcord.session.entry import EntryKey
from gridcord.session.opening import CableCursor


class Decision(StrEnum):
    """What becomes of an entry."""

    ACCEPT = "ACCEPT"  # store it
    QUARANTINE = "QUARANTINE"  # store it apart: rightly numbered, but impossible
    DUPLICATE = "DUPLICATE"  # stored already; acknowledge again
    EQUIVOCATION = "EQUIVOCATION"  # the number is taken by other bytes: keep those, store it apart
    GAP = "GAP"  # end the session, FAILED_PRECONDITION (SEQUENCE_GAP)
    FENCED = "FENCED"  # of a session that is over: end it, ABORTED (SESSION_SUPERSEDED)


_ACKED = frozenset(
    {Decision.ACCEPT, Decision.QUARANTINE, Decision.DUPLICATE, Decision.EQUIVOCATION}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """An entry as it arrived.

    Args:
        key: Cable by its certificate, journal epoch by its hello, number by the entry; >= 1.
        digest: SHA-256 of the body.
        fence: Of the session that brought it.
        previous_sequence: The entry before it in the cable's journal; 0 <= it < key.sequence.
        impossible: Why the content cannot be; None when it can.
    """

    key: EntryKey
    digest: bytes
    fence: int
    previous_sequence: int
    impossible: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """What becomes of one offer.

    Args:
        decision: It.
        lost: First and last number that the entry declares lost, to be stored as a gap.
    """

    decision: Decision
    lost: tuple[int, int] | None = None

    @property
    def acked(self) -> bool:
        """Whether it is confirmed to the cable after the commit."""
        return self.decision in _ACKED

    @property
    def advances(self) -> bool:
        """Whether it is stored under its own key for the first time."""
        return self.decision in {Decision.ACCEPT, Decision.QUARANTINE}


_UNKNOWN = CableCursor()
_PLAIN = {decision: Ruling(decision=decision) for decision in Decision}


def decide(*, cursor: CableCursor, offer: Offer, stored: bytes | None) -> Ruling:
    """Decide on one entry.

    Args:
        cursor: Of the entry's cable.
        offer: The entry.
        stored: Digest of what is stored under its key, accepted or quarantined; None for nothing.
    """
    committed = cursor.committed(journal_epoch=offer.key.journal_epoch)
    # Not only a lower fence: a higher one than the store knows was granted before a restore.
    if committed is None or offer.fence != cursor.fence:
        return _PLAIN[Decision.FENCED]
    return _decide(committed, offer, stored)


def _decide(committed: int, offer: Offer, stored: bytes | None) -> Ruling:
    sequence = offer.key.sequence
    if stored is not None:
        same = stored == offer.digest
        return _PLAIN[Decision.DUPLICATE if same else Decision.EQUIVOCATION]
    if offer.previous_sequence > committed:
        return _PLAIN[Decision.GAP]
    decision = Decision.ACCEPT if offer.impossible is None else Decision.QUARANTINE
    if sequence <= committed + 1:  # below: it fills a gap that was declared before
        return _PLAIN[decision]
    return Ruling(decision=decision, lost=(committed + 1, sequence - 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Folded:
    """What becomes of a batch.

    Args:
        rulings: One for each offer, in order.
        cursors: Cursors that changed, by cable.
        acks: Latest number to confirm, by cable and fence; to be sent after the commit.
        ended: Sessions to end, by cable and fence: GAP or FENCED.
    """

    rulings: tuple[Ruling, ...]
    cursors: Mapping[str, CableCursor]
    acks: Mapping[tuple[str, int], int]
    ended: Mapping[tuple[str, int], Decision]


def keys_to_look_up(
    *, cursors: Mapping[str, CableCursor], offers: Sequence[Offer]
) -> list[EntryKey]:
    """Keys whose stored digest `fold_batch` needs: those at or below the cursor, which are few."""
    keys = []
    for offer in offers:
        cursor = cursors.get(offer.key.cable_id, _UNKNOWN)
        if offer.key.sequence <= (cursor.committed(journal_epoch=offer.key.journal_epoch) or 0):
            keys.append(offer.key)
    return keys


def fold_batch(
    *,
    cursors: Mapping[str, CableCursor],
    offers: Sequence[Offer],
    stored: Mapping[EntryKey, bytes],
) -> Folded:
    """Decide on a batch, each entry as if all before it were stored already.

    Args:
        cursors: Of the cables in the batch, read under a lock.
        offers: In order of arrival.
        stored: Digests for `keys_to_look_up`, as far as rows exist.
    """
    committed: dict[tuple[str, int], int] = {}
    digests = dict(stored)
    rulings: list[Ruling] = []
    acks: dict[tuple[str, int], int] = {}
    ended: dict[tuple[str, int], Decision] = {}
    for offer in offers:
        key, session = offer.key, (offer.key.cable_id, offer.fence)
        ruling = _rule(cursors.get(key.cable_id, _UNKNOWN), committed, offer, digests.get(key))
        rulings.append(ruling)
        if ruling.acked:
            acks[session] = max(acks.get(session, 0), key.sequence)
        else:
            ended[session] = ruling.decision
        if ruling.advances:
            digests[key] = offer.digest
            lineage = key.cable_id, key.journal_epoch
            committed[lineage] = max(committed[lineage], key.sequence)
    return Folded(
        rulings=tuple(rulings), cursors=_moved(cursors, committed), acks=acks, ended=ended
    )


def _rule(
    cursor: CableCursor, committed: dict[tuple[str, int], int], offer: Offer, stored: bytes | None
) -> Ruling:
    if offer.fence != cursor.fence:
        return _PLAIN[Decision.FENCED]
    lineage = offer.key.cable_id, offer.key.journal_epoch
    if lineage not in committed:
        start = cursor.committed(journal_epoch=offer.key.journal_epoch)
        if start is None:
            return _PLAIN[Decision.FENCED]
        committed[lineage] = start
    return _decide(committed[lineage], offer, stored)


def _moved(
    cursors: Mapping[str, CableCursor], committed: Mapping[tuple[str, int], int]
) -> dict[str, CableCursor]:
    moved: dict[str, CableCursor] = {}
    for (cable_id, epoch), sequence in committed.items():
        cursor = moved.get(cable_id, cursors[cable_id])
        if cursor.committed(journal_epoch=epoch) == sequence:
            continue
        lineages = tuple(
            replace(lineage, committed_sequence=sequence)
            if lineage.journal_epoch == epoch
            else lineage
            for lineage in cursor.lineages
        )
        moved[cable_id] = replace(cursor, lineages=lineages)
    return moved
