"""EvidenceService: hands out bundles that anybody can check without this server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

import grpc

from gridcord.api.manager.v1 import evidence_service_pb2 as pb
from gridcord.api.manager.v1.evidence_service_pb2_grpc import EvidenceServiceServicer
from gridcord.chassis.failures import FailureTable
from gridcord.evidence.bundle_export import DoesNotVerify
from gridcord.wire.values import WireError, check_text, seconds_from_proto
from manager.service.callers import operator_of_caller
from manager.storage.audit.log import SqlAuditLog
from manager.storage.ledger.bundle_scope import NothingThere, NotJudged, Wanted
from manager.storage.ledger.bundles import ExportRuns, SqlBundles

if TYPE_CHECKING:
    Context = grpc.aio.ServicerContext[Any, Any]

CHUNK_BYTES = 64 * 1024
ALL_SITES = "all sites"  # what the audit log calls a bundle about everything
_MOST_ID = 128
_Status = grpc.StatusCode

FAILURES = FailureTable(
    {
        NothingThere: (_Status.NOT_FOUND, "NOTHING_THERE"),
        NotJudged: (_Status.FAILED_PRECONDITION, "NOT_JUDGED"),
        ExportRuns: (_Status.RESOURCE_EXHAUSTED, "EXPORT_RUNS"),
        DoesNotVerify: (_Status.DATA_LOSS, "DOES_NOT_VERIFY"),
    }
)


class EvidenceServicer(EvidenceServiceServicer):
    """Serves the aggregator's operators.

    Args:
        bundles: Who writes them.
        audit_log: Where each export is noted with its root.
        now: The manager's clock, seconds since 1970 UTC.
    """

    def __init__(
        self, bundles: SqlBundles, audit_log: SqlAuditLog, *, now: Callable[[], float]
    ) -> None:
        self._bundles = bundles
        self._audit_log = audit_log
        self._now = now

    async def ExportBundle(
        self, request: pb.ExportBundleRequest, context: Context
    ) -> AsyncIterator[pb.ExportBundleResponse]:
        """Stream a bundle that was written and verified."""
        wanted = _wanted(request)
        written = await self._bundles.write(wanted, now_s=int(self._now()))
        root = written.manifest.root
        with written.file as file:
            await self._audit_log.note(
                actor=operator_of_caller(),
                action="EVIDENCE_EXPORTED",
                subject=wanted.site_id or wanted.driver_id or ALL_SITES,
                root=root,
            )
            while chunk := file.read(CHUNK_BYTES):
                yield pb.ExportBundleResponse(chunk=chunk, root=root, file_bytes=written.file_bytes)


def _wanted(request: pb.ExportBundleRequest) -> Wanted:
    if request.site_id and request.driver_id:
        message = "give site_id or driver_id, not both"
        raise WireError(message)
    check_text(request.site_id, most=_MOST_ID, field="site_id")
    check_text(request.driver_id, most=_MOST_ID, field="driver_id")
    return Wanted(
        site_id=request.site_id,
        driver_id=request.driver_id,
        from_s=_time(request, "start_time"),
        to_s=_time(request, "end_time"),
    )


def _time(request: pb.ExportBundleRequest, name: str) -> int | None:
    given = request.HasField(name)  # type: ignore[arg-type]
    return seconds_from_proto(getattr(request, name), field=name) if given else None
