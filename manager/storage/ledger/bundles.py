"""Bundles of evidence from a manager's own database, beside its work."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import sqlalchemy as sa

from gridcord.evidence.bundle import Manifest
from gridcord.evidence.bundle_export import export_bundle
from gridcord.evidence.signature import Signer
from manager.storage.ledger.bundle import LedgerBundle
from manager.storage.ledger.bundle_scope import Wanted
from manager.storage.ledger.terms import stored_match_policy, stored_terms
from manager.storage.snapshot import open_snapshot


class ExportRuns(RuntimeError):
    """One bundle is being written already; ask again later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenBundle:
    """A bundle that verifies.

    Args:
        manifest: Its.
        file: It, open at its begin; gone from the disk once this is closed.
        file_bytes: Its length.
    """

    manifest: Manifest
    file: BinaryIO
    file_bytes: int


class SqlBundles:
    """Writes bundles, one at a time: deriving everything again keeps a processor busy.

    Args:
        url: Of the database.
        signer: The aggregator's key; None to leave bundles unsigned.
    """

    def __init__(self, url: sa.URL, *, signer: Signer | None = None) -> None:
        self._url = url
        self._signer = signer
        self._running: asyncio.Task[WrittenBundle] | None = None

    async def write(self, wanted: Wanted, *, now_s: int) -> WrittenBundle:
        """Write what is wanted and verify it, in a thread of its own.

        Raises:
            ExportRuns: Another one is being written, also for a caller who left meanwhile.
            NothingThere: Nothing is known of it.
            NotJudged: The manager has not concluded about all of it.
            DoesNotVerify: What is stored does not follow from its own inputs.
        """
        if self._running is not None and not self._running.done():
            message = "a bundle is being written already: ask again in a minute"
            raise ExportRuns(message)
        self._running = asyncio.create_task(asyncio.to_thread(self._write, wanted, now_s))
        self._running.add_done_callback(_noticed)
        return await asyncio.shield(self._running)

    def _write(self, wanted: Wanted, now_s: int) -> WrittenBundle:
        with (
            tempfile.TemporaryDirectory(prefix="gridcord-evidence-") as folder,
            open_snapshot(self._url) as connection,
        ):
            terms, policy = stored_terms(connection), stored_match_policy(connection)
            assert terms is not None, "kept at the first start"
            assert policy is not None, "kept with the terms"
            source = LedgerBundle(connection, terms=terms, policy=policy, wanted=wanted)
            path = Path(folder) / "bundle.zip"
            manifest = export_bundle(source, path, created_s=now_s, signer=self._signer)
            size = path.stat().st_size
            return WrittenBundle(manifest=manifest, file=path.open("rb"), file_bytes=size)


def _noticed(task: asyncio.Task[WrittenBundle]) -> None:
    """Look at how it ended: the caller may have left before."""
    if not task.cancelled():
        task.exception()
