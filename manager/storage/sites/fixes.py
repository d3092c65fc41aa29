"""Where cables were, from their sessions and transfers: what position checks look at."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gridcord.metering.reading import ClockState
from gridcord.units import Position, SiteId
from manager.domain.trust.position_check import (
    Fix,
    Placed,
    PositionDoubt,
    Stay,
    apart,
    impossible_travel,
    is_current,
    newest_of_each,
    two_places,
)
from manager.storage.rows import CableSessionRow, TransferRow

SESSION: sa.Table = CableSessionRow.__table__  # type: ignore[attr-defined]
TRANSFER: sa.Table = TransferRow.__table__  # type: ignore[attr-defined]

LOOK_BACK_S = 86_400
MOST_AT_SITE = 64
MOST_OF_CABLE = 32


def fixes_at(connection: Connection, site_id: str, *, now_s: int) -> list[Fix]:
    """Current fixes of cables that were at a site within a day, the newest of each first."""
    since_s = now_s - LOOK_BACK_S
    sessions = (
        sa.select(SESSION)
        .where(SESSION.c.site_id == site_id, SESSION.c.start_s >= since_s)
        .order_by(SESSION.c.start_s.desc())
        .limit(MOST_AT_SITE)
    )
    transfers = (
        sa.select(TRANSFER)
        .where(TRANSFER.c.site_id == site_id, TRANSFER.c.period_start >= since_s)
        .order_by(TRANSFER.c.period_start.desc())
        .limit(MOST_AT_SITE)
    )
    return newest_of_each(_fixes(connection, sessions, transfers))


def last_position(connection: Connection, site_id: str, *, now_s: int) -> Position | None:
    """Where a cable that claimed the site said last it was; None without a current fix."""
    fixes = fixes_at(connection, site_id, now_s=now_s)
    return fixes[0].position if fixes else None


def doubts_about(
    connection: Connection,
    site_id: SiteId,
    fixes: list[Fix],
    *,
    tolerance_m: float,
    placed: Placed,
) -> tuple[PositionDoubt, ...]:
    """What about the positions of cables at a site cannot be.

    Args:
        connection: Of the transaction.
        site_id: The site.
        fixes: The newest of each cable there.
        tolerance_m: How far from its meter an outlet may be.
        placed: Which of them is where the site is registered.
    """
    doubts = apart(fixes, tolerance_m=tolerance_m, placed=placed)
    for cable_id in _cables_at(connection, site_id):
        everywhere = _fixes(connection, _sessions_of(cable_id), _transfers_of(cable_id))
        doubts += impossible_travel(everywhere, site_id=site_id)
        doubts += two_places(_stays(connection, cable_id), site_id=site_id)
    return tuple(doubts)


def _cables_at(connection: Connection, site_id: str) -> list[str]:
    query = (
        sa.select(SESSION.c.cable_id)
        .where(SESSION.c.site_id == site_id, SESSION.c.end_s.is_(None))
        .limit(MOST_AT_SITE)
    )
    return sorted({row.cable_id for row in connection.execute(query)})


def _sessions_of(cable_id: str) -> sa.Select[Any]:
    query = sa.select(SESSION).where(SESSION.c.cable_id == cable_id)
    return query.order_by(SESSION.c.fence.desc()).limit(MOST_OF_CABLE)


def _transfers_of(cable_id: str) -> sa.Select[Any]:
    query = sa.select(TRANSFER).where(TRANSFER.c.cable_id == cable_id)
    newest = (TRANSFER.c.journal_epoch.desc(), TRANSFER.c.sequence.desc())
    return query.order_by(*newest).limit(MOST_OF_CABLE)


def _stays(connection: Connection, cable_id: str) -> list[Stay]:
    return [
        Stay(cable_id=cable_id, site_id=row.site_id, start_s=row.start_s, end_s=row.end_s)
        for row in connection.execute(_transfers_of(cable_id))
        if row.site_id and row.clock_state != ClockState.UNKNOWN.value
    ]


def _fixes(
    connection: Connection, sessions: sa.Select[Any], transfers: sa.Select[Any]
) -> list[Fix]:
    found = [_fix(row) for row in connection.execute(sessions)]
    found += [_fix(row) for row in connection.execute(transfers)]
    return [fix for fix in found if fix is not None]


def _fix(row: Any) -> Fix | None:
    """The fix of a session or transfer, if it was current when that began."""
    if row.latitude_deg is None or row.longitude_deg is None or not row.site_id:
        return None
    at_s = row.start_s if row.fix_s is None else row.fix_s
    position = Position(row.latitude_deg, row.longitude_deg, row.accuracy_m, row.fix_s)
    if not is_current(position=position, at_s=row.start_s):
        return None
    return Fix(cable_id=row.cable_id, site_id=row.site_id, position=position, at_s=int(at_s))
