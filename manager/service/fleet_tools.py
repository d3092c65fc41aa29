"""FleetService: who is connected where, and what is asked of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import grpc

from gridcord.api.manager.v1 import fleet_service_pb2 as pb
from gridcord.api.manager.v1.fleet_service_pb2_grpc import FleetServiceServicer
from gridcord.chassis.failures import Failure
from gridcord.metering.reading import Permission
from gridcord.session.events import EndReason
from gridcord.wire.readings import match_to_proto, permission_to_proto
from gridcord.wire.resource import kind_to_proto, setpoint_to_proto, telemetry_to_proto
from gridcord.wire.values import (
    is_number,
    money_to_proto,
    period_to_proto,
    position_to_proto,
    time_to_proto,
)
from manager.domain.dispatch.demand import DemandReport
from manager.domain.trust.block_rules import ReasonRequired
from manager.domain.trust.permission import Granted, least
from manager.domain.trust.site_block import SiteBlock
from manager.fleet import Registry
from manager.ports import Demands
from manager.service.cable_link import CableLink
from manager.service.callers import operator_of_caller
from manager.service.filters import needed_text, reason_of, text_filter, time_filter
from manager.service.paging import fill_page, page_size, token_invalid
from manager.service.resource_link import ResourceLink
from manager.service.transfer_messages import block_to_proto
from manager.storage.audit.log import SqlAuditLog
from manager.storage.sessions.fleet_views import FleetViews, SessionView, SiteView

if TYPE_CHECKING:
    Context = grpc.aio.ServicerContext[Any, Any]


class FleetServicer(FleetServiceServicer):
    """Serves the aggregator's tools.

    Args:
        views: What is stored.
        demands: What is asked.
        links: Live sessions of cables.
        resources: Live sessions of resources.
        audit_log: Where decisions of people are noted.
    """

    def __init__(
        self,
        *,
        views: FleetViews,
        demands: Demands,
        links: Registry[CableLink],
        resources: Registry[ResourceLink],
        audit_log: SqlAuditLog,
    ) -> None:
        self._views = views
        self._demands = demands
        self._links = links
        self._resources = resources
        self._audit_log = audit_log

    async def ListCableSessions(
        self, request: pb.ListCableSessionsRequest, context: Context
    ) -> pb.ListCableSessionsResponse:
        """Return the sessions of cables, newest first."""
        size = page_size(request.page_size)
        found = await self._views.sessions(
            include_ended=request.include_ended,
            site_id=text_filter(request, "site_id"),
            after=_session_place(text_filter(request, "page_token")),
            limit=size + 1,
        )
        sessions, token = fill_page(
            found, size, self._session, lambda last: f"{last.start_s}/{last.cable_id}/{last.fence}"
        )
        return pb.ListCableSessionsResponse(sessions=sessions, next_page_token=token)

    async def EndCableSession(
        self, request: pb.EndCableSessionRequest, context: Context
    ) -> pb.EndCableSessionResponse:
        """Ask a cable to finish its session (patent S808)."""
        if not reason_of(request).strip():
            raise ReasonRequired("say why the session is ended")
        link = self._links.get(text_filter(request, "cable_id"))
        if link is None:
            raise Failure(
                grpc.StatusCode.NOT_FOUND,
                "SESSION_NOT_FOUND",
                f"cable {request.cable_id[:64]} is not connected to this manager",
            )
        link.ask_to_end(EndReason.REQUESTED)
        await self._audit_log.note(
            actor=operator_of_caller(),
            action="SESSION_ENDED",
            subject=f"cable/{link.device_id}",
            reason=request.reason,
        )
        return pb.EndCableSessionResponse()

    async def ListSites(
        self, request: pb.ListSitesRequest, context: Context
    ) -> pb.ListSitesResponse:
        """Return the sites that cables have been at."""
        size = page_size(request.page_size)
        found = await self._views.sites(after=text_filter(request, "page_token"), limit=size + 1)
        sites, token = fill_page(found, size, _site, lambda last: last.site_id)
        return pb.ListSitesResponse(sites=sites, next_page_token=token)

    async def GetSite(self, request: pb.GetSiteRequest, context: Context) -> pb.GetSiteResponse:
        """Return one site."""
        view = await self._views.site(needed_text(request, "site_id"))
        if view is None:
            raise Failure(
                grpc.StatusCode.NOT_FOUND,
                "SITE_NOT_FOUND",
                f"no cable was ever at {request.site_id[:80]}",
            )
        return pb.GetSiteResponse(site=_site(view))

    async def ListResources(
        self, request: pb.ListResourcesRequest, context: Context
    ) -> pb.ListResourcesResponse:
        """Return connected vehicles, stations and batteries."""
        size = page_size(request.page_size)
        after = text_filter(request, "page_token")
        behind = sorted(
            (link for link in self._resources if link.device_id > after),
            key=lambda link: link.device_id,
        )
        resources, token = fill_page(behind, size, _resource, lambda last: last.device_id)
        return pb.ListResourcesResponse(resources=resources, next_page_token=token)

    async def ListDemand(
        self, request: pb.ListDemandRequest, context: Context
    ) -> pb.ListDemandResponse:
        """Return what was asked of the fleet and what it delivered."""
        size = page_size(request.page_size)
        found = await self._demands.reports(
            start_s=time_filter(request, "start_time"),
            end_s=time_filter(request, "end_time"),
            area_id=text_filter(request, "area_id"),
            after=_demand_place(text_filter(request, "page_token")),
            limit=size + 1,
        )
        reports, token = fill_page(
            found,
            size,
            _report,
            lambda last: f"{last.demand.period.start_s}/{last.demand.area_id}",
        )
        return pb.ListDemandResponse(reports=reports, next_page_token=token)

    def _session(self, view: SessionView) -> pb.CableSession:
        link = self._links.get(view.cable_id)
        live = link if link is not None and link.fence == view.fence else None
        granted = live.granted if live else None
        return pb.CableSession(
            cable_id=view.cable_id,
            fence=view.fence,
            site_id=view.site_id,
            driver_id=view.driver_id,
            vehicle_id=view.vehicle_id,
            start_time=time_to_proto(view.start_s),
            end_time=None if view.end_s is None else time_to_proto(view.end_s),
            permission=permission_to_proto(granted.permission if granted else Permission.NONE),
            permission_reason=granted.reason if granted else "NOT_CONNECTED",
            power_w=live.observed_power_w if live else None,
            committed_sequence_number=view.committed_sequence,
            position=None if view.position is None else position_to_proto(view.position),
        )


def _first(blocks: Sequence[SiteBlock]) -> SiteBlock:
    """The block of the whole site before one of a cable there, the oldest of each."""
    return min(blocks, key=lambda block: block.cable_id != "")


def _site(view: SiteView) -> pb.Site:
    granted = least(
        *(Granted(permission=block.permission) for block in view.blocks if block.concerns("")),
        Granted(permission=Permission.BIDIRECTIONAL),
    )
    return pb.Site(
        site_id=view.site_id,
        permission=permission_to_proto(granted.permission),
        site_block=block_to_proto(_first(view.blocks)) if view.blocks else None,
        evidence_nats=view.evidence_nats,
        last_match=None if view.last_match is None else match_to_proto(view.last_match),
        last_match_period=None
        if view.last_match_period is None
        else period_to_proto(view.last_match_period),
        registered_position=None if view.registered is None else position_to_proto(view.registered),
        distance_m=view.distance_m,
        site_to_vehicle_wh=view.site_to_vehicle_wh,
        vehicle_to_site_wh=view.vehicle_to_site_wh,
    )


def _resource(link: ResourceLink) -> pb.Resource:
    introduction = link.introduction
    return pb.Resource(
        resource_id=link.device_id,
        kind=kind_to_proto(introduction.kind),
        cable_id=introduction.cable_id,
        site_id=introduction.site_id,
        area_id=link.area_id,
        permission=permission_to_proto(link.granted.permission),
        telemetry=None if link.telemetry is None else telemetry_to_proto(link.telemetry),
        setpoint=None if link.setpoint is None else setpoint_to_proto(link.setpoint),
        start_time=time_to_proto(link.start_s),
    )


def _report(report: DemandReport) -> pb.DemandReport:
    demand = report.demand
    return pb.DemandReport(
        area_id=demand.area_id,
        period=period_to_proto(demand.period),
        contracted_wh=demand.contracted_wh,
        requested_wh=demand.target_wh,
        delivered_wh=report.delivered_wh,
        allocated_wh=report.allocated_wh,
        imbalance_wh=report.imbalance_wh,
        imbalance=None if report.imbalance is None else money_to_proto(report.imbalance),
        closed=report.closed,
    )


def _session_place(token: str) -> tuple[int, str, int] | None:
    if not token:
        return None
    start_s, _, rest = token.partition("/")
    cable_id, _, fence = rest.partition("/")
    if not is_number(start_s) or not is_number(fence):
        raise token_invalid()
    return int(start_s), cable_id, int(fence)


def _demand_place(token: str) -> str:
    if token and not is_number(token.partition("/")[0]):
        raise token_invalid()
    return token
