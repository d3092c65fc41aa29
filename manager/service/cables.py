"""CableSessionService: holds the session of each connected cable."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any

import grpc
import structlog

from gridcord.api.manager.v1 import cable_session_service_pb2 as pb
from gridcord.api.manager.v1.cable_session_service_pb2_grpc import CableSessionServiceServicer
from gridcord.chassis.failures import Failure
from gridcord.chassis.identity import caller
from gridcord.chassis.streams import first_message
from gridcord.metering.reading import Permission
from gridcord.session.events import EndReason
from gridcord.wire.readings import permission_from_proto
from gridcord.wire.session import directive_to_proto
from gridcord.wire.values import time_to_proto
from manager.fleet import Registry
from manager.ports import Journals
from manager.service.cable_frames import (
    ENTRY_INVALID,
    HELLO_EXPECTED,
    IDENTITY_MISMATCH,
    MAX_BATCH,
    entry_from_proto,
    introduction_from_proto,
)
from manager.service.cable_link import CableLink
from manager.service.reconnects import ReconnectLimit
from manager.usecases.commit_entries import Committer
from manager.usecases.permit import Permits

if TYPE_CHECKING:
    Context = grpc.aio.ServicerContext[Any, Any]

WINDOW = 64

CLOSED = "CLOSED"
LOST = "LOST"

log = structlog.get_logger()


class CableSessionServicer(CableSessionServiceServicer):
    """Serves cables.

    Args:
        journals: Where sessions are opened and ended.
        committer: Takes entries.
        permits: Decides what a cable may do.
        links: The live sessions of this process.
        now: The manager's clock.
        opened: Called with each session that was opened.
        refused: Called with (actor, reason, claimed id) when an identity is refused.
        limit: Holds off cables that reconnect too often.
    """

    def __init__(
        self,
        *,
        journals: Journals,
        committer: Committer,
        permits: Permits,
        links: Registry[CableLink],
        now: Callable[[], float],
        opened: Callable[[CableLink], Awaitable[None]],
        refused: Callable[[str, str, str], Awaitable[None]],
        limit: ReconnectLimit,
    ) -> None:
        self._journals = journals
        self._committer = committer
        self._permits = permits
        self._links = links
        self._now = now
        self._opened = opened
        self._refused = refused
        self._limit = limit

    async def Connect(
        self, request_iterator: AsyncIterator[pb.ConnectRequest], context: Context
    ) -> AsyncIterator[pb.ConnectResponse]:
        """Hold one session from its hello to its end."""
        cable_id = caller().principal.id
        link, welcome = await self._open(cable_id, await first_message(request_iterator))
        reader = asyncio.ensure_future(self._read(request_iterator, link))
        try:
            yield welcome
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
            await self._note_end(link)

    async def _open(
        self, cable_id: str, first: pb.ConnectRequest
    ) -> tuple[CableLink, pb.ConnectResponse]:
        if first.WhichOneof("message") != "hello":
            raise Failure(
                grpc.StatusCode.INVALID_ARGUMENT, HELLO_EXPECTED, "the first message is a hello"
            )
        try:
            introduction = introduction_from_proto(first.hello, cable_id)
        except Failure as failure:
            if failure.reason == IDENTITY_MISMATCH:
                await self._refused(
                    f"cable/{cable_id}", failure.reason, failure.metadata["claimed"]
                )
            raise
        self._limit.opened(cable_id)
        session = await self._journals.open(
            introduction, previous_alive=cable_id in self._links, now_s=int(self._now())
        )
        link = CableLink(
            introduction,
            fence=session.opening.fence,
            clone_suspected=session.cursor.clone_suspected,
        )
        link.committed_sequence = session.opening.committed_sequence
        self._links.add(link)
        directive, link.granted = await self._permits.grant(link)
        await self._opened(link)
        log.info(
            "session.opened",
            cable_id=cable_id,
            fence=link.fence,
            site_id=link.site_id,
            permission=directive.permission.value,
            reason=directive.reason,
            findings=[finding.value for finding in session.opening.findings],
        )
        welcome = pb.Welcome(
            fence=link.fence,
            committed_sequence_number=link.committed_sequence,
            manager_time=time_to_proto(self._now()),
            window=WINDOW,
            directive=directive_to_proto(directive),
        )
        return link, pb.ConnectResponse(welcome=welcome)

    async def _read(self, requests: AsyncIterator[pb.ConnectRequest], link: CableLink) -> None:
        """Read until the cable closes; whatever goes wrong ends the stream with its reason."""
        try:
            async for request in requests:
                await self._take(request, link)
            link.outbox.end(_DONE)
        except Failure as failure:
            link.outbox.end(failure)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            log.error("session.broken", cable_id=link.device_id, exc_info=error)
            link.outbox.end(Failure(grpc.StatusCode.INTERNAL, "INTERNAL", "internal error"))

    async def _take(self, request: pb.ConnectRequest, link: CableLink) -> None:
        kind = request.WhichOneof("message")
        if kind == "entry":
            await self._offer(request.entry, link)
        elif kind == "entries":
            if len(request.entries.entries) > MAX_BATCH:
                raise Failure(
                    grpc.StatusCode.INVALID_ARGUMENT, ENTRY_INVALID, f"more than {MAX_BATCH}"
                )
            for entry in request.entries.entries:
                await self._offer(entry, link)
        elif kind == "observed":
            _observe(request.observed, link)
        elif kind == "hello":
            raise Failure(grpc.StatusCode.INVALID_ARGUMENT, HELLO_EXPECTED, "one hello only")

    async def _offer(self, message: pb.Entry, link: CableLink) -> None:
        entry = entry_from_proto(
            message,
            cable_id=link.device_id,
            journal_epoch=link.introduction.journal.journal_epoch,
            fence=link.fence,
        )
        await self._committer.offer(entry, link)

    async def _note_end(self, link: CableLink) -> None:
        closing = self._journals.close(
            link.device_id, link.fence, reason=CLOSED, now_s=int(self._now())
        )
        # The stream's task may be cancelled already; the end is noted all the same.
        await asyncio.shield(asyncio.ensure_future(closing))

    async def ask_all_to_end(self) -> None:
        """The manager goes down: let every cable finish and come back."""
        for link in self._links:
            link.ask_to_end(EndReason.SHUTDOWN)


_DONE = Failure(grpc.StatusCode.OK, "", "")


def _observe(observed: pb.Observed, link: CableLink) -> None:
    link.observed_power_w = observed.power_w if observed.HasField("power_w") else None
    link.observed_permission = (
        permission_from_proto(observed.permission) if observed.permission else Permission.NONE
    )
    percent = observed.state_of_charge_percent
    if observed.HasField("state_of_charge_percent") and 0 <= percent <= 100:
        link.state_of_charge_percent = percent
