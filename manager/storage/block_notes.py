"""Tell everybody about a block: the audit log, the host, and the drivers who are at the site."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gridcord.metering.reading import Permission
from manager.domain.site_block import SiteBlock
from manager.storage import audit, notices
from manager.storage.rows import CableSessionRow

SESSION: sa.Table = CableSessionRow.__table__  # type: ignore[attr-defined]


def note_block(connection: Connection, block: SiteBlock, *, actor: str, now_s: int) -> None:
    """Tell everybody about a block: audit log, host, and the drivers who are at the site now."""
    audit.append(
        connection,
        actor=actor,
        action="SITE_BLOCKED",
        subject=block.site_id,
        now_s=now_s,
        cause=block.cause.value,
        permission=block.permission.value,
        reason=block.reason,
        block=block.number,
    )
    tell_site(
        connection,
        block.site_id,
        reason="SITE_BLOCKED",
        text=block.reason,
        permission=block.permission,
        now_s=now_s,
    )


def tell_site(
    connection: Connection,
    site_id: str,
    *,
    reason: str,
    text: str,
    permission: Permission,
    now_s: int,
) -> None:
    """A notice for the host, and one for each driver who is at the site now."""
    live = connection.execute(
        sa.select(SESSION.c.driver_id)
        .where(SESSION.c.site_id == site_id, SESSION.c.end_s.is_(None))
        .distinct()
    )
    for driver_id in {"", *(row.driver_id for row in live)}:
        notices.add(
            connection,
            driver_id=driver_id,
            site_id=site_id,
            reason=reason,
            text=text,
            period=None,
            permission=permission,
            now_s=now_s,
        )
