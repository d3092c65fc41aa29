"""A resource's session: for the controller of a vehicle, a station or a battery.

Give it functions that say what the resource can do and one that sets its power; it connects, tells,
obeys, and goes to 0 W when the manager falls silent.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import grpc
import structlog

from gridcord.api.manager.v1 import resource_session_service_pb2 as pb
from gridcord.api.manager.v1.resource_session_service_pb2_grpc import ResourceSessionServiceStub
from gridcord.chassis.clock import Clock
from gridcord.chassis.failures import failure_of
from gridcord.session import effects, resource
from gridcord.session.events import (
    Connected,
    Disconnected,
    EndReceived,
    LimitsChanged,
    ResourceInput,
    Tick,
)
from gridcord.session.lease import Lease
from gridcord.wire.resource import (
    ResourceIntroduction,
    Telemetry,
    introduction_to_proto,
    resource_end_reason,
    resource_welcome_from_proto,
    result_to_proto,
    setpoint_from_proto,
    telemetry_to_proto,
)
from gridcord.wire.values import WireError

log = structlog.get_logger()


class ResourceClient:
    """Holds a resource's session for ever.

    Args:
        introduction: What the resource is.
        connect: Opens a channel to the manager.
        clock: Of the resource.
        policy: Delays and time-outs.
        telemetry: What the resource is and can do now.
        set_power: Lets it transfer a power, W, + charging.
        note_fence: Keeps the highest fence seen over a restart; optional for a resource without
            storage, whose session then waits until the manager's fence is higher.
    """

    def __init__(
        self,
        *,
        introduction: ResourceIntroduction,
        connect: Callable[[], grpc.aio.Channel],
        clock: Clock,
        policy: resource.ResourcePolicy,
        telemetry: Callable[[], Telemetry],
        set_power: Callable[[int], None],
        note_fence: Callable[[int], None] = lambda _fence: None,
    ) -> None:
        self._introduction = introduction
        self._connect = connect
        self._clock = clock
        self._telemetry = telemetry
        self._set_power = set_power
        self._note_fence = note_fence
        self._state = resource.ResourceSession(
            policy=policy, lease=Lease(fence=introduction.last_fence)
        )
        self._events: asyncio.Queue[tuple[ResourceInput, object]] = asyncio.Queue()
        self._call: Any = None
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def limits_changed(self) -> None:
        """The resource can do something else than before: keep within it and tell the manager."""
        now = self._telemetry()
        changed = LimitsChanged(
            charge_limit_w=now.charge_limit_w,
            discharge_limit_w=now.discharge_limit_w,
            transfer_permitted=now.transfer_permitted,
        )
        self._events.put_nowait((changed, None))

    def drop_link(self) -> None:
        """Cut the connection, as a tunnel does."""
        if self._call is not None:
            self._call.cancel()

    async def run(self) -> None:
        """Hold the session until cancelled; then the power is 0 W."""
        self.limits_changed()
        self._later("reconnect", self._open(0.0))
        try:
            while True:
                event, call = await self._next()
                if call is None or call is self._call:
                    await self._take(event)
        finally:
            self._set_power(0)
            for task in self._tasks.values():
                task.cancel()
            if self._call is not None:
                self._call.cancel()

    def _later(self, name: str, work: Any) -> None:
        if (before := self._tasks.get(name)) is not None:
            before.cancel()
        self._tasks[name] = asyncio.ensure_future(work)

    async def _next(self) -> tuple[ResourceInput, object]:
        deadline_s = resource.deadline_s(state=self._state)
        if deadline_s is None:
            return await self._events.get()
        getter = asyncio.ensure_future(self._events.get())
        remaining = max(0.0, deadline_s - self._clock.monotonic())
        timer = asyncio.ensure_future(self._clock.sleep(remaining))
        done, _ = await asyncio.wait({getter, timer}, return_when=asyncio.FIRST_COMPLETED)
        timer.cancel()
        if getter in done:
            return getter.result()
        getter.cancel()
        return Tick(), None

    async def _take(self, event: ResourceInput) -> None:
        self._state, todo = resource.advance(
            state=self._state, event=event, now_s=self._clock.monotonic()
        )
        for effect in todo:
            await self._perform(effect)

    async def _perform(self, effect: effects.ResourceEffect) -> None:
        match effect:
            case effects.SendHello():
                introduction = replace(self._introduction, last_fence=effect.last_fence)
                await self._send(pb.DispatchRequest(hello=introduction_to_proto(introduction)))
            case effects.NoteFence():
                self._note_fence(effect.fence)
            case effects.SendTelemetry():
                telemetry = telemetry_to_proto(self._telemetry())
                await self._send(pb.DispatchRequest(telemetry=telemetry))
            case effects.SetPower():
                self._set_power(effect.power_w)
            case effects.SendResult():
                result = result_to_proto(effect.version, effect.outcome)
                await self._send(pb.DispatchRequest(setpoint_result=result))
            case effects.Close():
                await self._half_close()
            case effects.ScheduleReconnect():
                delay_s = random.uniform(effect.at_least_s, effect.at_most_s)
                self._later("reconnect", self._open(delay_s))

    async def _open(self, delay_s: float) -> None:
        await self._clock.sleep(delay_s)
        channel = self._connect()
        self._call = call = ResourceSessionServiceStub(channel).Dispatch()
        self._later("reader", self._read(channel, call))
        self._events.put_nowait((Connected(), call))

    async def _read(self, channel: grpc.aio.Channel, call: Any) -> None:
        try:
            while (response := await call.read()) is not grpc.aio.EOF:
                self._received(response, call)
        except grpc.aio.AioRpcError as error:
            failure = failure_of(error)
            log.info("session.lost", code=failure.code.name, reason=failure.reason)
        except asyncio.CancelledError:
            log.debug("session.cancelled")
        except (WireError, grpc.aio.UsageError, asyncio.InvalidStateError) as error:
            log.warning("session.broken", error=str(error))
        finally:
            self._events.put_nowait((Disconnected(), call))
            await channel.close()

    def _received(self, response: pb.DispatchResponse, call: Any) -> None:
        match response.WhichOneof("message"):
            case "welcome":
                event: ResourceInput = resource_welcome_from_proto(response.welcome)
            case "setpoint":
                event = setpoint_from_proto(response.setpoint)
            case "end":
                event = EndReceived(reason=resource_end_reason(response.end))
            case None:  # a newer manager said something we do not know
                return
        self._events.put_nowait((event, call))

    async def _send(self, request: pb.DispatchRequest) -> None:
        """Write; a stream that ended is the reader's to tell."""
        try:
            await self._call.write(request)
        except (grpc.aio.AioRpcError, grpc.aio.UsageError, asyncio.InvalidStateError):
            log.debug("frame.not_sent", kind=request.WhichOneof("message"))

    async def _half_close(self) -> None:
        try:
            await self._call.done_writing()
        except (grpc.aio.AioRpcError, grpc.aio.UsageError, asyncio.InvalidStateError):
            log.debug("stream.ended_already")
