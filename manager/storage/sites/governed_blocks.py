"""Blocks that people decide, and what ends blocks: `manager.usecases.govern_blocks.Blocks`."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gridcord.metering.reading import Permission
from gridcord.units import SiteId
from manager.domain.trust.block_rules import block_by_operator, expired, lifted, review_due
from manager.domain.trust.site_block import BlockCause, SiteBlock
from manager.storage.engine import Database
from manager.storage.rows import SiteRow
from manager.storage.sites.block_notes import note, note_block, tell_site
from manager.storage.sites.blocks import (
    BLOCK,
    block_of,
    blocks_in_force,
    insert_block,
    update_block,
)

SITE: sa.Table = SiteRow.__table__  # type: ignore[attr-defined]


class SqlBlocks:
    """Blocks in a database.

    Args:
        database: It.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(
        self,
        site_id: SiteId,
        permission: Permission,
        reason: str,
        *,
        operator: str,
        expire_s: int | None,
        request_id: str | None,
        now_s: int,
    ) -> SiteBlock:
        """Block a site by hand; a second request with the same id changes nothing."""

        def work(connection: Connection) -> SiteBlock:
            known = _by_request(connection, request_id)
            if known is not None:
                return known
            block = block_by_operator(
                site_id=site_id,
                permission=permission,
                reason=reason,
                operator=operator,
                existing=list(blocks_in_force(connection, site_id)),
                now_s=now_s,
                expire_s=expire_s,
                request_id=request_id,
            )
            stored = insert_block(connection, block)
            note_block(connection, stored, actor=operator, now_s=now_s)
            return stored

        return await self._database.write(work)

    async def lift(
        self, site_id: SiteId, reason: str, *, cable_id: str, operator: str, now_s: int
    ) -> Sequence[SiteBlock]:
        """Lift what is in force at a site, or only what is about one cable there."""

        def work(connection: Connection) -> Sequence[SiteBlock]:
            blocks = lifted(
                blocks=list(blocks_in_force(connection, site_id)),
                operator=operator,
                reason=reason,
                now_s=now_s,
                cable_id=cable_id,
            )
            for block in blocks:
                end_block(connection, block, actor=operator, now_s=now_s)
            return blocks

        return await self._database.write(work)

    async def expire(self, *, now_s: int) -> int:
        """Let blocks run out whose time has come; returns how many. Remind of due reviews."""

        def work(connection: Connection) -> int:
            ended = [
                after
                for block in blocks_in_force(connection)
                if (after := expired(block, now_s=now_s)) is not block
            ]
            for block in ended:
                end_block(connection, block, actor="manager", now_s=now_s)
            for block in blocks_in_force(connection):
                if (reminded := review_due(block, now_s=now_s)) is not block:
                    _remind(connection, reminded, now_s=now_s)
            return len(ended)

        return await self._database.write(work)

    async def page(
        self, *, site_id: str, include_ended: bool, before: int | None, limit: int
    ) -> list[SiteBlock]:
        """Blocks, newest first, below a number."""

        def work(connection: Connection) -> list[SiteBlock]:
            query = sa.select(BLOCK).order_by(BLOCK.c.block_number.desc()).limit(limit)
            if site_id:
                query = query.where(BLOCK.c.site_id == site_id)
            if not include_ended:
                query = query.where(BLOCK.c.state.in_(["ACTIVE", "APPEALED"]))
            if before is not None:
                query = query.where(BLOCK.c.block_number < before)
            return [block_of(row) for row in connection.execute(query)]

        return await self._database.read(work)


def end_block(connection: Connection, block: SiteBlock, *, actor: str, now_s: int) -> None:
    """Store a block that is no longer in force and tell everybody."""
    update_block(connection, block)
    note(
        connection,
        block,
        actor=actor,
        action=f"SITE_BLOCK_{block.state.value}",
        reason=block.lift_reason or "its time has come",
        now_s=now_s,
    )
    text = block.lift_reason or "the block has run out"
    tell_site(connection, block, reason="BLOCK_LIFTED", text=text, now_s=now_s)
    if block.cause is BlockCause.METER_MISMATCH:  # see site_settlements: the next look takes it in
        connection.execute(
            SITE.update().where(SITE.c.site_id == block.site_id).values(evidence_nats=0.0)
        )


def _remind(connection: Connection, block: SiteBlock, *, now_s: int) -> None:
    """Somebody has to look at a block again; until then it stays in force."""
    update_block(connection, block)
    action = "SITE_BLOCK_REVIEW_DUE"
    note(connection, block, actor="manager", action=action, reason=block.reason, now_s=now_s)


def _by_request(connection: Connection, request_id: str | None) -> SiteBlock | None:
    if not request_id:
        return None
    row = connection.execute(sa.select(BLOCK).where(BLOCK.c.request_id == request_id)).first()
    return None if row is None else block_of(row)
