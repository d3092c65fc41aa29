"""The second version of an entry is kept once, however often it is offered, on both databases."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from gridcord.session.entry import EntryKey, digest_of
from gridcord.session.manager import Decision, Offer
from gridcord.session.opening import CableCursor, Lineage
from manager.ports import ReceivedEntry
from manager.storage.audit.chain import AUDIT
from manager.storage.engine import Database
from manager.storage.log.journals import ENTRY, QUARANTINE, commit_entries, store_cursor
from manager.storage.schema import migrate

CABLE, EPOCH, FENCE, NOW_S = "cable-1", 7, 1, 1_800_000_000


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = Database(database_url)
    migrate(opened)
    cursor = CableCursor(fence=FENCE, lineages=(Lineage(journal_epoch=EPOCH),))
    opened.write_now(lambda c: store_cursor(c, CABLE, cursor, signing_key=b"key", now_s=NOW_S))
    yield opened
    opened.close()


def offer(database: Database, *bodies: tuple[int, bytes]) -> list[Decision]:
    entries = [
        ReceivedEntry(
            Offer(
                key=EntryKey(CABLE, EPOCH, sequence),
                digest=digest_of(body),
                fence=FENCE,
                previous_sequence=sequence - 1,
            ),
            "EVENT",
            0,
            body,
            b"signature",
        )
        for sequence, body in bodies
    ]
    folded = database.write_now(lambda c: commit_entries(c, entries, now_s=NOW_S))
    return [ruling.decision for ruling in folded.rulings]


def bodies(database: Database, table: sa.Table) -> list[bytes]:
    rows = database.read_now(lambda c: c.execute(sa.select(table.c.body)).all())
    return sorted(bytes(row.body) for row in rows)


def test_the_same_second_version_offered_again_changes_nothing(database: Database) -> None:
    assert offer(database, (1, b"first")) == [Decision.ACCEPT]
    for _ in range(3):
        assert offer(database, (1, b"second")) == [Decision.EQUIVOCATION]
    offer(database, (1, b"second"), (1, b"second"), (1, b"third"))
    assert bodies(database, ENTRY) == [b"first"]
    assert bodies(database, QUARANTINE) == [b"second", b"third"]
    actions = database.read_now(lambda c: c.execute(sa.select(AUDIT.c.action)).scalars().all())
    assert list(actions) == ["EQUIVOCATION", "EQUIVOCATION"]


def test_the_same_bytes_under_two_numbers_are_two(database: Database) -> None:
    offer(database, (1, b"one"), (2, b"two"))
    offer(database, (1, b"other"), (2, b"other"))
    assert bodies(database, QUARANTINE) == [b"other", b"other"]
