"""ResourceSessionService: dispatches vehicles, stations and batteries."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any

import grpc
import structlog

from gridcord.api.manager.v1 import resource_session_service_pb2 as pb
from gridcord.api.manager.v1.resource_session_service_pb2_grpc import (
    ResourceSessionServiceServicer,
)
from gridcord.chassis.failures import Failure
from gridcord.chassis.identity import caller
from gridcord.chassis.streams import first_message
from gridcord.wire.resource import (
    ResourceIntroduction,
    introduction_from_proto,
    outcome_from_proto,
    telemetry_from_proto,
)
from gridcord.wire.values import WireError, time_to_proto
from manager.domain.trust.permission import Granted
from manager.fleet import Registry
from manager.ports import Resources
from manager.service.cable_frames import HELLO_EXPECTED, HELLO_INVALID, identity_mismatch
from manager.service.resource_link import ResourceLink

if TYPE_CHECKING:
    Context = grpc.aio.ServicerContext[Any, Any]

TELEMETRY_INVALID = "TELEMETRY_INVALID"

log = structlog.get_logger()

_DONE = Failure(grpc.StatusCode.OK, "", "")


class ResourceSessionServicer(ResourceSessionServiceServicer):
    """Serves resources.

    Args:
        resources: Where sessions are noted.
        links: The live sessions of this process.
        granted: What may flow at a cable, or at a site for what hangs on no cable; None when it is
            not connected.
        now: The manager's clock, seconds since 1970 UTC.
        default_area: Market area of those who name none.
        telemetry_interval_s: How often they tell their state, seconds.
        lease_s: How long setpoints hold, seconds.
        refused: Called with (actor, reason, claimed id) when an identity is refused.
    """

    def __init__(
        self,
        *,
        resources: Resources,
        links: Registry[ResourceLink],
        granted: Callable[[ResourceIntroduction], Granted | None],
        site_of: Callable[[str], str],
        now: Callable[[], float],
        default_area: str,
        telemetry_interval_s: float,
        lease_s: float,
        refused: Callable[[str, str, str], Awaitable[None]],
    ) -> None:
        self._resources = resources
        self._links = links
        self._granted = granted
        self._site_of = site_of
        self._now = now
        self._default_area = default_area
        self._telemetry_interval_s = telemetry_interval_s
        self._lease_s = lease_s
        self._refused = refused

    async def Dispatch(
        self, request_iterator: AsyncIterator[pb.DispatchRequest], context: Context
    ) -> AsyncIterator[pb.DispatchResponse]:
        """Hold one session from its hello to its end."""
        resource_id = caller().principal.id
        first = await first_message(request_iterator)
        link = await self._open(resource_id, first)
        reader = asyncio.ensure_future(self._read(request_iterator, link))
        try:
            yield pb.DispatchResponse(
                welcome=pb.ResourceWelcome(
                    fence=link.fence,
                    telemetry_interval_ms=round(self._telemetry_interval_s * 1000),
                    manager_time=time_to_proto(self._now()),
                )
            )
            ended: Failure | None = None
            while ended is None:
                messages, ended = await link.outbox.take()
                for message in messages:
                    yield message
            if ended.code is not grpc.StatusCode.OK:
                raise ended
        finally:
            reader.cancel()
            self._links.remove(link)

    async def _open(self, resource_id: str, first: pb.DispatchRequest) -> ResourceLink:
        if first.WhichOneof("message") != "hello":
            raise Failure(
                grpc.StatusCode.INVALID_ARGUMENT, HELLO_EXPECTED, "the first message is a hello"
            )
        hello = first.hello
        if hello.resource_id and hello.resource_id != resource_id:
            failure = identity_mismatch(hello.resource_id)
            await self._refused(f"resource/{resource_id}", failure.reason, hello.resource_id)
            raise failure
        try:
            introduction = introduction_from_proto(hello, resource_id)
        except WireError as error:
            raise Failure(grpc.StatusCode.INVALID_ARGUMENT, HELLO_INVALID, str(error)) from None
        fence = await self._resources.open(introduction, now_s=int(self._now()))
        link = ResourceLink(
            introduction,
            fence=fence,
            area_id=introduction.area_id or self._default_area,
            now=self._now,
            granted=lambda: self._granted(introduction),
            site_id=lambda: self._site_of(introduction.cable_id),
            lease_s=self._lease_s,
        )
        self._links.add(link)
        log.info("resource.connected", resource_id=resource_id, fence=fence)
        return link

    async def _read(self, requests: AsyncIterator[pb.DispatchRequest], link: ResourceLink) -> None:
        """Read until the resource closes; whatever goes wrong ends the stream with its reason."""
        try:
            async for request in requests:
                _take(request, link)
            link.outbox.end(_DONE)
        except Failure as failure:
            link.outbox.end(failure)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            log.error("session.broken", resource_id=link.device_id, exc_info=error)
            link.outbox.end(Failure(grpc.StatusCode.INTERNAL, "INTERNAL", "internal error"))

    async def ask_all_to_end(self) -> None:
        """The manager goes down: let every resource finish and come back."""
        for link in self._links:
            link.ask_to_end("SHUTDOWN")


def _take(request: pb.DispatchRequest, link: ResourceLink) -> None:
    match request.WhichOneof("message"):
        case "telemetry":
            try:
                link.told(telemetry_from_proto(request.telemetry))
            except WireError as error:
                raise Failure(
                    grpc.StatusCode.INVALID_ARGUMENT, TELEMETRY_INVALID, str(error)
                ) from None
        case "setpoint_result":
            result = request.setpoint_result
            link.answered(result.setpoint_number, outcome_from_proto(result))
        case "hello":
            raise Failure(grpc.StatusCode.INVALID_ARGUMENT, HELLO_EXPECTED, "one hello only")
        case None:  # a newer resource said something we do not know
            return
