"""Check signatures and read bodies, off the event loop: the hidden hot spot of ingest.

The certificate of the session admits an entry; its signature is checked here, right after it is
durable and before anything is paid, blocked or exported.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from gridcord.evidence import ocmf
from gridcord.evidence.signature import DEFAULT_ALGORITHM, SignatureError, check
from gridcord.metering.records import JournalEntry, TransferRecord
from gridcord.wire.journal import entry_from_bytes
from gridcord.wire.session import signed_bytes
from gridcord.wire.values import WireError
from manager.domain.records.entry_check import (
    BODY_INVALID,
    FISCAL_RECORD_DIFFERS,
    FISCAL_RECORD_INVALID,
    SIGNATURE_INVALID,
    Doubt,
    PlausibilityPolicy,
    fiscal_doubt,
    transfer_doubt,
)
from manager.domain.records.logged_entry import LoggedEntry, ReadEntry


class EntryReader:
    """Reads entries in a pool of threads (the signature check lets go of the interpreter).

    Args:
        policy: Bounds of what is plausible.
        threads: Of the pool.
    """

    def __init__(self, *, policy: PlausibilityPolicy, threads: int = 2) -> None:
        self._policy = policy
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="entry-read")

    async def read(self, entries: Sequence[LoggedEntry]) -> list[ReadEntry]:
        """Look at entries, in order."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, self._read_all, entries)

    def close(self) -> None:
        """Let the threads go."""
        self._pool.shutdown()

    def _read_all(self, entries: Sequence[LoggedEntry]) -> list[ReadEntry]:
        return [read_entry(entry, policy=self._policy) for entry in entries]


def read_entry(entry: LoggedEntry, *, policy: PlausibilityPolicy) -> ReadEntry:
    """Look at one entry."""
    try:
        content = entry_from_bytes(entry.body)
    except WireError as error:
        return _doubted(entry, Doubt(reason=BODY_INVALID, detail=str(error)[:200]))
    doubt = _doubt(entry, content, policy)
    return ReadEntry(entry=entry, content=content) if doubt is None else _doubted(entry, doubt)


def _doubted(entry: LoggedEntry, doubt: Doubt) -> ReadEntry:
    return ReadEntry(entry=entry, content=None, doubt=doubt)


def _doubt(
    entry: LoggedEntry, content: JournalEntry | None, policy: PlausibilityPolicy
) -> Doubt | None:
    if not isinstance(content, TransferRecord):
        return _signature_doubt(entry)
    return _fiscal_doubt(entry, content) or transfer_doubt(
        content, receive_s=entry.receive_s, rated_power_w=entry.rated_power_w, policy=policy
    )


def _signature_doubt(entry: LoggedEntry) -> Doubt | None:
    message = signed_bytes(
        cable_id=entry.key.cable_id,
        journal_epoch=entry.key.journal_epoch,
        sequence=entry.key.sequence,
        body=entry.body,
    )
    try:
        check(
            message=message,
            signature=entry.signature,
            public_key=entry.signing_key,
            algorithm=DEFAULT_ALGORITHM,
        )
    except SignatureError as error:
        return Doubt(reason=SIGNATURE_INVALID, detail=str(error))
    return None


def _fiscal_doubt(entry: LoggedEntry, record: TransferRecord) -> Doubt | None:
    """A transfer is believed by its fiscal record, which names journal and number as well."""
    try:
        fiscal = ocmf.verify(record.fiscal_record, entry.signing_key)
    except ocmf.OcmfError as error:
        return Doubt(reason=FISCAL_RECORD_INVALID, detail=str(error)[:200])
    signed = (fiscal.cable_id, fiscal.journal_epoch, fiscal.sequence_number)
    if signed != tuple(entry.key):
        return Doubt(reason=FISCAL_RECORD_DIFFERS, detail="it names another entry")
    return fiscal_doubt(record, fiscal.transfer)
