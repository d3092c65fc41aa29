"""Numbers, signs and journals entries, one after the other.

An entry's number stands in what is signed, so building, signing and storing it is one step that
nobody else's entry may come into. The session may still make the journal jump meanwhile: then the
entry is signed anew. It is durable before anybody hears of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

from cable_node.journal import AsyncJournal, NumberTaken
from cable_node.ports import Signer
from gridcord import __version__
from gridcord.evidence import ocmf
from gridcord.evidence.fiscal_record import FiscalRecord, MeterIdentity
from gridcord.metering.records import JournalEntry, TransferRecord
from gridcord.units import CableId
from gridcord.wire.journal import entry_to_bytes
from gridcord.wire.session import signed_bytes


class RecordWriter:
    """The only writer of the journal.

    Args:
        journal: Where to.
        signer: Holds the cable's key.
        cable_id: By the certificate.
        meter: Which measuring unit counted; as it stands in the fiscal record.
        utc_offset_min: Of the local time in which fiscal records are written.
        written: Called with the number of each entry once it is durable.
    """

    def __init__(
        self,
        *,
        journal: AsyncJournal,
        signer: Signer,
        cable_id: CableId,
        meter: MeterIdentity,
        utc_offset_min: int,
        written: Callable[[int], None],
    ) -> None:
        self._journal = journal
        self._signer = signer
        self._cable_id = cable_id
        self._meter = meter
        self._utc_offset_min = utc_offset_min
        self._written = written
        self._lock = asyncio.Lock()

    async def write(self, entry: JournalEntry, *, now_s: float) -> int:
        """Journal one entry; returns its number.

        Args:
            entry: A transfer gets its fiscal record here.
            now_s: When, seconds since 1970 UTC.

        Raises:
            JournalError: No room, or the disk failed; nothing was stored.
        """
        # Whoever asked may be cancelled; what is in the journal must be told all the same.
        return await asyncio.shield(asyncio.ensure_future(self._write(entry, now_s)))

    async def _write(self, entry: JournalEntry, now_s: float) -> int:
        async with self._lock:
            while True:
                try:
                    sequence = await self._append(entry, now_s)
                except NumberTaken:  # the journal jumped while the entry was being signed
                    continue
                self._written(sequence)
                return sequence

    async def _append(self, entry: JournalEntry, now_s: float) -> int:
        """Sign the entry under the number that is next now, and store it."""
        sequence = self._journal.next_sequence
        fiscal = isinstance(entry, TransferRecord)
        if isinstance(entry, TransferRecord):
            entry = replace(entry, fiscal_record=self._fiscal(entry, sequence))
        body = entry_to_bytes(entry)
        signature = self._signer.sign(
            signed_bytes(
                cable_id=self._cable_id,
                journal_epoch=self._journal.journal_epoch,
                sequence=sequence,
                body=body,
            )
        )
        return await self._journal.append(
            sequence=sequence, body=body, signature=signature, created_s=now_s, fiscal=fiscal
        )

    def _fiscal(self, record: TransferRecord, sequence: int) -> str:
        return ocmf.sign(
            ocmf.payload_text(
                FiscalRecord(
                    cable_id=self._cable_id,
                    pagination=self._journal.next_pagination,
                    journal_epoch=self._journal.journal_epoch,
                    sequence_number=sequence,
                    meter=self._meter,
                    firmware=__version__,
                    transfer=record,
                    utc_offset_min=self._utc_offset_min,
                )
            ),
            self._signer,
        )
