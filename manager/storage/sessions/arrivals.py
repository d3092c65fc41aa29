"""A cable opens a session at a site: where it is gets checked, and its driver learns of blocks."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gridcord.units import Period
from manager.domain.records.cable_session import CableIntroduction
from manager.domain.trust.site_block import SiteBlock
from manager.storage import notices
from manager.storage.notices import NOTICE
from manager.storage.sites import rechecks
from manager.storage.sites.blocks import blocks_in_force
from manager.storage.sites.readings import know_site

BLOCKED = "SITE_BLOCKED"


def arrive(connection: Connection, introduction: CableIntroduction, *, now_s: int) -> None:
    """Have the site looked at when the cable says where it is; tell the driver what is withheld.

    Args:
        connection: Of the transaction that opens the session.
        introduction: Of a cable that has identified its site.
        now_s: The manager's clock.
    """
    if introduction.position is not None:
        know_site(connection, introduction.site_id, now_s=now_s)
        period = Period.containing(now_s)
        rechecks.enqueue(connection, introduction.site_id, period, rechecks.POSITION, now_s=now_s)
    for block in blocks_in_force(connection, introduction.site_id):
        concerned = introduction.driver_id and block.concerns(introduction.cable_id)
        if concerned and not _told(connection, introduction.driver_id, block):
            notices.add(
                connection,
                driver_id=introduction.driver_id,
                site_id=block.site_id,
                reason=BLOCKED,
                text=block.reason,
                period=None,
                permission=block.permission,
                now_s=now_s,
            )


def _told(connection: Connection, driver_id: str, block: SiteBlock) -> bool:
    """A cable that reconnects does not tell its driver again."""
    query = sa.select(NOTICE.c.notice_number).where(
        NOTICE.c.driver_id == driver_id,
        NOTICE.c.site_id == block.site_id,
        NOTICE.c.reason == BLOCKED,
        NOTICE.c.create_s >= block.create_s,
        NOTICE.c.text == block.reason,
    )
    return connection.execute(query.limit(1)).first() is not None
