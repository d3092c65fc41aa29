"""Sites and periods that the manager must look at itself: a queue that survives."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gridcord.units import Period, SiteId
from manager.storage.rows import RecheckRow

RECHECK: sa.Table = RecheckRow.__table__  # type: ignore[attr-defined]

MISMATCH = "MISMATCH"
SAMPLE = "SAMPLE"
POSITION = "POSITION"
PENDING = "PENDING"
DONE = "DONE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recheck:
    """One to be done.

    Args:
        site_id: The site.
        period: The period.
        cause: MISMATCH, SAMPLE or POSITION.
        attempts: How often it was tried.
    """

    site_id: SiteId
    period: Period
    cause: str
    attempts: int


def sampled(share: float) -> bool:
    """Whether a matched period is looked at again: at random, so that nobody can foresee it."""
    return secrets.randbelow(1_000_000) < share * 1_000_000


def enqueue(
    connection: Connection, site_id: str, period: Period, cause: str, *, now_s: int
) -> None:
    """Add one; one of the same site and period that is done already is to be done again."""
    insert: Any
    if connection.dialect.name == "sqlite":
        from sqlalchemy.dialects.sqlite import insert
    else:
        from sqlalchemy.dialects.postgresql import insert
    statement = insert(RECHECK).values(
        site_id=site_id,
        period_start=period.start_s,
        period_length=period.length_s,
        cause=cause,
        state=PENDING,
        attempts=0,
        next_s=now_s,
        create_s=now_s,
    )
    again = {"cause": cause, "state": PENDING, "next_s": now_s}
    key = [RECHECK.c.site_id, RECHECK.c.period_start]
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=key, set_=again, where=RECHECK.c.state == DONE
        )
    )


def due(connection: Connection, *, now_s: int, limit: int) -> list[Recheck]:
    """Those to be done now, oldest first."""
    query = (
        sa.select(RECHECK)
        .where(RECHECK.c.state == PENDING, RECHECK.c.next_s <= now_s)
        .order_by(RECHECK.c.next_s)
        .limit(limit)
    )
    return [
        Recheck(
            site_id=SiteId(row.site_id),
            period=Period(row.period_start, row.period_length),
            cause=row.cause,
            attempts=row.attempts,
        )
        for row in connection.execute(query)
    ]


def settle(connection: Connection, recheck: Recheck, *, next_s: int | None) -> None:
    """Mark one as done, or put it off until `next_s`."""
    values: dict[str, Any] = {"attempts": recheck.attempts + 1}
    values |= {"state": DONE} if next_s is None else {"next_s": next_s}
    connection.execute(
        RECHECK.update()
        .where(
            RECHECK.c.site_id == recheck.site_id,
            RECHECK.c.period_start == recheck.period.start_s,
        )
        .values(**values)
    )
