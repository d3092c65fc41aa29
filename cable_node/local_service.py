"""CableService: what a cable tells on the spot, on a Unix socket."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc

from cable_node.state import NodeState, RecentMatch
from gridcord.api.cable.v1 import cable_service_pb2 as pb
from gridcord.api.cable.v1.cable_service_pb2_grpc import (
    CableServiceServicer,
    add_CableServiceServicer_to_server,
)
from gridcord.chassis.admission import Admission
from gridcord.chassis.authorization import Policy
from gridcord.chassis.clock import SystemClock
from gridcord.chassis.failures import Failure
from gridcord.chassis.identity import Kind, Principal
from gridcord.chassis.server import LocalSocket, Server, Service
from gridcord.wire.readings import (
    asset_loading_from_proto,
    match_to_proto,
    permission_to_proto,
)
from gridcord.wire.values import WireError, period_to_proto, time_to_proto

if TYPE_CHECKING:
    Context = grpc.aio.ServicerContext[Any, Any]

_SERVICE = "/gridcord.api.cable.v1.CableService"
POLICY = Policy(
    {
        f"{_SERVICE}/GetStatus": frozenset({Kind.CABLE}),
        f"{_SERVICE}/ReportAssetLoading": frozenset({Kind.CABLE}),
    }
)


class CableServicer(CableServiceServicer):
    """Serves whoever can open the socket.

    Args:
        cable_id: By the certificate.
        signing_key: SubjectPublicKeyInfo, DER.
        state: Of the node.
        next_sequence: The number the next entry will get.
        now: The node's clock, seconds since 1970 UTC.
        loading_changed: Called when a loading was told.
    """

    def __init__(
        self,
        *,
        cable_id: str,
        signing_key: bytes,
        state: NodeState,
        next_sequence: Callable[[], int],
        now: Callable[[], float],
        loading_changed: Callable[[], Awaitable[None]],
    ) -> None:
        self._cable_id = cable_id
        self._signing_key = signing_key
        self._state = state
        self._next_sequence = next_sequence
        self._now = now
        self._loading_changed = loading_changed

    async def GetStatus(
        self, request: pb.GetStatusRequest, context: Context
    ) -> pb.GetStatusResponse:
        """Return the state of the cable now."""
        state = self._state
        until_s = state.grant.until_s
        return pb.GetStatusResponse(
            measure_time=time_to_proto(self._now()),
            cable_id=self._cable_id,
            site_id=state.site_id,
            power_w=state.power_w,
            permission=permission_to_proto(state.grant.permission),
            permission_reason=state.grant.reason,
            permission_expire_time=None if until_s is None else time_to_proto(until_s),
            session_state=state.session_state,
            next_sequence_number=self._next_sequence(),
            committed_sequence_number=state.committed_sequence,
            instrument_states=state.instruments,
            recent_matches=[_recent(each) for each in state.matches],
            signing_key=self._signing_key,
        )

    async def ReportAssetLoading(
        self, request: pb.ReportAssetLoadingRequest, context: Context
    ) -> pb.ReportAssetLoadingResponse:
        """Take the loading of the equipment that feeds the site."""
        try:
            self._state.asset_loading = asset_loading_from_proto(request.asset_loading)
        except WireError as error:
            raise Failure(grpc.StatusCode.INVALID_ARGUMENT, "LOADING_INVALID", str(error)) from None
        await self._loading_changed()
        return pb.ReportAssetLoadingResponse(
            permission=permission_to_proto(self._state.grant.permission)
        )


def local_server(path: Path, servicer: CableServicer, caller: Principal) -> Server:
    """A server on a Unix socket; whoever can open it is taken for the cable itself.

    Args:
        path: Of the socket; what was left there is removed.
        servicer: What serves.
        caller: The cable's own identity.
    """
    path.unlink(missing_ok=True)
    return Server(
        address=None,
        credentials=None,
        admission=Admission(domain=caller.domain, clock=SystemClock()),
        policy=POLICY,
        services=[
            Service(
                name=pb.DESCRIPTOR.services_by_name["CableService"].full_name,
                register=partial(add_CableServiceServicer_to_server, servicer),
            )
        ],
        with_reflection=False,
        socket=LocalSocket(path=path, caller=caller),
    )


def _recent(recent: RecentMatch) -> pb.RecentMatch:
    return pb.RecentMatch(
        period=period_to_proto(recent.period),
        transferred_wh=recent.transferred_wh,
        match=match_to_proto(recent.match),
    )
