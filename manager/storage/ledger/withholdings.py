"""What the aggregator withheld from cables: whoever leaves then is not held to anything."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gridcord.evidence.bundle_lines import BlockLine
from gridcord.metering.reading import Permission
from gridcord.settlement.departure import Expectation, Withholding
from manager.storage.audit.chain import AUDIT
from manager.storage.rows import SiteBlockRow

BLOCK: sa.Table = SiteBlockRow.__table__  # type: ignore[attr-defined]

SESSION_ENDED = "SESSION_ENDED"
_CABLE = "cable/"


def blocks_of(connection: Connection, site_ids: Collection[str]) -> list[Withholding]:
    """All blocks that sites ever had."""
    query = sa.select(BLOCK).where(BLOCK.c.site_id.in_(site_ids)).order_by(BLOCK.c.block_number)
    return [
        Withholding(
            site_id=row.site_id,
            cable_id=row.cable_id,
            start_s=row.create_s,
            end_s=row.lift_s if row.lift_s is not None else row.expire_s,
        )
        for row in (connection.execute(query) if site_ids else ())
    ]


def ended_sessions(connection: Connection, expected: Iterable[Expectation]) -> Iterator[BlockLine]:
    """Sessions that operators ended while the cable was counted on, by time.

    Each counts until its period ends: by the next one the cable is counted on anew, or not.
    """
    periods = {(f"{_CABLE}{each.cable_id}", each.period) for each in expected}
    if not periods:
        return
    first_s = min(period.start_s for _, period in periods)
    last_s = max(period.end_s for _, period in periods)
    query = (
        sa.select(AUDIT.c.subject, AUDIT.c.create_s, AUDIT.c.actor)
        .where(AUDIT.c.action == SESSION_ENDED, AUDIT.c.create_s.between(first_s, last_s))
        .order_by(AUDIT.c.audit_number)
    )
    by_cable: dict[str, list[tuple[int, int]]] = {}
    for subject, period in periods:
        by_cable.setdefault(subject, []).append((period.start_s, period.end_s))
    for row in connection.execute(query):
        for start_s, end_s in by_cable.get(row.subject, ()):
            if start_s <= row.create_s < end_s:
                yield BlockLine(
                    site_id="",
                    cable_id=row.subject.removeprefix(_CABLE),
                    permission=Permission.NONE,
                    cause=SESSION_ENDED,
                    start_s=row.create_s,
                    end_s=end_s,
                    actor=row.actor,
                )
