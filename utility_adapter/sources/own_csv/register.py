"""The utility's register of sites, equipment and loadings as our own CSV."""

from __future__ import annotations

from collections.abc import Iterator

from gridcord.metering.records import AssetLoading
from gridcord.units import Position, parse_site_id
from utility_adapter.domain.grid_asset import GridAsset
from utility_adapter.domain.site import Site
from utility_adapter.sources.amounts import parse_integer, parse_number
from utility_adapter.sources.defect import Defect
from utility_adapter.sources.own_csv.lines import (
    ASSETS,
    LOADINGS,
    SITES,
    Record,
    records,
)
from utility_adapter.sources.source import Document, Item, ReadOptions
from utility_adapter.sources.times import parse_time


def read_csv_sites(document: Document, options: ReadOptions) -> Iterator[Item]:
    """Sites; an empty column tells nothing. Meter ids are separated by spaces."""
    for record in records(document, SITES, options.limits):
        try:
            yield _site(record, options)
        except ValueError as error:
            raise Defect(record.line, str(error)) from None


def _site(record: Record, options: ReadOptions) -> Site:
    site_id = record.read("site_id", parse_site_id)
    return Site(
        site_id=options.aliases.get(site_id, site_id),
        position=_position(record),
        meter_ids=tuple(sorted(record.values["meter_ids"].split())),
        rated_power_w=record.read_or_none("rated_power_w", parse_integer),
        service_voltage_v=record.read_or_none("service_voltage_v", parse_integer),
        asset_id=record.values["asset_id"] or None,
        area_id=record.values["area_id"],
    )


def _position(record: Record) -> Position | None:
    latitude = record.read_or_none("latitude_deg", parse_number)
    longitude = record.read_or_none("longitude_deg", parse_number)
    if latitude is None and longitude is None:
        return None
    if latitude is None or longitude is None:
        raise Defect(record.line, "a latitude and a longitude, or neither")
    return Position(latitude, longitude)


def read_csv_assets(document: Document, options: ReadOptions) -> Iterator[Item]:
    """Grid equipment."""
    for record in records(document, ASSETS, options.limits):
        try:
            yield GridAsset(
                asset_id=_name(record, "asset_id"),
                kind=record.values["kind"],
                rated_va=record.read("rated_va", parse_integer),
                parent_id=record.values["parent_id"] or None,
                load_limit_percent=record.read("load_limit_percent", parse_number),
                feed_limit_percent=record.read("feed_limit_percent", parse_number),
            )
        except ValueError as error:
            raise Defect(record.line, str(error)) from None


def read_csv_loadings(document: Document, options: ReadOptions) -> Iterator[Item]:
    """Loadings of equipment: percent of its rating, + towards the sites, - towards the grid."""
    for record in records(document, LOADINGS, options.limits):
        yield AssetLoading(
            asset_id=_name(record, "asset_id"),
            loading_percent=record.read("loading_percent", parse_number),
            measured_s=record.read("measured_at", parse_time),
            rated_va=record.read_or_none("rated_va", parse_integer),
        )


def _name(record: Record, column: str) -> str:
    if not record.values[column]:
        raise Defect(record.line, f"{column} is empty")
    return record.values[column]
