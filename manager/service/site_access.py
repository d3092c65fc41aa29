"""Hands over what a cable needs to read its site's meter, when it connects."""

from __future__ import annotations

import structlog

from gridcord.api.manager.v1 import cable_session_service_pb2 as pb
from manager.service.cable_link import CableLink
from manager.site_access import SiteAccessFile
from manager.storage.audit.log import SqlAuditLog

SITE_ACCESS_HANDED_OVER = "SITE_ACCESS_HANDED_OVER"

log = structlog.get_logger()


class AccessDesk:
    """Gives a cable the accesses that are for it; each time is noted in the audit log.

    The note is durable before the secret is sent. Neither it nor the log holds the secret.

    Args:
        file: Who may have what.
        audit_log: Where it is noted.
    """

    def __init__(self, file: SiteAccessFile, audit_log: SqlAuditLog) -> None:
        self._file = file
        self._audit_log = audit_log

    async def opened(self, link: CableLink) -> None:
        """A cable connected."""
        for access in self._file.of(link.device_id, link.site_id):
            await self._audit_log.note(
                actor=f"cable/{link.device_id}",
                action=SITE_ACCESS_HANDED_OVER,
                subject=access.site_id,
            )
            log.info("site_access.handed_over", cable_id=link.device_id, site_id=access.site_id)
            link.hand_over(
                pb.SiteAccess(
                    site_id=access.site_id,
                    route_b_id=access.route_b_id,
                    route_b_password=access.password,
                )
            )
