"""DriverService: what a driver sees; a driver's certificate sees its own data only."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import grpc

from gridcord.api.manager.v1 import driver_service_pb2 as pb
from gridcord.api.manager.v1.driver_service_pb2_grpc import DriverServiceServicer
from gridcord.chassis.failures import Failure
from gridcord.chassis.identity import Kind, caller
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
from manager.service.transfer_messages import notice_to_proto, transfer_to_proto
from manager.storage.log.transfers import SqlTransfers, TransferFilter
from manager.storage.notices import SqlNotices

if TYPE_CHECKING:
    Context = grpc.aio.ServicerContext[Any, Any]

OTHER_DRIVER = "OTHER_DRIVER"


class DriverServicer(DriverServiceServicer):
    """Serves drivers and operators.

    Args:
        transfers: Where earnings are.
        notices: Where notices are.
    """

    def __init__(self, *, transfers: SqlTransfers, notices: SqlNotices) -> None:
        self._transfers = transfers
        self._notices = notices
        self._changes = Changes(notices.last)

    async def ListEarnings(
        self, request: pb.ListEarningsRequest, context: Context
    ) -> pb.ListEarningsResponse:
        """Return what drivers earned, in the order the transfers were stored."""
        size = page_size(request.page_size)
        found = await self._transfers.page(
            TransferFilter(
                driver_id=permitted_driver(text_filter(request, "driver_id")),
                start_s=time_filter(request, "start_time"),
                end_s=time_filter(request, "end_time"),
            ),
            after_entry=number_token(request.page_token),
            limit=size + 1,
        )
        transfers, token = fill_page(
            found, size, transfer_to_proto, lambda last: str(last.entry_number)
        )
        return pb.ListEarningsResponse(transfers=transfers, next_page_token=token)

    async def WatchNotices(
        self, request: pb.WatchNoticesRequest, context: Context
    ) -> AsyncIterator[pb.WatchNoticesResponse]:
        """Stream notices as they come."""
        driver_id = permitted_driver(text_filter(request, "driver_id"))
        number = cursor_number(request.cursor)
        after = await self._notices.last() if number is None else number
        following = self._changes.follow(
            lambda number: self._notices.after(number, driver_id=driver_id, limit=WATCHED),
            lambda notice: notice.number,
            after=after,
            most=WATCHED,
            quiet_s=HEARTBEAT_S,
        )
        async with aclosing(following) as changes:
            async for notice, cursor in changes:
                told = pb.WatchNoticesResponse(cursor=str(cursor))
                if notice is not None:
                    told.notice.CopyFrom(notice_to_proto(notice))
                yield told


def permitted_driver(asked: str) -> str:
    """Whose data the caller may see: a driver its own, an operator anybody's.

    Raises:
        Failure: OTHER_DRIVER when a driver asks for another.
    """
    principal = caller().principal
    if principal.kind is not Kind.DRIVER:
        return asked
    if asked and asked != principal.id:
        raise Failure(
            grpc.StatusCode.PERMISSION_DENIED, OTHER_DRIVER, "a driver sees its own data only"
        )
    return principal.id
