"""SiteBlockService: keeps the sites at which not everything is permitted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import grpc

from gridcord.api.manager.v1 import site_block_service_pb2 as pb
from gridcord.api.manager.v1.site_block_service_pb2_grpc import SiteBlockServiceServicer
from gridcord.chassis.failures import Failure, FailureTable
from gridcord.units import SiteId
from gridcord.wire.readings import permission_from_proto
from gridcord.wire.values import WireError, seconds_from_proto, site_id_from_proto
from manager.domain.trust.block_rules import (
    PermissionInvalid,
    ReasonRequired,
    SiteAlreadyBlocked,
    SiteNotBlocked,
)
from manager.service.callers import operator_of_caller
from manager.service.filters import reason_of, text_filter
from manager.service.paging import fill_page, number_token, page_size
from manager.service.transfer_messages import block_to_proto
from manager.storage.sites.governed_blocks import SqlBlocks
from manager.usecases.govern_blocks import BlockGovernor
from manager.usecases.prove_sites import NoCableConnected, ProofNotPossible

if TYPE_CHECKING:
    Context = grpc.aio.ServicerContext[Any, Any]

FAILURES = FailureTable(
    {
        SiteAlreadyBlocked: (grpc.StatusCode.ALREADY_EXISTS, "SITE_ALREADY_BLOCKED"),
        SiteNotBlocked: (grpc.StatusCode.NOT_FOUND, "SITE_NOT_BLOCKED"),
        ReasonRequired: (grpc.StatusCode.INVALID_ARGUMENT, "REASON_REQUIRED"),
        PermissionInvalid: (grpc.StatusCode.INVALID_ARGUMENT, "PERMISSION_INVALID"),
        NoCableConnected: (grpc.StatusCode.FAILED_PRECONDITION, "NO_CABLE_CONNECTED"),
        ProofNotPossible: (grpc.StatusCode.FAILED_PRECONDITION, "PROOF_NOT_POSSIBLE"),
    }
)


class SiteBlockServicer(SiteBlockServiceServicer):
    """Serves operators.

    Args:
        governor: Makes and lifts blocks.
        blocks: Where they are read.
        prove: Asks for an active proof at a site: (site, reason, operator) -> (proof, cable).
    """

    def __init__(
        self,
        *,
        governor: BlockGovernor,
        blocks: SqlBlocks,
        prove: Callable[[SiteId, str, str], Awaitable[tuple[str, str]]],
    ) -> None:
        self._governor = governor
        self._blocks = blocks
        self._prove = prove

    async def CreateSiteBlock(
        self, request: pb.CreateSiteBlockRequest, context: Context
    ) -> pb.CreateSiteBlockResponse:
        """Block a site by hand."""
        block = await self._governor.create(
            _site(request.site_id),
            permission_from_proto(request.permission),
            reason_of(request),
            operator=operator_of_caller(),
            expire_s=seconds_from_proto(request.expire_time, field="expire_time")
            if request.HasField("expire_time")
            else None,
            request_id=text_filter(request, "request_id") or None,
        )
        return pb.CreateSiteBlockResponse(site_block=block_to_proto(block))

    async def ListSiteBlocks(
        self, request: pb.ListSiteBlocksRequest, context: Context
    ) -> pb.ListSiteBlocksResponse:
        """Return blocks, newest first."""
        size = page_size(request.page_size)
        before = number_token(request.page_token) or None
        found = await self._blocks.page(
            site_id=text_filter(request, "site_id"),
            include_ended=request.include_ended,
            before=before,
            limit=size + 1,
        )
        blocks, token = fill_page(found, size, block_to_proto, lambda last: str(last.number))
        return pb.ListSiteBlocksResponse(site_blocks=blocks, next_page_token=token)

    async def LiftSiteBlock(
        self, request: pb.LiftSiteBlockRequest, context: Context
    ) -> pb.LiftSiteBlockResponse:
        """Lift what is in force at a site; the records stay."""
        lifted = await self._governor.lift(
            _site(request.site_id),
            reason_of(request),
            operator=operator_of_caller(),
            cable_id=text_filter(request, "cable_id"),
        )
        return pb.LiftSiteBlockResponse(site_block=block_to_proto(lifted[-1]))

    async def RequestActiveProof(
        self, request: pb.RequestActiveProofRequest, context: Context
    ) -> pb.RequestActiveProofResponse:
        """Ask for an active proof at a site."""
        if not reason_of(request).strip():
            raise ReasonRequired("say why the proof is asked for")
        proof_id, cable_id = await self._prove(
            _site(request.site_id), reason_of(request), operator_of_caller()
        )
        return pb.RequestActiveProofResponse(proof_id=proof_id, cable_id=cable_id)


def _site(text: str) -> SiteId:
    try:
        return site_id_from_proto(text)
    except WireError as error:
        raise Failure(
            grpc.StatusCode.INVALID_ARGUMENT, "SITE_ID_INVALID", str(error), field="site_id"
        ) from None
