"""Tell everybody about a block: the audit log, the host, and the drivers who are at the site."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gridcord.metering.reading import Permission
from manager.domain.trust.permission import Granted, least
from manager.domain.trust.site_block import SiteBlock
from manager.storage import notices
from manager.storage.audit import chain
from manager.storage.rows import CableSessionRow
from manager.storage.sites.blocks import blocks_in_force

SESSION: sa.Table = CableSessionRow.__table__  # type: ignore[attr-defined]


def note_block(connection: Connection, block: SiteBlock, *, actor: str, now_s: int) -> None:
    """Tell everybody about a block that is stored: audit log, host, drivers who are there now."""
    note(connection, block, actor=actor, action="SITE_BLOCKED", reason=block.reason, now_s=now_s)
    tell_site(connection, block, reason="SITE_BLOCKED", text=block.reason, now_s=now_s)


def note(
    connection: Connection, block: SiteBlock, *, actor: str, action: str, reason: str, now_s: int
) -> None:
    """What became of a block, for the audit log."""
    about: dict[str, Any] = {"cable": block.cable_id} if block.cable_id else {}
    if action == "SITE_BLOCKED":
        about["permission"] = block.permission.value
    chain.append(
        connection,
        actor=actor,
        action=action,
        subject=block.site_id,
        now_s=now_s,
        block=block.number,
        cause=block.cause.value,
        reason=reason,
        **about,
    )


def tell_site(
    connection: Connection, block: SiteBlock, *, reason: str, text: str, now_s: int
) -> None:
    """A notice for the host, and one for each driver there now whom a block concerns.

    It says what may flow now: for the host, of what the block is about.
    """
    in_force = list(blocks_in_force(connection, block.site_id))
    for driver_id, cables in _concerned(connection, block).items():
        granted = [
            Granted(permission=each.permission)
            for each in in_force
            if any(each.concerns(cable_id) for cable_id in cables)
        ]
        notices.add(
            connection,
            driver_id=driver_id,
            site_id=block.site_id,
            reason=reason,
            text=text,
            period=None,
            permission=least(*granted, Granted(permission=Permission.BIDIRECTIONAL)).permission,
            now_s=now_s,
        )


def _concerned(connection: Connection, block: SiteBlock) -> dict[str, set[str]]:
    """The host (empty id), and who is there now with a cable that the block concerns: cables."""
    live = connection.execute(
        sa.select(SESSION.c.driver_id, SESSION.c.cable_id).where(
            SESSION.c.site_id == block.site_id, SESSION.c.end_s.is_(None)
        )
    )
    found: dict[str, set[str]] = {"": {block.cable_id}}
    for row in live:
        if row.driver_id and block.concerns(row.cable_id):
            found.setdefault(row.driver_id, set()).add(row.cable_id)
    return found
