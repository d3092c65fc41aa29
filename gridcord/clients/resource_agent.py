"""Drives a battery or a charging station for a manager: tells what it can do, does what it is told.

Three leases lie inside each other. The manager's setpoint lapses at the agent when it is not
renewed; the device forgets what the agent told it when the agent is silent; and an agent that ends
in order leaves 0 W behind.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import grpc
import structlog

from gridcord.chassis.clock import Clock
from gridcord.clients.resource import ResourceClient
from gridcord.clients.sunspec_device import DeviceUnavailable
from gridcord.protocols.sunspec import DeviceState
from gridcord.session.resource import ResourcePolicy
from gridcord.wire.resource import MAX_POWER_W, ResourceIntroduction, ResourceKind, Telemetry

_LAST_TRIES = 3

log = structlog.get_logger()


class Device(Protocol):
    """What is driven."""

    async def read(self) -> DeviceState:
        """What it says of itself now.

        Raises:
            DeviceUnavailable: It cannot be asked.
        """
        ...

    async def set_power(self, power_w: int) -> None:
        """Let it transfer a power, W, + charging, until it hears nothing for its own time.

        Raises:
            DeviceUnavailable: It may or may not have heard.
        """
        ...

    async def close(self) -> None:
        """Give back what is held."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnerLimits:
    """What the owner allows, whatever the device could.

    Args:
        is_permitted: The owner permits transfer.
        charge_w: Most to charge with, W, >= 0.
        discharge_w: Most to discharge with, W, >= 0.
    """

    is_permitted: bool = True
    charge_w: int = MAX_POWER_W
    discharge_w: int = MAX_POWER_W


class ResourceAgent:
    """One device under one manager.

    Args:
        device: What is driven.
        introduction: What the resource is. A STATION only charges, whatever the device says.
        connect: Opens a channel to the manager.
        clock: Of the session.
        limits: What the owner allows.
        every_s: Between two looks at the device, and two words to it, real seconds; well below
            the device's own reversion time.
        note_fence: Keeps the highest fence seen.
        policy: Delays and time-outs of the session.
    """

    def __init__(
        self,
        *,
        device: Device,
        introduction: ResourceIntroduction,
        connect: Callable[[], grpc.aio.Channel],
        clock: Clock,
        limits: OwnerLimits,
        every_s: float,
        note_fence: Callable[[int], None],
        policy: ResourcePolicy | None = None,
    ) -> None:
        self._device = device
        self._introduction = introduction
        self._clock = clock
        self._limits = limits
        self._every_s = every_s
        self._state: DeviceState | None = None
        self._soc_percent = 0.0
        self._wanted_w = 0
        self._told = asyncio.Event()
        self._rests = False
        self._is_at_rest = False
        self._failing: set[str] = set()
        self._client = ResourceClient(
            introduction=introduction,
            connect=connect,
            clock=clock,
            policy=policy or ResourcePolicy(),
            telemetry=self.telemetry,
            set_power=self._want,
            note_fence=note_fence,
        )

    async def run(self) -> None:
        """Drive until cancelled; then the device stands at 0 W."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._steer())
                tasks.create_task(self._watch())
                tasks.create_task(self._client.run())
        finally:
            await self.rest()
            await self._device.close()

    async def rest(self) -> None:
        """Bring the device to 0 W and keep it there; nothing the manager says counts any more.

        A rest that was cut short, as by a second signal, is begun anew by the next call.
        """
        if self._is_at_rest:
            return
        self._rests = True
        self._wanted_w = 0
        for attempt in range(1, _LAST_TRIES + 1):
            try:
                await self._device.set_power(0)
            except DeviceUnavailable as error:
                log.error("device.not_stopped", cause=str(error), attempt=attempt)
            else:
                self._is_at_rest = True
                log.info("device.rests")
                return

    def telemetry(self) -> Telemetry:
        """What the resource is and can do now; nothing while its device does not answer."""
        state = self._state
        if state is None:
            return Telemetry(
                measured_s=self._clock.now(),
                transfer_permitted=False,
                power_w=0,
                charge_limit_w=0,
                discharge_limit_w=0,
                soc_percent=self._soc_percent,
            )
        charges, discharges = self._can(state)
        return Telemetry(
            measured_s=self._clock.now(),
            transfer_permitted=self._limits.is_permitted and state.is_ready,
            power_w=max(-MAX_POWER_W, min(MAX_POWER_W, state.power_w)),
            charge_limit_w=charges,
            discharge_limit_w=discharges,
            soc_percent=self._soc_percent,
        )

    def _can(self, state: DeviceState) -> tuple[int, int]:
        """Most it can charge and discharge with now, W; a full or empty one cannot."""
        soc = state.soc_percent
        charges = min(state.charge_limit_w, self._limits.charge_w, MAX_POWER_W)
        discharges = min(state.discharge_limit_w, self._limits.discharge_w, MAX_POWER_W)
        if soc is not None and soc >= 100:
            charges = 0
        only_charges = self._introduction.kind is ResourceKind.STATION
        if only_charges or soc is None or soc <= self._introduction.need.reserve_percent:
            discharges = 0
        return charges, discharges

    def _want(self, power_w: int) -> None:
        if not self._rests:
            self._wanted_w = power_w
            self._told.set()

    async def _steer(self) -> None:
        """Say the wanted power to the device: at once when it changes, else again and again."""
        while not self._rests:
            self._told.clear()
            try:
                await self._device.set_power(self._wanted_w)
            except DeviceUnavailable as error:
                self._failed("device.not_steered", error)
                await asyncio.sleep(self._every_s)
                continue
            self._worked("device.not_steered")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._every_s):
                    await self._told.wait()
        await asyncio.get_running_loop().create_future()  # until cancelled

    async def _watch(self) -> None:
        """Read the device; tell the session when what it can do has changed."""
        while True:
            before = self._abilities()
            await self._look()
            if self._abilities() != before:
                self._client.limits_changed()
            await asyncio.sleep(self._every_s)

    async def _look(self) -> None:
        try:
            self._state = await self._device.read()
        except DeviceUnavailable as error:
            self._failed("device.unavailable", error)
            self._state = None
            return
        self._worked("device.unavailable")
        if self._state.soc_percent is not None:
            self._soc_percent = self._state.soc_percent

    def _failed(self, what: str, error: DeviceUnavailable) -> None:
        """Say once that something does not work, however often it is tried."""
        if what not in self._failing:
            self._failing.add(what)
            log.warning(what, cause=str(error))

    def _worked(self, what: str) -> None:
        if what in self._failing:
            self._failing.discard(what)
            log.info("device.back", after=what)

    def _abilities(self) -> tuple[bool, int, int]:
        now = self.telemetry()
        return now.transfer_permitted, now.charge_limit_w, now.discharge_limit_w
