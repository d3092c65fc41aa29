"""AuditService: reads the audit log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gridcord.api.manager.v1 import audit_service_pb2 as pb
from gridcord.api.manager.v1.audit_service_pb2_grpc import AuditServiceServicer
from gridcord.evidence.audit_chain import AuditEntry
from gridcord.wire.values import time_to_proto
from manager.service.paging import fill_page, page_size
from manager.storage.audit.log import SqlAuditLog

if TYPE_CHECKING:
    import grpc

    Context = grpc.aio.ServicerContext[Any, Any]


class AuditServicer(AuditServiceServicer):
    """Serves admins.

    Args:
        log: Where from.
    """

    def __init__(self, log: SqlAuditLog) -> None:
        self._log = log

    async def ListAuditEntries(
        self, request: pb.ListAuditEntriesRequest, context: Context
    ) -> pb.ListAuditEntriesResponse:
        """Return audit entries, oldest first."""
        entries = await self._log.entries(
            after=request.after_audit_number, limit=page_size(request.page_size)
        )
        messages, _ = fill_page(entries, len(entries), _message, lambda last: str(last.number))
        return pb.ListAuditEntriesResponse(entries=messages)


def _message(entry: AuditEntry) -> pb.AuditEntry:
    return pb.AuditEntry(
        audit_number=entry.number,
        create_time=time_to_proto(entry.at_s),
        actor=entry.actor,
        action=entry.action,
        subject=entry.subject,
        detail=entry.detail,
        chain_hash=entry.chain_hash,
    )
