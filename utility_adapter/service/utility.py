"""UtilityService: one face for the utilities."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

import grpc

from gridcord.api.utility.v1 import utility_service_pb2 as pb
from gridcord.api.utility.v1.utility_service_pb2_grpc import UtilityServiceServicer
from gridcord.chassis.authorization import Policy
from gridcord.chassis.failures import Failure, FailureTable
from gridcord.chassis.identity import Kind
from gridcord.metering.records import AssetLoading
from gridcord.units import CableId, Position, parse_device_id
from gridcord.wire.readings import asset_loading_to_proto, reading_to_proto
from gridcord.wire.values import (
    WireError,
    is_number,
    period_from_proto,
    position_from_proto,
    position_to_proto,
    site_id_from_proto,
    time_from_proto,
)
from utility_adapter.domain.site import Presence, PrivacyRule, Site, presence
from utility_adapter.domain.transfers import ReportedTransfer
from utility_adapter.storage.store import Store
from utility_adapter.storage.transfers import TransferDiffers

if TYPE_CHECKING:
    Context = grpc.aio.ServicerContext[Any, Any]

_SERVICE = "/gridcord.api.utility.v1.UtilityService"
_METHODS = ("GetSite", "ListReadings", "WatchReadings", "WatchAssetLoading", "ReportTransfers")
POLICY = Policy({f"{_SERVICE}/{name}": frozenset({Kind.MANAGER}) for name in _METHODS})
FAILURES = FailureTable(
    {
        WireError: (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID"),
        TransferDiffers: (grpc.StatusCode.ABORTED, "TRANSFER_DIFFERS"),
    }
)

MOST_PERIODS = 1000
BATCH = 500
HEARTBEAT_S = 10.0
LOOK_S = 0.25


class UtilityServicer(UtilityServiceServicer):
    """Serves the manager.

    Args:
        store: What is known.
        privacy: How positions are answered; None to tell them.
        now: The adapter's clock, seconds since 1970 UTC.
        reported: Called when transfers were stored.
    """

    def __init__(
        self,
        *,
        store: Store,
        privacy: PrivacyRule | None,
        now: Callable[[], float],
        reported: Callable[[], None],
    ) -> None:
        self._store = store
        self._privacy = privacy
        self._now = now
        self._reported = reported

    async def GetSite(self, request: pb.GetSiteRequest, context: Context) -> pb.GetSiteResponse:
        """Return what the utility knows of a site."""
        site_id = site_id_from_proto(request.site_id)
        found = await asyncio.to_thread(self._store.site, site_id)
        if found is None:
            raise Failure(
                grpc.StatusCode.NOT_FOUND, "SITE_NOT_FOUND", f"{site_id} is not registered here"
            )
        asked = position_from_proto(request.position) if request.HasField("position") else None
        return pb.GetSiteResponse(site=self._site(*found, asked))

    async def ListReadings(
        self, request: pb.ListReadingsRequest, context: Context
    ) -> pb.ListReadingsResponse:
        """Return the utility's readings of a site, oldest period first."""
        if not 1 <= request.period_count <= MOST_PERIODS:
            raise Failure(
                grpc.StatusCode.INVALID_ARGUMENT,
                "PERIOD_COUNT_INVALID",
                f"period_count is 1 to {MOST_PERIODS}, not {request.period_count}",
            )
        first = period_from_proto(request.first_period, field="first_period")
        as_of_s = (
            time_from_proto(request.as_of_time, field="as_of_time")
            if request.HasField("as_of_time")
            else None
        )
        readings = await asyncio.to_thread(
            lambda: self._store.readings(
                site_id_from_proto(request.site_id),
                start_s=first.start_s,
                end_s=first.start_s + request.period_count * first.length_s,
                as_of_s=as_of_s,
            )
        )
        return pb.ListReadingsResponse(readings=[reading_to_proto(each) for each in readings])

    async def WatchReadings(
        self, request: pb.WatchReadingsRequest, context: Context
    ) -> AsyncIterator[pb.WatchReadingsResponse]:
        """Stream readings as they are received, from a cursor on."""
        after = _cursor(request.cursor)
        quiet_since = time.monotonic()
        while True:
            readings, behind = await asyncio.to_thread(self._store.readings_after, after, BATCH)
            for reading in readings[:-1]:
                yield pb.WatchReadingsResponse(reading=reading_to_proto(reading), cursor=str(after))
            for reading in readings[-1:]:
                yield pb.WatchReadingsResponse(
                    reading=reading_to_proto(reading), cursor=str(behind)
                )
            after = behind
            if readings:
                quiet_since = time.monotonic()
            elif time.monotonic() - quiet_since >= HEARTBEAT_S:
                quiet_since = time.monotonic()
                yield pb.WatchReadingsResponse(cursor=str(after))
            else:
                await asyncio.sleep(LOOK_S)

    async def WatchAssetLoading(
        self, request: pb.WatchAssetLoadingRequest, context: Context
    ) -> AsyncIterator[pb.WatchAssetLoadingResponse]:
        """Stream the loading of equipment, from a cursor on."""
        after = _cursor(request.cursor)
        quiet_since = time.monotonic()
        while True:
            found, after = await asyncio.to_thread(self._store.loadings_after, after, BATCH)
            for loading, site_ids, number in found:
                yield pb.WatchAssetLoadingResponse(
                    asset_loading=asset_loading_to_proto(loading),
                    site_ids=site_ids,
                    cursor=str(number),
                )
            if found:
                quiet_since = time.monotonic()
            elif time.monotonic() - quiet_since >= HEARTBEAT_S:
                quiet_since = time.monotonic()
                yield pb.WatchAssetLoadingResponse(cursor=str(after))
            else:
                await asyncio.sleep(LOOK_S)

    async def ReportTransfers(
        self, request_iterator: AsyncIterator[pb.ReportTransfersRequest], context: Context
    ) -> pb.ReportTransfersResponse:
        """Keep what cables transferred; answer once everything is stored."""
        stored = known = 0
        async for request in request_iterator:
            if len(request.transfers) > MOST_PERIODS:
                raise _invalid(f"at most {MOST_PERIODS} transfers in one message")
            transfers = [_transfer(each, self._now()) for each in request.transfers]
            new, old = await asyncio.to_thread(self._store.report, transfers)
            stored, known = stored + new, known + old
        if stored:
            self._reported()
        return pb.ReportTransfersResponse(stored_count=stored, known_count=known)

    def _site(
        self, site: Site, assets: tuple[AssetLoading, ...], asked: Position | None
    ) -> pb.Site:
        message = pb.Site(
            site_id=site.site_id,
            meter_ids=site.meter_ids,
            rated_power_w=site.rated_power_w,
            assets=[asset_loading_to_proto(asset) for asset in assets],
            area_id=site.area_id,
        )
        if self._privacy is None:
            if site.position is not None:
                message.position.CopyFrom(position_to_proto(site.position))
        elif asked is not None:
            found = presence(site=site, position=asked, rule=self._privacy)
            if found is not Presence.UNDECIDED:
                message.position_inside = found is Presence.INSIDE
        return message


def _transfer(message: pb.ReportedTransfer, received_s: float) -> ReportedTransfer:
    try:
        return ReportedTransfer(
            cable_id=CableId(parse_device_id(message.cable_id)),
            journal_epoch=message.journal_epoch,
            sequence_number=message.sequence_number,
            revision=message.revision,
            site_id=site_id_from_proto(message.site_id),
            period=period_from_proto(message.period),
            site_to_vehicle_wh=message.site_to_vehicle_wh,
            vehicle_to_site_wh=message.vehicle_to_site_wh,
            received_at_s=received_s,
        )
    except ValueError as error:
        raise _invalid(str(error)) from None


def _invalid(what: str) -> Failure:
    return Failure(grpc.StatusCode.INVALID_ARGUMENT, "TRANSFER_INVALID", what)


def _cursor(text: str) -> int:
    if text and not is_number(text):
        raise Failure(
            grpc.StatusCode.INVALID_ARGUMENT,
            "CURSOR_INVALID",
            "cursor is not one that this service gave",
        )
    return int(text or 0)
