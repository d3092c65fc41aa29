"""Readings of sites' periods: facts, every revision kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from gridcord.metering.reading import ReadingQuality, ReadingSource, SiteReading
from gridcord.units import Period, SiteId
from manager.storage.batches import given, rows_at
from manager.storage.rows import SiteReadingRow, SiteRow

READING: sa.Table = SiteReadingRow.__table__  # type: ignore[attr-defined]
SITE: sa.Table = SiteRow.__table__  # type: ignore[attr-defined]


_INSERTED = (
    "site_id",
    "period_start",
    "source",
    "revision",
    "period_length",
    "import_wh",
    "export_wh",
    "consumption_wh",
    "step_wh",
    "quality",
    "receive_s",
    "settled",
)


def know_site(connection: Connection, site_id: str, *, now_s: int) -> None:
    """Begin to keep a site that was seen for the first time."""
    know_sites(connection, [site_id], now_s=now_s)


def know_sites(connection: Connection, site_ids: Iterable[str], *, now_s: int) -> None:
    """Begin to keep those of the sites that were seen for the first time."""
    seen = list(site_ids)
    known = {row.site_id for row in rows_at(connection, SITE, ["site_id"], ((s,) for s in seen))}
    new = [site_id for site_id in seen if site_id not in known]
    if not new:
        return
    row = _insert_of(connection)(SITE).on_conflict_do_nothing()
    first = {"first_seen_s": now_s, "evidence_nats": 0.0}
    connection.execute(row, [{"site_id": site_id, **first} for site_id in new])


def insert_readings(
    connection: Connection, readings: Iterable[SiteReading], *, receive_s: int
) -> None:
    """Add facts; one that is known already (same revision of the same source) changes nothing.

    A site whose past they change is judged anew.
    """
    insert_received(connection, [(reading, receive_s) for reading in readings])


def insert_received(connection: Connection, readings: Sequence[tuple[SiteReading, int]]) -> None:
    """`insert_readings` of readings that came at different times, seconds since 1970 UTC."""
    rows = [_values(reading, receive_s) for reading, receive_s in readings]
    if not rows:
        return
    source, arguments = given(connection, READING, _INSERTED, rows)
    names = ", ".join(_INSERTED)
    added = connection.exec_driver_sql(
        f"INSERT INTO site_reading ({names}) SELECT {names} FROM {source} WHERE true"  # noqa: S608
        " ON CONFLICT DO NOTHING RETURNING site_id, period_start",
        arguments,
    ).all()
    first_s: dict[str, int] = {}
    for site_id, start_s in added:
        first_s[site_id] = min(start_s, first_s.get(site_id, start_s))
    judge_anew(connection, first_s)


def _values(reading: SiteReading, receive_s: int) -> tuple[Any, ...]:
    return (
        reading.site_id,
        reading.period.start_s,
        reading.source.value,
        reading.revision,
        reading.period.length_s,
        reading.import_wh,
        reading.export_wh,
        reading.consumption_wh,
        reading.step_wh,
        reading.quality.value,
        receive_s,
        reading.source is not ReadingSource.UTILITY,
    )


def _insert_of(connection: Connection) -> Any:
    if connection.dialect.name == "sqlite":
        return sqlite.insert
    return postgresql.insert


def judge_anew(connection: Connection, since_s: Mapping[str, int]) -> None:
    """Forget the matcher's state of sites whose past has changed: all facts are still there.

    Args:
        connection: Of the transaction.
        since_s: From when on the past of each changed, seconds since 1970 UTC.
    """
    if not since_s:
        return
    connection.execute(
        SITE.update()
        .where(SITE.c.site_id == sa.bindparam("of"), SITE.c.matched_period >= sa.bindparam("since"))
        .values(matcher_state=None, matched_period=None),
        [{"of": site_id, "since": start_s} for site_id, start_s in since_s.items()],
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
