"""TransferService: reads what was transferred."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import grpc

from gridcord.api.manager.v1 import transfer_service_pb2 as pb
from gridcord.api.manager.v1.transfer_service_pb2_grpc import TransferServiceServicer
from gridcord.chassis.failures import Failure
from gridcord.settlement.transfer import TransferKey
from gridcord.units import CableId
from gridcord.wire.values import WireError
from manager.service.changes import Changes
from manager.service.filters import text_filter, time_filter
from manager.service.paging import (
    HEARTBEAT_S,
    WATCHED,
    cursor_number,
    fill_page,
    number_token,
    page_size,
)
from manager.service.transfer_messages import transfer_to_proto
from manager.storage.log.transfers import SqlTransfers, TransferFilter

if TYPE_CHECKING:
    Context = grpc.aio.ServicerContext[Any, Any]


class TransferServicer(TransferServiceServicer):
    """Serves the aggregator's tools.

    Args:
        transfers: Where from.
    """

    def __init__(self, transfers: SqlTransfers) -> None:
        self._transfers = transfers
        self._changes = Changes(transfers.last_update)

    async def GetTransfer(
        self, request: pb.GetTransferRequest, context: Context
    ) -> pb.GetTransferResponse:
        """Return one transfer."""
        if not request.key.cable_id:
            text = "key: the cable, epoch and number of a transfer are needed"
            raise WireError(text)
        key = TransferKey(
            CableId(text_filter(request.key, "cable_id")),
            min(request.key.journal_epoch, 2**63 - 1),
            request.key.sequence_number,
        )
        found = await self._transfers.get(key)
        if found is None:
            raise Failure(
                grpc.StatusCode.NOT_FOUND, "TRANSFER_NOT_FOUND", f"there is no transfer {key}"
            )
        return pb.GetTransferResponse(transfer=transfer_to_proto(found))

    async def ListTransfers(
        self, request: pb.ListTransfersRequest, context: Context
    ) -> pb.ListTransfersResponse:
        """Return transfers, oldest first in the order they were stored."""
        size = page_size(request.page_size)
        found = await self._transfers.page(
            TransferFilter(
                cable_id=text_filter(request, "cable_id"),
                site_id=text_filter(request, "site_id"),
                driver_id=text_filter(request, "driver_id"),
                start_s=time_filter(request, "start_time"),
                end_s=time_filter(request, "end_time"),
            ),
            after_entry=number_token(request.page_token),
            limit=size + 1,
        )
        transfers, token = fill_page(
            found, size, transfer_to_proto, lambda last: str(last.entry_number)
        )
        return pb.ListTransfersResponse(transfers=transfers, next_page_token=token)

    async def WatchTransfers(
        self, request: pb.WatchTransfersRequest, context: Context
    ) -> AsyncIterator[pb.WatchTransfersResponse]:
        """Stream transfers as they are stored or change."""
        number = cursor_number(request.cursor)
        after = await self._transfers.last_update() if number is None else number
        following = self._changes.follow(
            lambda number: self._transfers.changed(after_update=number, limit=WATCHED),
            lambda transfer: transfer.update_number,
            after=after,
            most=WATCHED,
            quiet_s=HEARTBEAT_S,
        )
        async with aclosing(following) as changes:
            async for transfer, cursor in changes:
                told = pb.WatchTransfersResponse(cursor=str(cursor))
                if transfer is None:
                    told.heartbeat.SetInParent()
                else:
                    told.transfer.CopyFrom(transfer_to_proto(transfer))
                yield told
