"""Deliberate bugs of running programs: each changes what it names in the process it is called in.

A test that cannot tell them from the product proves nothing. Guards that hide each other's removal
are removed in pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import gridcord.session.manager as entry_rules
from cable_node.journal import Journal
from gridcord.api.manager.v1 import cable_session_service_pb2 as pb
from gridcord.session.manager import Ruling
from manager.domain.records.cable_session import CableIntroduction
from manager.ports import ReceivedEntry
from manager.service import cable_frames, cables
from manager.usecases.commit_entries import Committer, Session


def ack_before_commit() -> None:
    """The manager confirms an entry when it arrives."""
    offer = Committer.offer

    async def offer_and_ack(self: Committer, entry: ReceivedEntry, session: Session) -> None:
        session.ack(entry.offer.key.sequence)
        await offer(self, entry, session)

    Committer.offer = offer_and_ack  # type: ignore[method-assign]


def no_fence_and_no_dedupe() -> None:
    """The manager takes an entry of any session, and does not ask whether it has it."""
    decide = entry_rules._decide

    def rule(
        cursor: Any, committed: dict[tuple[str, int], int], offer: Any, stored: bytes | None
    ) -> Ruling:
        lineage = offer.key.cable_id, offer.key.journal_epoch
        committed.setdefault(lineage, cursor.committed(journal_epoch=lineage[1]) or 0)
        return decide(committed[lineage], offer, None)

    entry_rules._rule = rule


def id_from_payload() -> None:
    """The manager believes the id in the hello instead of the certificate's."""

    def introduce(hello: pb.CableHello, cable_id: str) -> CableIntroduction:
        return cable_frames.introduction_from_proto(hello, hello.cable_id or cable_id)

    vars(cables)["introduction_from_proto"] = introduce


def delete_on_ack() -> None:
    """The cable forgets what was confirmed, as queues do."""
    note_acked = Journal.note_acked

    def note_and_delete(self: Journal, sequence: int) -> None:
        note_acked(self, sequence)
        with self._transaction():
            self._database.execute("DELETE FROM entry WHERE sequence <= ?", (sequence,))
        self._load()

    Journal.note_acked = note_and_delete  # type: ignore[method-assign]


MUTANTS: Mapping[str, Callable[[], None]] = {
    mutant.__name__: mutant
    for mutant in (ack_before_commit, no_fence_and_no_dedupe, id_from_payload, delete_on_ack)
}
