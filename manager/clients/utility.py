"""The utility, over gRPC."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

from gridcord.api.utility.v1 import utility_service_pb2 as pb
from gridcord.api.utility.v1.utility_service_pb2_grpc import UtilityServiceStub
from gridcord.metering.reading import SiteReading
from gridcord.metering.records import AssetLoading
from gridcord.units import Period, Position, SiteId
from gridcord.wire.readings import (
    asset_loading_from_proto,
    reading_from_proto,
    verdict_to_proto,
)
from gridcord.wire.values import period_to_proto, position_from_proto, position_to_proto
from manager.clients.peer import Connect, Peer
from manager.domain.records.transfer import StoredTransfer
from manager.domain.trust.site import RegisteredSite
from manager.ports import PeerUnavailable

if TYPE_CHECKING:
    from gridcord.api.utility.v1.utility_service_pb2_grpc import UtilityServiceAsyncStub

_REPORT_SIZE = 500


class GrpcUtility:
    """`manager.ports.Utility` over gRPC.

    Args:
        connect: Opens channels to the utility adapter.
    """

    def __init__(self, connect: Connect) -> None:
        self._peer: Peer[UtilityServiceAsyncStub] = Peer("utility", connect, UtilityServiceStub)

    async def site(self, site_id: SiteId, found: Position | None) -> RegisteredSite | None:
        """What the utility tells of a site; None when it does not know it."""
        request = pb.GetSiteRequest(
            site_id=site_id, position=None if found is None else position_to_proto(found)
        )
        try:
            async with self._peer.called() as stub:
                response = await stub.GetSite(request)
        except PeerUnavailable as error:
            if error.reason == "SITE_NOT_FOUND":
                return None
            raise
        return _site(response.site)

    async def readings(self, site_id: SiteId, first: Period, count: int) -> list[SiteReading]:
        """The newest revision of each metered period, oldest first."""
        request = pb.ListReadingsRequest(
            site_id=site_id, first_period=period_to_proto(first), period_count=count
        )
        async with self._peer.called() as stub:
            response = await stub.ListReadings(request)
        return [reading_from_proto(reading) for reading in response.readings]

    async def watch_readings(self, cursor: str) -> AsyncIterator[tuple[SiteReading | None, str]]:
        """Readings as they are received, with the cursor behind each; None is a sign of life."""
        async with self._peer.called() as stub:
            async for response in stub.WatchReadings(pb.WatchReadingsRequest(cursor=cursor)):
                has = response.HasField("reading")
                yield (reading_from_proto(response.reading) if has else None), response.cursor

    async def watch_loadings(
        self, cursor: str
    ) -> AsyncIterator[tuple[AssetLoading | None, tuple[str, ...], str]]:
        """Loadings of equipment with the sites below it, and the cursor behind each."""
        request = pb.WatchAssetLoadingRequest(cursor=cursor)
        async with self._peer.called() as stub:
            async for response in stub.WatchAssetLoading(request):
                has = response.HasField("asset_loading")
                loading = asset_loading_from_proto(response.asset_loading) if has else None
                yield loading, tuple(response.site_ids), response.cursor

    async def report(self, transfers: Sequence[tuple[StoredTransfer, int]]) -> None:
        """Tell what cables transferred, with each one's revision; stored when this returns."""

        async def requests() -> AsyncIterator[pb.ReportTransfersRequest]:
            for start in range(0, len(transfers), _REPORT_SIZE):
                part = transfers[start : start + _REPORT_SIZE]
                yield pb.ReportTransfersRequest(transfers=[_reported(*each) for each in part])

        async with self._peer.called() as stub:
            await stub.ReportTransfers(requests(), timeout=30.0)


def _site(message: pb.Site) -> RegisteredSite:
    return RegisteredSite(
        site_id=SiteId(message.site_id),
        position=position_from_proto(message.position) if message.HasField("position") else None,
        position_inside=message.position_inside if message.HasField("position_inside") else None,
        meter_ids=tuple(message.meter_ids),
        rated_power_w=message.rated_power_w if message.HasField("rated_power_w") else None,
        assets=tuple(asset_loading_from_proto(asset) for asset in message.assets),
        area_id=message.area_id,
    )


def _reported(transfer: StoredTransfer, revision: int) -> pb.ReportedTransfer:
    record, match = transfer.record, transfer.manager_match
    message = pb.ReportedTransfer(
        cable_id=transfer.key.cable_id,
        journal_epoch=transfer.key.journal_epoch,
        sequence_number=transfer.key.sequence_number,
        revision=revision,
        site_id=record.site_id,
        period=period_to_proto(record.period),
        site_to_vehicle_wh=record.site_to_vehicle_wh,
        vehicle_to_site_wh=record.vehicle_to_site_wh,
    )
    if match is not None:
        message.verdict = verdict_to_proto(match.verdict)
    return message
