"""Readings of sites' periods: facts, every revision kept."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from gridcord.metering.reading import ReadingQuality, ReadingSource, SiteReading
from gridcord.units import Period, SiteId
from manager.storage.rows import SiteReadingRow, SiteRow

READING: sa.Table = SiteReadingRow.__table__  # type: ignore[attr-defined]
SITE: sa.Table = SiteRow.__table__  # type: ignore[attr-defined]


def know_site(connection: Connection, site_id: str, *, now_s: int) -> None:
    """Begin to keep a site that was seen for the first time."""
    known = connection.execute(sa.select(SITE.c.site_id).where(SITE.c.site_id == site_id))
    if known.first() is not None:
        return
    insert = _insert_of(connection)
    row = insert(SITE).values(site_id=site_id, first_seen_s=now_s, evidence_nats=0.0)
    connection.execute(row.on_conflict_do_nothing())


def insert_readings(
    connection: Connection, readings: Iterable[SiteReading], *, receive_s: int
) -> None:
    """Add facts; one that is known already (same revision of the same source) changes nothing.

    A site whose past they change is judged anew.
    """
    rows = [
        {
            "site_id": reading.site_id,
            "period_start": reading.period.start_s,
            "source": reading.source.value,
            "revision": reading.revision,
            "period_length": reading.period.length_s,
            "import_wh": reading.import_wh,
            "export_wh": reading.export_wh,
            "consumption_wh": reading.consumption_wh,
            "step_wh": reading.step_wh,
            "quality": reading.quality.value,
            "receive_s": receive_s,
            "settled": reading.source is not ReadingSource.UTILITY,
        }
        for reading in readings
    ]
    if not rows:
        return
    statement = _insert_of(connection)(READING).on_conflict_do_nothing()
    added = connection.execute(
        statement.returning(READING.c.site_id, READING.c.period_start), rows
    ).all()
    for site_id in {row.site_id for row in added}:
        first_s = min(row.period_start for row in added if row.site_id == site_id)
        judge_anew(connection, site_id, start_s=first_s)


def _insert_of(connection: Connection) -> Any:
    if connection.dialect.name == "sqlite":
        return sqlite.insert
    return postgresql.insert


def judge_anew(connection: Connection, site_id: str, *, start_s: int) -> None:
    """Forget the matcher's state of a site whose past has changed: all facts are still there."""
    connection.execute(
        SITE.update()
        .where(SITE.c.site_id == site_id, SITE.c.matched_period >= start_s)
        .values(matcher_state=None, matched_period=None)
    )


def newest_readings(
    connection: Connection,
    site_id: str,
    *,
    start_s: int,
    end_s: int,
    sources: Sequence[ReadingSource] = tuple(ReadingSource),
) -> list[SiteReading]:
    """The newest revision of each period and source in [start_s, end_s), oldest period first."""
    query = (
        sa.select(READING)
        .where(
            READING.c.site_id == site_id,
            READING.c.period_start >= start_s,
            READING.c.period_start < end_s,
            READING.c.source.in_([source.value for source in sources]),
        )
        .order_by(READING.c.period_start, READING.c.source, READING.c.revision)
    )
    newest = {(row.period_start, row.source): row for row in connection.execute(query)}
    return [reading_of(row) for row in newest.values()]


def reading_of(row: Any) -> SiteReading:
    """The reading of a row."""
    return SiteReading(
        site_id=SiteId(row.site_id),
        period=Period(row.period_start, row.period_length),
        source=ReadingSource(row.source),
        import_wh=row.import_wh,
        export_wh=row.export_wh,
        consumption_wh=row.consumption_wh,
        step_wh=row.step_wh,
        quality=ReadingQuality(row.quality),
        revision=row.revision,
    )
