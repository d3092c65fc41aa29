"""Blocks and loadings as rows, and the rules of sites that follow from them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gridcord.metering.reading import Permission
from gridcord.metering.records import AssetLoading
from gridcord.units import SiteId
from manager.domain.trust.site_block import IN_FORCE, BlockCause, BlockState, SiteBlock
from manager.ports import SiteSituation
from manager.storage.engine import Database, take_numbers
from manager.storage.rows import AssetRow, SiteAssetRow, SiteBlockRow

BLOCK: sa.Table = SiteBlockRow.__table__  # type: ignore[attr-defined]
ASSET: sa.Table = AssetRow.__table__  # type: ignore[attr-defined]
SITE_ASSET: sa.Table = SiteAssetRow.__table__  # type: ignore[attr-defined]

_IN_FORCE = [state.value for state in IN_FORCE]


class SqlSiteRules:
    """`manager.ports.SiteRules` on a database.

    Args:
        database: It.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def situation(self, site_ids: Sequence[str]) -> SiteSituation:
        """What limits these sites now."""
        return await self._database.read(lambda connection: situation(connection, site_ids))


def situation(connection: Connection, site_ids: Sequence[str]) -> SiteSituation:
    """What limits these sites now."""
    wanted = set(site_ids)
    blocks: dict[str, list[SiteBlock]] = {}
    for block in blocks_in_force(connection):
        if block.site_id in wanted:
            blocks.setdefault(block.site_id, []).append(block)
    loadings: dict[str, list[AssetLoading]] = {}
    query = sa.select(SITE_ASSET.c.site_id, ASSET).join(
        ASSET, ASSET.c.asset_id == SITE_ASSET.c.asset_id
    )
    for row in connection.execute(query):
        if row.site_id in wanted:
            loadings.setdefault(row.site_id, []).append(_loading(row))
    return SiteSituation(blocks=blocks, loadings=loadings)


def blocks_in_force(connection: Connection, site_id: str | None = None) -> Iterable[SiteBlock]:
    """Blocks that limit something, of one site or of all; they are few."""
    query = sa.select(BLOCK).where(BLOCK.c.state.in_(_IN_FORCE)).order_by(BLOCK.c.block_number)
    if site_id is not None:
        query = query.where(BLOCK.c.site_id == site_id)
    return [block_of(row) for row in connection.execute(query)]


def insert_block(connection: Connection, block: SiteBlock) -> SiteBlock:
    """Store a new block; returns it with its number."""
    number = take_numbers(connection, "block", 1)
    values = _values(block) | {"block_number": number}
    connection.execute(BLOCK.insert().values(**values))
    return block_of(_Row(values))


def update_block(connection: Connection, block: SiteBlock) -> None:
    """Store where a block stands now."""
    connection.execute(
        BLOCK.update().where(BLOCK.c.block_number == block.number).values(**_values(block))
    )


class _Row:
    def __init__(self, values: dict[str, Any]) -> None:
        self.__dict__.update(values)


def _values(block: SiteBlock) -> dict[str, Any]:
    return {
        "site_id": block.site_id,
        "permission": block.permission.value,
        "cause": block.cause.value,
        "cable_id": block.cable_id,
        "reason": block.reason,
        "state": block.state.value,
        "evidence": json.dumps(block.evidence),
        "request_id": block.request_id,
        "create_s": block.create_s,
        "created_by": block.created_by,
        "expire_s": block.expire_s,
        "review_s": block.review_s,
        "lift_s": block.lift_s,
        "lifted_by": block.lifted_by,
        "lift_reason": block.lift_reason,
        "doubt_s": block.doubt_s,
    }


def block_of(row: Any) -> SiteBlock:
    """The value of a row."""
    return SiteBlock(
        number=row.block_number,
        site_id=SiteId(row.site_id),
        permission=Permission(row.permission),
        cause=BlockCause(row.cause),
        cable_id=row.cable_id,
        reason=row.reason,
        state=BlockState(row.state),
        evidence=tuple(json.loads(row.evidence)),
        create_s=row.create_s,
        created_by=row.created_by,
        expire_s=row.expire_s,
        review_s=row.review_s,
        lift_s=row.lift_s,
        lifted_by=row.lifted_by,
        lift_reason=row.lift_reason,
        doubt_s=row.doubt_s,
        request_id=row.request_id,
    )


def _loading(row: Any) -> AssetLoading:
    return AssetLoading(
        asset_id=row.asset_id,
        loading_percent=row.loading_percent,
        measured_s=row.measure_s,
        rated_va=row.rated_va,
    )
