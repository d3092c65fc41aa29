"""What is known of a site, period by period, behind what was judged already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gridcord.metering.matching import Moved, gap_uncertainty_wh, sum_of_cables
from gridcord.metering.reading import ClockState, ReadingQuality
from gridcord.units import Period
from manager.domain.trust.site_judgement import PeriodFacts, gather
from manager.storage.rows import TransferRow
from manager.storage.sites.doubted import Doubted, doubted_at, is_doubted
from manager.storage.sites.readings import READING, newest_readings

TRANSFER: sa.Table = TransferRow.__table__  # type: ignore[attr-defined]


def facts_of(
    connection: Connection,
    site_id: str,
    *,
    judged_s: int | None,
    length_s: int,
    grace_s: float,
    now_s: int,
) -> list[PeriodFacts]:
    """Periods that are over, up to the first whose reading may still come.

    Args:
        connection: Of the transaction.
        site_id: The site.
        judged_s: Start of the last period judged; None for none.
        length_s: Of a period, seconds.
        grace_s: How long a period's reading is waited for, seconds after its end.
        now_s: The manager's clock.
    """
    first = _first_period(connection, site_id, judged_s, length_s)
    if first is None:
        return []
    last_s = now_s - length_s
    readings = newest_readings(connection, site_id, start_s=first.start_s, end_s=last_s + 1)
    transfers = _transfers(connection, site_id, first.start_s, last_s)
    periods = [Period(s, length_s) for s in range(first.start_s, last_s + 1, length_s)]
    facts = gather(
        periods=periods,
        readings=readings,
        moved=transfers,
        sessions=_numbered(periods, set(transfers), _session_before(connection, site_id, first)),
    )
    return _complete(facts, grace_s, now_s)


def _first_period(
    connection: Connection, site_id: str, judged_s: int | None, length_s: int
) -> Period | None:
    if judged_s is not None:
        return Period(judged_s, length_s).next()
    starts = [
        connection.execute(
            sa.select(sa.func.min(table.c.period_start)).where(table.c.site_id == site_id)
        ).scalar()
        for table in (READING, TRANSFER)
    ]
    known = [start for start in starts if start is not None]
    return Period(min(known), length_s) if known else None


def _transfers(
    connection: Connection, site_id: str, start_s: int, end_s: int
) -> dict[int, Moved | None]:
    """Sum over all cables by period; None when one of them is not usable."""
    doubted = doubted_at(connection, site_id)
    rows = connection.execute(
        sa.select(TRANSFER).where(
            TRANSFER.c.site_id == site_id,
            TRANSFER.c.period_start >= start_s,
            TRANSFER.c.period_start <= end_s,
        )
    )
    parts: dict[int, list[Moved | None]] = {}
    for row in rows:
        parts.setdefault(row.period_start, []).append(_moved(row, doubted))
    return {start_s: sum_of_cables(moved) for start_s, moved in parts.items()}


def _moved(row: Any, doubted: Sequence[Doubted]) -> Moved | None:
    """What a cable moved; None where nobody knows when, or whether it was here."""
    if row.clock_state == ClockState.UNKNOWN.value:
        return None
    taken_wh = int(row.site_to_vehicle_end_wh - row.site_to_vehicle_start_wh)
    given_wh = int(row.vehicle_to_site_end_wh - row.vehicle_to_site_start_wh)
    if is_doubted(row, doubted, net_wh=taken_wh - given_wh):
        return None
    if row.quality != ReadingQuality.ESTIMATED.value:
        return Moved(taken_wh - given_wh)
    connected_s = row.end_s - row.start_s
    missing_s = connected_s if row.missing_s is None else row.missing_s
    uncertain_wh = gap_uncertainty_wh(unmeasured_s=min(missing_s, connected_s))
    return Moved(taken_wh - given_wh, uncertain_wh)


def _complete(facts: list[PeriodFacts], grace_s: float, now_s: int) -> list[PeriodFacts]:
    """Stop at the first period whose reading may still come."""
    complete = []
    for each in facts:
        waits = now_s < each.period.end_s + grace_s
        if waits and each.utility is None:
            break
        complete.append(each)
    return complete


def _session_before(connection: Connection, site_id: str, first: Period) -> dict[int, int]:
    """Start of the period before, and number of the session that ran in it; empty without one."""
    query = sa.select(TRANSFER.c.period_start).where(
        TRANSFER.c.site_id == site_id, TRANSFER.c.period_start < first.start_s
    )
    rows = connection.execute(query.distinct().order_by(TRANSFER.c.period_start.desc()))
    before_s = first.start_s - first.length_s
    begin_s = first.start_s
    for start_s in rows.scalars():
        if start_s != begin_s - first.length_s:
            break
        begin_s = start_s
    return {before_s: begin_s} if begin_s < first.start_s else {}


def _numbered(
    periods: Sequence[Period], plugged: set[int], before: Mapping[int, int]
) -> dict[int, int]:
    """Plug-in sessions: periods in a row with a transfer; the start of the first is the number.

    Args:
        periods: In order, none missing.
        plugged: Starts of those with a transfer.
        before: Session of the period before the first, by its start; empty without one. A
            session goes on wherever judging stopped, else nothing would ever confirm it.
    """
    numbers: dict[int, int] = dict(before)
    for period in periods:
        if period.start_s in plugged:
            running = numbers.get(period.start_s - period.length_s)
            numbers[period.start_s] = period.start_s if running is None else running
    return numbers
