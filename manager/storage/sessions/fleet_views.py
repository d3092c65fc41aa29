"""Sessions and sites as the aggregator's tools see them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gridcord.metering.verdict import StatedMatch
from gridcord.units import Period, Position
from manager.domain.trust.site_block import SiteBlock
from manager.storage.engine import Database
from manager.storage.log.stated_matches import match_from_json
from manager.storage.rows import CableSessionRow, JournalRow, SiteRow, TransferRow
from manager.storage.sites.blocks import blocks_in_force

SESSION: sa.Table = CableSessionRow.__table__  # type: ignore[attr-defined]
JOURNAL: sa.Table = JournalRow.__table__  # type: ignore[attr-defined]
SITE: sa.Table = SiteRow.__table__  # type: ignore[attr-defined]
TRANSFER: sa.Table = TransferRow.__table__  # type: ignore[attr-defined]

_SESSION_ORDER = (SESSION.c.start_s, SESSION.c.cable_id, SESSION.c.fence)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionView:
    """A session of a cable, as it is stored.

    Args:
        cable_id: The cable.
        fence: Of the session.
        site_id: The site; empty when not identified.
        driver_id: The driver.
        vehicle_id: The vehicle.
        position: Where the cable was at its start; None without a fix.
        start_s: Since when.
        end_s: Until when; None while it lasts.
        committed_sequence: Last entry stored of the cable's journal.
    """

    cable_id: str
    fence: int
    site_id: str
    driver_id: str
    vehicle_id: str
    position: Position | None
    start_s: int
    end_s: int | None
    committed_sequence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteView:
    """A site, as it is known.

    Args:
        site_id: It.
        blocks: Those in force.
        evidence_nats: Accumulated evidence against it.
        last_match: The last conclusion; None while there is none.
        last_match_period: Its period.
        registered: Where the utility has it; None when it does not say.
        distance_m: Of the last cable's position; None when not known.
        site_to_vehicle_wh: Of all cables, over all time.
        vehicle_to_site_wh: Of all cables, over all time.
    """

    site_id: str
    blocks: tuple[SiteBlock, ...]
    evidence_nats: float
    last_match: StatedMatch | None
    last_match_period: Period | None
    registered: Position | None
    distance_m: float | None
    site_to_vehicle_wh: int
    vehicle_to_site_wh: int


class FleetViews:
    """Reads what is stored of the fleet.

    Args:
        database: Where from.
        period_s: Length of a period, seconds.
    """

    def __init__(self, database: Database, *, period_s: int) -> None:
        self._database = database
        self._period_s = period_s

    async def sessions(
        self, *, include_ended: bool, site_id: str, after: tuple[int, str, int] | None, limit: int
    ) -> list[SessionView]:
        """Sessions, newest first, behind a (start, cable, fence)."""
        committed = (
            sa.select(sa.func.max(JOURNAL.c.committed_sequence))
            .where(JOURNAL.c.cable_id == SESSION.c.cable_id)
            .scalar_subquery()
        )
        query = sa.select(SESSION, committed.label("committed"))
        if not include_ended:
            query = query.where(SESSION.c.end_s.is_(None))
        if site_id:
            query = query.where(SESSION.c.site_id == site_id)
        if after is not None:
            query = query.where(sa.tuple_(*_SESSION_ORDER) < sa.tuple_(*after))
        query = query.order_by(*(column.desc() for column in _SESSION_ORDER)).limit(limit)

        def work(connection: Connection) -> list[SessionView]:
            return [_session(row) for row in connection.execute(query)]

        return await self._database.read(work)

    async def sites(self, *, after: str, limit: int) -> list[SiteView]:
        """Sites by id, behind an id."""
        query = sa.select(SITE).where(SITE.c.site_id > after).order_by(SITE.c.site_id).limit(limit)

        def work(connection: Connection) -> list[SiteView]:
            return [self._site(connection, row) for row in connection.execute(query)]

        return await self._database.read(work)

    async def site(self, site_id: str) -> SiteView | None:
        """One site; None when no cable was ever there."""

        def work(connection: Connection) -> SiteView | None:
            row = connection.execute(sa.select(SITE).where(SITE.c.site_id == site_id)).first()
            return None if row is None else self._site(connection, row)

        return await self._database.read(work)

    def _site(self, connection: Connection, row: Any) -> SiteView:
        taken = sa.func.sum(TRANSFER.c.site_to_vehicle_end_wh - TRANSFER.c.site_to_vehicle_start_wh)
        given = sa.func.sum(TRANSFER.c.vehicle_to_site_end_wh - TRANSFER.c.vehicle_to_site_start_wh)
        sums = connection.execute(
            sa.select(taken, given).where(TRANSFER.c.site_id == row.site_id)
        ).one()
        matched = row.last_match_period
        return SiteView(
            site_id=row.site_id,
            blocks=tuple(blocks_in_force(connection, row.site_id)),
            evidence_nats=row.evidence_nats,
            last_match=match_from_json(row.last_match),
            last_match_period=None if matched is None else Period(matched, self._period_s),
            registered=_position(row.registered),
            distance_m=row.distance_m,
            site_to_vehicle_wh=int(sums[0] or 0),
            vehicle_to_site_wh=int(sums[1] or 0),
        )


def _position(registered: str | None) -> Position | None:
    place = None if registered is None else json.loads(registered)["position"]
    return None if place is None else Position(**place)


def _session(row: Any) -> SessionView:
    located = row.latitude_deg is not None
    return SessionView(
        cable_id=row.cable_id,
        fence=row.fence,
        site_id=row.site_id,
        driver_id=row.driver_id,
        vehicle_id=row.vehicle_id,
        position=Position(row.latitude_deg, row.longitude_deg, row.accuracy_m) if located else None,
        start_s=row.start_s,
        end_s=row.end_s,
        committed_sequence=row.committed or 0,
    )
