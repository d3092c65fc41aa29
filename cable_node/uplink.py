"""The session with the manager: performs what the sans-I/O engine decides.

One task takes events in order and performs their effects, and never waits for the network: what
is to be sent is handed to the stream. Whatever fails on the wire ends in `Disconnected`, and the
engine says when to try again.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial

import grpc
import structlog

from cable_node.journal import AsyncJournal
from cable_node.manager_stream import MOST_ENTRIES, Frame, ManagerStream
from cable_node.state import Grant, NodeState
from gridcord.api.manager.v1 import cable_session_service_pb2 as pb
from gridcord.api.manager.v1.cable_session_service_pb2_grpc import CableSessionServiceStub
from gridcord.chassis.clock import Clock
from gridcord.metering.reading import ClockState
from gridcord.session import cable, effects
from gridcord.session.cable_state import CablePolicy, CableSession
from gridcord.session.events import (
    Acked,
    CableInput,
    Connected,
    DirectiveReceived,
    Disconnected,
    EndReason,
    EndReceived,
    Flushed,
    Produced,
    Pruned,
    Tick,
)
from gridcord.wire.readings import (
    asset_loading_to_proto,
    clock_state_to_proto,
    permission_to_proto,
)
from gridcord.wire.session import (
    directive_from_proto,
    end_reason_from_proto,
    welcome_from_proto,
)
from gridcord.wire.values import position_to_proto, time_to_proto

PROTOCOL_VERSION = 1

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class CableFacts:
    """What a hello says that does not change while the process runs."""

    cable_id: str
    boot_id: str
    vehicle_id: str
    driver_id: str
    signing_key: bytes
    rated_power_w: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UplinkActions:
    """What the session makes the node do.

    Args:
        obey: Put the manager's word into force.
        fall_back: The local policy holds from now on.
        flush: Close the running period into the journal (S822).
        regressed: The journal was restored from an older state; numbers were skipped.
        prove: Play a power pattern.
        take_access: Take the site's credentials.
    """

    obey: Callable[[Grant], Awaitable[None]]
    fall_back: Callable[[], Awaitable[None]]
    flush: Callable[[], Awaitable[None]]
    regressed: Callable[[int], Awaitable[None]]
    prove: Callable[[pb.ActiveProofRequest], None]
    take_access: Callable[[pb.SiteAccess], None]


class Uplink:
    """Holds the cable's session for ever.

    Args:
        journal: What is sent.
        policy: Delays and time-outs.
        clock: Of the node.
        facts: For the hello.
        state: Of the node.
        actions: What the session makes the node do.
        connect: Opens a channel.
        clock_state: What the wall clock is worth now.
        identified: Returns when the site is known, or will not be for long.
        observed_s: Between two reports of the node's state, seconds.
    """

    def __init__(
        self,
        *,
        journal: AsyncJournal,
        policy: CablePolicy,
        clock: Clock,
        facts: CableFacts,
        state: NodeState,
        actions: UplinkActions,
        connect: Callable[[], grpc.aio.Channel],
        clock_state: Callable[[], ClockState],
        identified: Callable[[], Awaitable[None]],
        observed_s: float,
    ) -> None:
        self._journal = journal
        self._clock = clock
        self._facts = facts
        self._node = state
        self._actions = actions
        self._connect = connect
        self._clock_state = clock_state
        self._identified = identified
        self._observed_s = observed_s
        self._session: CableSession = cable.start(durable=journal.durable, policy=policy)
        self._events: asyncio.Queue[tuple[CableInput, object]] = asyncio.Queue()
        self._broken: Exception | None = None
        self._stream: ManagerStream | None = None
        self._reconnect: asyncio.Task[None] | None = None

    def produced(self, sequence: int) -> None:
        """An entry is in the journal."""
        self._events.put_nowait((Produced(sequence=sequence), None))

    def pruned(self, oldest_retained: int) -> None:
        """The journal gave up entries."""
        self._events.put_nowait((Pruned(oldest_retained=oldest_retained), None))

    def restart(self) -> None:
        """The site turned out to be another one: introduce the cable anew."""
        if self._stream is not None:
            self._stream.cut()

    async def run(self) -> None:
        """Hold the session for ever.

        Raises:
            JournalError: An entry could not be read or noted.
        """
        await self._identified()
        observer = asyncio.ensure_future(self._observe())
        self._reconnect_after(0.0)
        try:
            while True:
                event, stream = await self._next()
                if self._broken is not None:
                    raise self._broken
                if stream is None or stream is self._stream:
                    await self._take(event)
        finally:
            observer.cancel()
            self._hang_up()

    async def _next(self) -> tuple[CableInput, object]:
        deadline = cable.deadline_s(state=self._session)
        if deadline is None:
            return await self._events.get()
        remaining = max(0.0, deadline - self._clock.monotonic())
        getter = asyncio.ensure_future(self._events.get())
        timer = asyncio.ensure_future(self._clock.sleep(remaining))
        done, _ = await asyncio.wait({getter, timer}, return_when=asyncio.FIRST_COMPLETED)
        timer.cancel()
        if getter in done:
            return getter.result()
        getter.cancel()
        return Tick(), None

    async def _take(self, event: CableInput) -> None:
        self._session, todo = cable.advance(
            state=self._session, event=event, now_s=self._clock.monotonic()
        )
        self._node.session_state = self._session.phase.value
        self._node.committed_sequence = self._session.durable.acked_sequence
        for effect in todo:
            await self._perform(effect)

    async def _perform(self, effect: effects.CableEffect) -> None:
        match effect:
            case effects.SendHello():
                self._send(partial(self._hello, effect))
            case effects.SendEntry():
                self._send(partial(self._entry, effect))
            case effects.NoteAcked():
                await self._journal.note_acked(effect.sequence)
            case effects.NoteFence():
                await self._journal.note_fence(effect.fence)
            case effects.JumpTo():
                await self._journal.jump_to(effect.sequence)
                await self._actions.regressed(effect.sequence)
            case effects.GapDeclared():
                log.error("entries.lost", first=effect.first, last=effect.last)
            case effects.Obey():
                await self._actions.obey(self._grant(effect))
            case effects.FallBack():
                log.warning("lease.ended", reason=effect.reason.value)
                await self._actions.fall_back()
            case effects.FlushPartialPeriod():
                await self._flush(effect.reason)
            case effects.Close():
                log.info("session.closing", reason=effect.reason.value)
                if self._stream is not None:
                    self._stream.close()
            case effects.ScheduleReconnect():
                delay_s = random.uniform(effect.at_least_s, effect.at_most_s)
                self._reconnect_after(delay_s)

    async def _flush(self, reason: EndReason) -> None:
        log.info("session.ending", reason=reason.value)
        await self._actions.flush()
        self._events.put_nowait((Flushed(), None))

    def _grant(self, effect: effects.Obey) -> Grant:
        directive: DirectiveReceived = effect.directive
        return Grant(
            permission=directive.permission,
            reason=directive.reason,
            setpoint_w=directive.setpoint_w,
            until_s=self._clock.now() + effect.until_s - self._clock.monotonic(),
            version=directive.version,
            charge_to_percent=directive.charge_to_percent,
        )

    def _reconnect_after(self, delay_s: float) -> None:
        if self._reconnect is not None:
            self._reconnect.cancel()
        self._reconnect = asyncio.ensure_future(self._open(delay_s))

    async def _open(self, delay_s: float) -> None:
        await self._clock.sleep(delay_s)
        channel = self._connect()
        stream = ManagerStream(
            channel=channel,
            call=CableSessionServiceStub(channel).Connect(wait_for_ready=False),
            received=lambda response: self._received(response, stream),
            ended=lambda error, pause_s: self._over(error, pause_s, stream),
        )
        self._stream = stream
        self._events.put_nowait((Connected(), stream))

    def _over(self, error: Exception | None, pause_s: float, stream: ManagerStream) -> None:
        self._broken = self._broken or error
        self._events.put_nowait((Disconnected(retry_after_s=pause_s), stream))

    def _received(self, response: pb.ConnectResponse, stream: ManagerStream) -> None:
        match response.WhichOneof("message"):
            case "welcome":
                welcomed, directive = welcome_from_proto(response.welcome)
                window = min(welcomed.window, MOST_ENTRIES)
                self._events.put_nowait((replace(welcomed, window=window), stream))
                if directive is not None:
                    self._events.put_nowait((directive, stream))
            case "ack":
                acked = Acked(committed_sequence=response.ack.committed_sequence_number)
                self._events.put_nowait((acked, stream))
            case "directive":
                self._events.put_nowait((directive_from_proto(response.directive), stream))
            case "end":
                reason = end_reason_from_proto(response.end)
                self._events.put_nowait((EndReceived(reason=reason), stream))
            case "active_proof":
                self._actions.prove(response.active_proof)
            case "site_access":
                self._actions.take_access(response.site_access)
            case None:  # a newer manager said something we do not know
                pass

    def _send(self, frame: Frame) -> None:
        if self._stream is not None:
            self._stream.send(frame)

    async def _entry(self, effect: effects.SendEntry) -> pb.ConnectRequest:
        entry = await self._journal.entry(effect.sequence)
        message = pb.Entry(
            sequence_number=entry.sequence, body=entry.body, signature=entry.signature
        )
        if effect.previous_sequence != effect.sequence - 1:
            message.previous_sequence_number = effect.previous_sequence
        return pb.ConnectRequest(entry=message)

    async def _hello(self, effect: effects.SendHello) -> pb.ConnectRequest:
        node, facts = self._node, self._facts
        return pb.ConnectRequest(
            hello=pb.CableHello(
                protocol_version=PROTOCOL_VERSION,
                cable_id=facts.cable_id,
                journal_epoch=effect.journal_epoch,
                oldest_sequence_number=effect.oldest_retained,
                next_sequence_number=effect.next_sequence,
                last_fence=effect.last_fence,
                boot_id=facts.boot_id,
                monotonic_ns=int(self._clock.monotonic() * 1e9),
                clock_time=time_to_proto(self._clock.now()),
                clock_state=clock_state_to_proto(self._clock_state()),
                site_meter_id=node.site_meter_id,
                hems_id=node.hems_id,
                position=None if node.position is None else position_to_proto(node.position),
                vehicle_id=facts.vehicle_id,
                driver_id=facts.driver_id,
                signing_key=facts.signing_key,
                rated_power_w=facts.rated_power_w,
                asset_loading=None
                if node.asset_loading is None
                else asset_loading_to_proto(node.asset_loading),
                can_prove_actively=node.can_prove,
            )
        )

    async def _observe(self) -> None:
        """Tell the node's state now and then: not a record, never queued."""
        while True:
            await self._clock.sleep(self._observed_s)
            if self._session.phase is cable.Phase.STREAMING and self._stream is not None:
                self._stream.observe(pb.ConnectRequest(observed=self._observed()))

    def _observed(self) -> pb.Observed:
        node = self._node
        return pb.Observed(
            directive_version=node.grant.version,
            permission=permission_to_proto(node.grant.permission),
            power_w=node.power_w,
            contactor_closed=node.contactor_closed,
        )

    def _hang_up(self) -> None:
        if self._reconnect is not None:
            self._reconnect.cancel()
        if self._stream is not None:
            self._stream.cut()
