"""A typed client of the manager for the aggregator's tools: reads, watches, decisions.

Lists are iterated to their end whatever the size of the server's pages; watches go on behind the
last cursor when the connection was lost, so nothing is missed and nothing is told twice.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import grpc

from gridcord.api.manager.v1 import (
    audit_service_pb2 as audit_pb,
)
from gridcord.api.manager.v1 import (
    driver_service_pb2 as driver_pb,
)
from gridcord.api.manager.v1 import (
    evidence_service_pb2 as evidence_pb,
)
from gridcord.api.manager.v1 import (
    fleet_service_pb2 as fleet_pb,
)
from gridcord.api.manager.v1 import (
    site_block_service_pb2 as block_pb,
)
from gridcord.api.manager.v1 import (
    transfer_service_pb2 as transfer_pb,
)
from gridcord.api.manager.v1.audit_service_pb2_grpc import AuditServiceStub
from gridcord.api.manager.v1.driver_service_pb2_grpc import DriverServiceStub
from gridcord.api.manager.v1.evidence_service_pb2_grpc import EvidenceServiceStub
from gridcord.api.manager.v1.fleet_service_pb2_grpc import FleetServiceStub
from gridcord.api.manager.v1.site_block_service_pb2_grpc import SiteBlockServiceStub
from gridcord.api.manager.v1.transfer_service_pb2_grpc import TransferServiceStub
from gridcord.chassis.retry import Backoff
from gridcord.metering.reading import Permission
from gridcord.wire.readings import permission_to_proto
from gridcord.wire.values import time_to_proto

MOST_A_PAGE = 1000
FROM_FIRST = "0"
EXPORT_S = 1800.0  # a bundle of a large fleet is derived and verified before its first byte

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Periods that start within [start_s, end_s), seconds since 1970 UTC; None is open."""

    start_s: int | None = None
    end_s: int | None = None

    def fields(self) -> dict[str, Any]:
        """The fields of a request."""
        return {
            "start_time": None if self.start_s is None else time_to_proto(self.start_s),
            "end_time": None if self.end_s is None else time_to_proto(self.end_s),
        }


ALWAYS = Range()


class ManagerClient:
    """Calls a manager. Every method raises `grpc.aio.AioRpcError`; see `failures.failure_of`.

    Args:
        channel: To the manager; the caller closes it.
        lost: Called when a watch lost the manager and tries again.
    """

    def __init__(
        self, channel: grpc.aio.Channel, *, lost: Callable[[], None] = lambda: None
    ) -> None:
        self._transfers: Any = TransferServiceStub(channel)
        self._blocks: Any = SiteBlockServiceStub(channel)
        self._fleet: Any = FleetServiceStub(channel)
        self._drivers: Any = DriverServiceStub(channel)
        self._audit: Any = AuditServiceStub(channel)
        self._evidence: Any = EvidenceServiceStub(channel)
        self._lost = lost

    def transfers(
        self,
        *,
        site_id: str = "",
        cable_id: str = "",
        driver_id: str = "",
        within: Range = ALWAYS,
        limit: int | None = None,
    ) -> AsyncIterator[transfer_pb.Transfer]:
        """Transfers, oldest first in the order they were stored."""
        request = transfer_pb.ListTransfersRequest(
            site_id=site_id, cable_id=cable_id, driver_id=driver_id, **within.fields()
        )
        return _pages(self._transfers.ListTransfers, request, "transfers", limit)

    def watch_transfers(
        self, cursor: str = ""
    ) -> AsyncIterator[transfer_pb.WatchTransfersResponse]:
        """Transfers as they are stored or change, and heartbeats, for ever.

        Args:
            cursor: The last one got; empty from now on, FROM_FIRST from the first.
        """
        return self._watch(
            self._transfers.WatchTransfers,
            lambda cursor: transfer_pb.WatchTransfersRequest(cursor=cursor),
            cursor,
        )

    def earnings(
        self, *, driver_id: str = "", within: Range = ALWAYS, limit: int | None = None
    ) -> AsyncIterator[transfer_pb.Transfer]:
        """Transfers with what they earned: a driver's own, or anybody's for an operator."""
        request = driver_pb.ListEarningsRequest(driver_id=driver_id, **within.fields())
        return _pages(self._drivers.ListEarnings, request, "transfers", limit)

    def watch_notices(
        self, cursor: str = "", *, driver_id: str = ""
    ) -> AsyncIterator[driver_pb.WatchNoticesResponse]:
        """Notices as they come, and heartbeats, for ever; `cursor` as in `watch_transfers`."""
        return self._watch(
            self._drivers.WatchNotices,
            lambda cursor: driver_pb.WatchNoticesRequest(cursor=cursor, driver_id=driver_id),
            cursor,
        )

    def sites(self, *, limit: int | None = None) -> AsyncIterator[fleet_pb.Site]:
        """Sites that cables have been at, by id."""
        return _pages(self._fleet.ListSites, fleet_pb.ListSitesRequest(), "sites", limit)

    async def site(self, site_id: str) -> fleet_pb.Site:
        """One site."""
        response = await self._fleet.GetSite(fleet_pb.GetSiteRequest(site_id=site_id))
        site: fleet_pb.Site = response.site
        return site

    def sessions(
        self, *, site_id: str = "", include_ended: bool = False, limit: int | None = None
    ) -> AsyncIterator[fleet_pb.CableSession]:
        """Sessions of cables, newest first."""
        request = fleet_pb.ListCableSessionsRequest(site_id=site_id, include_ended=include_ended)
        return _pages(self._fleet.ListCableSessions, request, "sessions", limit)

    async def end_session(self, cable_id: str, reason: str) -> None:
        """Ask a cable to finish its session (patent S808)."""
        await self._fleet.EndCableSession(
            fleet_pb.EndCableSessionRequest(cable_id=cable_id, reason=reason)
        )

    def resources(self, *, limit: int | None = None) -> AsyncIterator[fleet_pb.Resource]:
        """Connected vehicles, stations and batteries, by id."""
        request = fleet_pb.ListResourcesRequest()
        return _pages(self._fleet.ListResources, request, "resources", limit)

    def demand(
        self, *, area_id: str = "", within: Range = ALWAYS, limit: int | None = None
    ) -> AsyncIterator[fleet_pb.DemandReport]:
        """What was asked of the fleet and what it delivered, oldest first."""
        request = fleet_pb.ListDemandRequest(area_id=area_id, **within.fields())
        return _pages(self._fleet.ListDemand, request, "reports", limit)

    def blocks(
        self, *, site_id: str = "", include_ended: bool = False, limit: int | None = None
    ) -> AsyncIterator[block_pb.SiteBlock]:
        """Blocks, newest first."""
        request = block_pb.ListSiteBlocksRequest(site_id=site_id, include_ended=include_ended)
        return _pages(self._blocks.ListSiteBlocks, request, "site_blocks", limit)

    async def block(
        self,
        site_id: str,
        permission: Permission,
        reason: str,
        *,
        expire_s: int | None = None,
        request_id: str | None = None,
    ) -> block_pb.SiteBlock:
        """Block a site by hand.

        Args:
            site_id: It.
            permission: What may still flow.
            reason: Not empty.
            expire_s: Runs out then, seconds since 1970 UTC; None for never.
            request_id: A UUID that makes a second try harmless; None for a new one.
        """
        response = await self._blocks.CreateSiteBlock(
            block_pb.CreateSiteBlockRequest(
                site_id=site_id,
                permission=permission_to_proto(permission),
                reason=reason,
                expire_time=None if expire_s is None else time_to_proto(expire_s),
                request_id=request_id or str(uuid.uuid4()),
            )
        )
        block: block_pb.SiteBlock = response.site_block
        return block

    async def lift(self, site_id: str, reason: str, *, cable_id: str = "") -> block_pb.SiteBlock:
        """Lift what is in force at a site, or about one cable there; the records stay."""
        response = await self._blocks.LiftSiteBlock(
            block_pb.LiftSiteBlockRequest(site_id=site_id, reason=reason, cable_id=cable_id)
        )
        block: block_pb.SiteBlock = response.site_block
        return block

    async def prove(self, site_id: str, reason: str) -> block_pb.RequestActiveProofResponse:
        """Ask for an active proof at a site."""
        request = block_pb.RequestActiveProofRequest(site_id=site_id, reason=reason)
        asked: block_pb.RequestActiveProofResponse = await self._blocks.RequestActiveProof(request)
        return asked

    async def audit_entries(
        self, *, after: int = 0, limit: int | None = None
    ) -> AsyncIterator[audit_pb.AuditEntry]:
        """Audit entries behind a number, in order."""
        told = 0
        while limit is None or told < limit:
            request = audit_pb.ListAuditEntriesRequest(
                after_audit_number=after, page_size=_page_size(limit, told)
            )
            entries = (await self._audit.ListAuditEntries(request)).entries
            if not entries:
                return
            for entry in entries:
                yield entry
            told, after = told + len(entries), entries[-1].audit_number

    def evidence(
        self, *, site_id: str = "", driver_id: str = "", within: Range = ALWAYS
    ) -> AsyncIterator[evidence_pb.ExportBundleResponse]:
        """The parts of a bundle of evidence about a site or a driver, in order."""
        request = evidence_pb.ExportBundleRequest(
            site_id=site_id, driver_id=driver_id, **within.fields()
        )
        parts: AsyncIterator[evidence_pb.ExportBundleResponse] = self._evidence.ExportBundle(
            request, timeout=EXPORT_S
        )
        return parts

    async def _watch(
        self, call: Callable[[Any], Any], request: Callable[[str], Any], cursor: str
    ) -> AsyncIterator[Any]:
        """Stream for ever; a manager that was heard once is waited for."""
        backoff, heard = Backoff(first_s=0.5, longest_s=10.0), False
        while True:
            try:
                async for response in call(request(cursor)):
                    cursor, heard = response.cursor, True
                    backoff.reset()
                    yield response
            except grpc.aio.AioRpcError as error:
                if not heard or error.code() is not grpc.StatusCode.UNAVAILABLE:
                    raise
            self._lost()
            await asyncio.sleep(backoff.next_s())


async def _pages(
    call: Callable[[Any], Awaitable[Any]], request: Any, items: str, limit: int | None
) -> AsyncIterator[Any]:
    """The items of all pages, at most `limit`."""
    told = 0
    while limit is None or told < limit:
        request.page_size = _page_size(limit, told)
        response = await call(request)
        found = getattr(response, items)
        for item in found:
            yield item
        told += len(found)
        if not response.next_page_token:
            return
        request.page_token = response.next_page_token


def _page_size(limit: int | None, told: int) -> int:
    return MOST_A_PAGE if limit is None else min(MOST_A_PAGE, limit - told)
