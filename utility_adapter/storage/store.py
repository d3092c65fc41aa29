"""What the adapter knows: taken in whole deliveries, told as readings, sites and loadings."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.engine import Connection, Engine

from gridcord.metering.reading import SiteReading
from gridcord.metering.records import AssetLoading
from gridcord.units import Period, Position, SiteId
from utility_adapter.domain.grid_asset import GridAsset, chain
from utility_adapter.domain.reading_views import site_readings
from utility_adapter.domain.readings import DataQuality, ReadingFact, Register, take_in
from utility_adapter.domain.site import Site, updated
from utility_adapter.domain.transfers import ReportedTransfer
from utility_adapter.sources.delivery import Delivery
from utility_adapter.sources.espi.pull import PullCursor
from utility_adapter.storage.pulls import put_cursor
from utility_adapter.storage.registers import KnownRegisters, put_registers
from utility_adapter.storage.tables import ASSET, DELIVERY, FACT, LOADING, SITE
from utility_adapter.storage.transfers import (
    DAY_S,
    all_transfers,
    changed_days,
    note_told,
    report,
    transfers_between,
)


class Store:
    """One file of facts.

    Args:
        engine: Of the file.
        day_offset_s: Where days of transfers begin, seconds east of UTC.
    """

    def __init__(self, engine: Engine, *, day_offset_s: int = 0) -> None:
        self._engine = engine
        self._day_offset_s = day_offset_s

    @property
    def engine(self) -> Engine:
        """Of the file."""
        return self._engine

    @property
    def registers(self) -> KnownRegisters:
        """The last known read of each cumulative register."""
        return KnownRegisters(self._engine)

    def known(self, name: str, digest: str) -> bool:
        """Whether a delivery was taken in before."""
        query = sa.select(DELIVERY.c.name).where(
            DELIVERY.c.name == name, DELIVERY.c.digest == digest
        )
        with self._engine.begin() as connection:
            return connection.execute(query).first() is not None

    def take(
        self,
        delivery: Delivery,
        *,
        digest: str,
        received_s: float,
        cursor: PullCursor | None = None,
    ) -> tuple[int, int]:
        """Take in a delivery, all of it or nothing; returns new facts and conflicts.

        Args:
            delivery: It.
            digest: What it is known by, together with its name.
            received_s: When it was received, seconds since 1970 UTC.
            cursor: Of a delivery that was pulled: where to go on.
        """
        added = conflicts = 0
        with self._engine.begin() as connection:
            for site in delivery.sites:
                _put_site(connection, site)
            for asset in delivery.assets:
                _put(connection, ASSET, "asset_id", asset.asset_id, asdict(asset))
            _add_loadings(connection, delivery.loadings)
            put_registers(connection, delivery.registers)
            if cursor is not None:
                put_cursor(connection, delivery.name, cursor)
            for batch in delivery.batches():
                intake = take_in(known=_facts_like(connection, batch), facts=batch)
                added += len(intake.admitted)
                conflicts += len(intake.conflicts)
                if intake.admitted:
                    connection.execute(FACT.insert(), [_fact_row(f) for f in intake.admitted])
            connection.execute(
                insert(DELIVERY).on_conflict_do_nothing(),
                {
                    "name": delivery.name,
                    "digest": digest,
                    "format": str(delivery.format),
                    "facts": added,
                    "received_at_s": received_s,
                },
            )
        return added, conflicts

    def site(self, site_id: str) -> tuple[Site, tuple[AssetLoading, ...]] | None:
        """A site and the loading of the equipment above it; None when it is not registered."""
        with self._engine.begin() as connection:
            site = _site(connection, site_id)
            if site is None:
                return None
            assets = {row.asset_id: _asset(row) for row in connection.execute(sa.select(ASSET))}
            loadings = _newest_loadings(connection)
            above = chain(asset_id=site.asset_id, assets=assets) if site.asset_id else ()
            found = [loadings[a.asset_id] for a in above if a.asset_id in loadings]
            return site, tuple(found)

    def readings(
        self, site_id: str, *, start_s: int, end_s: int, as_of_s: float | None
    ) -> tuple[SiteReading, ...]:
        """Readings of periods in [start_s, end_s), oldest first."""
        query = sa.select(FACT).where(
            FACT.c.site_id == site_id,
            FACT.c.period_start >= start_s,
            FACT.c.period_start < end_s,
        )
        with self._engine.begin() as connection:
            facts = [_fact(row) for row in connection.execute(query)]
        return site_readings(facts=facts, received_before_s=as_of_s)

    def readings_after(self, number: int, limit: int) -> tuple[list[SiteReading], int]:
        """Readings that facts behind a number made or changed, and the number to go on from."""
        with self._engine.begin() as connection:
            rows = connection.execute(
                sa.select(FACT)
                .where(FACT.c.fact_number > number)
                .order_by(FACT.c.fact_number)
                .limit(limit)
            ).all()
            if not rows:
                return [], number
            touched = {(row.site_id, row.period_start): None for row in rows}
            readings: list[SiteReading] = []
            for site_id, start_s in touched:
                same = connection.execute(
                    sa.select(FACT).where(FACT.c.site_id == site_id, FACT.c.period_start == start_s)
                )
                readings += site_readings(facts=[_fact(row) for row in same])
        return readings, int(rows[-1].fact_number)

    def loadings_after(
        self, number: int, limit: int
    ) -> tuple[list[tuple[AssetLoading, tuple[str, ...], int]], int]:
        """Loadings behind a number with the sites below each piece of equipment."""
        with self._engine.begin() as connection:
            rows = connection.execute(
                sa.select(LOADING)
                .where(LOADING.c.loading_number > number)
                .order_by(LOADING.c.loading_number)
                .limit(limit)
            ).all()
            if not rows:
                return [], number
            below = _sites_below(connection)
            found = [
                (_loading(row), tuple(below.get(row.asset_id, ())), int(row.loading_number))
                for row in rows
            ]
        return found, int(rows[-1].loading_number)

    def report(self, transfers: Sequence[ReportedTransfer]) -> tuple[int, int]:
        """Keep what was transferred; returns how many were new and how many were known.

        Raises:
            TransferDiffers: One was reported before with other values; nothing is kept.
        """
        with self._engine.begin() as connection:
            return report(connection, transfers, day_offset_s=self._day_offset_s)

    def transfers(self) -> list[ReportedTransfer]:
        """Everything that was reported, oldest period first."""
        with self._engine.begin() as connection:
            return all_transfers(connection)

    def day_of(self, instant_s: int) -> int:
        """Number of the day of an instant, from 1970-01-01 on."""
        return (instant_s + self._day_offset_s) // DAY_S

    def changed_days(self) -> dict[int, int]:
        """Days that the utility was not told of as they are now, and how often each changed."""
        with self._engine.begin() as connection:
            return changed_days(connection)

    def transfers_of(self, day: int) -> list[ReportedTransfer]:
        """All revisions of every record that is, or once was, of a day."""
        first_s = day * DAY_S - self._day_offset_s
        with self._engine.begin() as connection:
            return transfers_between(connection, first_s, first_s + DAY_S)

    def told(self, day: int, changes: int) -> None:
        """The utility was told of a day as it was after so many changes."""
        with self._engine.begin() as connection:
            note_told(connection, day, changes)


def _put(connection: Connection, table: sa.Table, key: str, name: str, told: Any) -> None:
    statement = insert(table).values(**{key: name, "told": json.dumps(told)})
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=[key], set_={"told": statement.excluded.told}
        )
    )


def _put_site(connection: Connection, site: Site) -> None:
    known = _site(connection, site.site_id)
    kept = site if known is None else updated(known=known, told=site)
    _put(connection, SITE, "site_id", kept.site_id, asdict(kept))


def _site(connection: Connection, site_id: str) -> Site | None:
    told = connection.execute(sa.select(SITE.c.told).where(SITE.c.site_id == site_id)).scalar()
    if told is None:
        return None
    values = json.loads(told)
    position = values["position"]
    values.pop("route_b", None)  # secrets that earlier versions kept
    return Site(
        **values
        | {
            "site_id": SiteId(values["site_id"]),
            "position": None if position is None else Position(**position),
            "meter_ids": tuple(values["meter_ids"]),
        }
    )


def _asset(row: Any) -> GridAsset:
    return GridAsset(**json.loads(row.told))


def _sites_below(connection: Connection) -> dict[str, list[str]]:
    assets = {row.asset_id: _asset(row) for row in connection.execute(sa.select(ASSET))}
    below: dict[str, list[str]] = {}
    for row in connection.execute(sa.select(SITE)):
        asset_id = json.loads(row.told)["asset_id"]
        if asset_id in assets:
            for asset in chain(asset_id=asset_id, assets=assets):
                below.setdefault(asset.asset_id, []).append(row.site_id)
    return below


def _add_loadings(connection: Connection, loadings: Iterable[AssetLoading]) -> None:
    rows = [asdict(loading) for loading in loadings]
    if rows:
        connection.execute(LOADING.insert(), rows)


def _newest_loadings(connection: Connection) -> dict[str, AssetLoading]:
    query = sa.select(LOADING).order_by(LOADING.c.measured_s, LOADING.c.loading_number)
    return {row.asset_id: _loading(row) for row in connection.execute(query)}


def _loading(row: Any) -> AssetLoading:
    return AssetLoading(
        asset_id=row.asset_id,
        loading_percent=row.loading_percent,
        measured_s=row.measured_s,
        rated_va=row.rated_va,
    )


def _facts_like(connection: Connection, batch: Sequence[ReadingFact]) -> list[ReadingFact]:
    """Known facts of every key in a batch: by site, over the batch's span of time."""
    spans: dict[str, tuple[int, int]] = {}
    for fact in batch:
        start = fact.period.start_s
        low, high = spans.get(fact.site_id, (start, start))
        spans[fact.site_id] = min(low, start), max(high, start)
    known: list[ReadingFact] = []
    for site_id, (low, high) in spans.items():
        rows = connection.execute(
            sa.select(FACT).where(FACT.c.site_id == site_id, FACT.c.period_start.between(low, high))
        )
        known += [_fact(row) for row in rows]
    return known


def _fact_row(fact: ReadingFact) -> dict[str, Any]:
    return {
        "site_id": fact.site_id,
        "period_start": fact.period.start_s,
        "period_length": fact.period.length_s,
        "register": fact.register.value,
        "wh": fact.wh,
        "step_wh": fact.step_wh,
        "quality": fact.quality.value,
        "revision": fact.revision,
        "received_at_s": fact.received_at_s,
        "source": fact.source[:256],
        "method": fact.method[:64],
    }


def _fact(row: Any) -> ReadingFact:
    return ReadingFact(
        site_id=SiteId(row.site_id),
        period=Period(row.period_start, row.period_length),
        register=Register(row.register),
        wh=row.wh,
        step_wh=row.step_wh,
        quality=DataQuality(row.quality),
        revision=row.revision,
        received_at_s=row.received_at_s,
        source=row.source,
        method=row.method,
    )
