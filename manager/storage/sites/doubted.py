"""Cables whose word about their place is doubted, and since when.

A meter cannot have seen what passed elsewhere, and nobody knows whether it did: in both cases the
sum over a site's cables is not known while such a cable moved anything.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gridcord.units import SiteId
from manager.domain.trust.site_block import BlockCause
from manager.storage.rows import TransferRow
from manager.storage.sites.blocks import BLOCK

TRANSFER: sa.Table = TransferRow.__table__  # type: ignore[attr-defined]

NEGLIGIBLE_WH = 20  # a cable that moved no more is none the meter could have missed
SAME_PLUG_S = 60  # between two records of one plug-in, where clocks were corrected
MOST_OF_PLUG = 500  # records: ten days of half hours

_ABOUT_PLACE = (BlockCause.LOCATION_MISMATCH.value, BlockCause.CLONE_SUSPECTED.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubted:
    """A cable's word does not count at a site.

    Args:
        cable_id: The cable.
        from_s: From here on, seconds since 1970 UTC.
        until_s: Until its block ended; None while it is in force.
    """

    cable_id: str
    from_s: int
    until_s: int | None

    def covers(self, row: Any) -> bool:
        """Whether a transfer, as a row, is one that is doubted."""
        if row.cable_id != self.cable_id or row.end_s < self.from_s:
            return False
        return self.until_s is None or row.start_s < self.until_s


def doubted_at(connection: Connection, site_id: str) -> list[Doubted]:
    """Cables whose blocks at a site are or were about their place."""
    query = sa.select(BLOCK).where(
        BLOCK.c.site_id == site_id, BLOCK.c.cable_id != "", BLOCK.c.cause.in_(_ABOUT_PLACE)
    )
    return [
        Doubted(
            cable_id=row.cable_id,
            from_s=row.create_s if row.doubt_s is None else row.doubt_s,
            until_s=row.lift_s,
        )
        for row in connection.execute(query)
    ]


def is_doubted(row: Any, doubted: Iterable[Doubted], *, net_wh: int) -> bool:
    """Whether nobody can say if a transfer, as a row, passed the site's meter."""
    return abs(net_wh) > NEGLIGIBLE_WH and any(each.covers(row) for each in doubted)


def plugged_since(connection: Connection, site_id: SiteId, cable_id: str, *, at_s: int) -> int:
    """When the plug-in began during which something was so: a cable stays where it is plugged in.

    Args:
        connection: Of the transaction.
        site_id: The site it claims.
        cable_id: The cable.
        at_s: When it was so, seconds since 1970 UTC.
    """
    query = (
        sa.select(TRANSFER.c.start_s, TRANSFER.c.end_s)
        .where(
            TRANSFER.c.site_id == site_id,
            TRANSFER.c.cable_id == cable_id,
            TRANSFER.c.start_s <= at_s,
        )
        .order_by(TRANSFER.c.start_s.desc())
        .limit(MOST_OF_PLUG)
    )
    since_s = at_s
    for row in connection.execute(query):
        if row.end_s < since_s - SAME_PLUG_S:
            break
        since_s = min(since_s, int(row.start_s))
    return since_s
