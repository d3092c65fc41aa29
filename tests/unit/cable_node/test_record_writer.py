"""Numbering, signing and storing is one step, whatever the session does meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest

from cable_node.drivers.soft_key import SoftKey
from cable_node.journal import AsyncJournal
from cable_node.record_writer import RecordWriter
from gridcord.evidence.fiscal_record import MeterIdentity
from gridcord.evidence.signature import DEFAULT_ALGORITHM, check
from gridcord.metering.records import CableEvent, CableEventKind
from gridcord.units import CableId
from gridcord.wire.session import signed_bytes

NOW_S = 1_800_000_000.0
EVENT = CableEvent(kind=CableEventKind.PLUGGED, at_s=NOW_S)


class JumpingJournal:
    """The shipped journal; it jumps just before it is appended to, as a session makes it."""

    def __init__(self, journal: AsyncJournal, jumps: list[int]) -> None:
        self._journal = journal
        self._jumps = jumps

    @property
    def journal_epoch(self) -> int:
        return self._journal.journal_epoch

    @property
    def next_sequence(self) -> int:
        return self._journal.next_sequence

    @property
    def next_pagination(self) -> int:
        return self._journal.next_pagination

    async def append(
        self,
        *,
        sequence: int,
        body: bytes,
        signature: bytes,
        created_s: float,
        fiscal: bool = False,
        state: Mapping[str, bytes] | None = None,
    ) -> int:
        if self._jumps:
            await self._journal.jump_to(self._jumps.pop(0))
        return await self._journal.append(
            sequence=sequence,
            body=body,
            signature=signature,
            created_s=created_s,
            fiscal=fiscal,
            state=state,
        )


def writer(journal: AsyncJournal, key: SoftKey, told: list[int], jumps: list[int]) -> RecordWriter:
    return RecordWriter(
        journal=JumpingJournal(journal, jumps),  # type: ignore[arg-type]
        signer=key,
        cable_id=CableId("cable-1"),
        meter=MeterIdentity(vendor="v", model="m", serial="1"),
        utc_offset_min=0,
        written=told.append,
    )


def test_an_entry_that_lost_its_number_is_signed_anew(tmp_path: Path) -> None:
    async def scenario() -> None:
        journal = await AsyncJournal.open(tmp_path / "journal.db")
        key, told = SoftKey.create(tmp_path / "key.pem"), list[int]()
        try:
            sequence = await writer(journal, key, told, [7, 9]).write(EVENT, now_s=NOW_S)
            entry = await journal.entry(9)
        finally:
            await journal.close()
        assert (sequence, told) == (9, [9])
        check(
            message=signed_bytes(
                cable_id="cable-1",
                journal_epoch=journal.journal_epoch,
                sequence=9,
                body=entry.body,
            ),
            signature=entry.signature,
            public_key=key.public_key_der,
            algorithm=DEFAULT_ALGORITHM,
        )

    asyncio.run(scenario())


def test_an_entry_is_told_of_even_if_whoever_wrote_it_is_cancelled(tmp_path: Path) -> None:
    """Else the session would meet a number that it never heard of, and end the process."""

    async def scenario() -> None:
        journal = await AsyncJournal.open(tmp_path / "journal.db")
        told: list[int] = []
        made = writer(journal, SoftKey.create(tmp_path / "key.pem"), told, [])
        try:
            writing = asyncio.ensure_future(made.write(EVENT, now_s=NOW_S))
            await asyncio.sleep(0)
            writing.cancel()
            with pytest.raises(asyncio.CancelledError):
                await writing
            assert await made.write(EVENT, now_s=NOW_S) == 2
        finally:
            await journal.close()
        assert told == [1, 2]

    asyncio.run(scenario())
