"""Measures: one block of registers a second, a period's energy at each boundary (S810, S812)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from cable_node.ports import CableMeter, InstrumentError, MeterIdentity
from gridcord.chassis.clock import Clock
from gridcord.metering.reading import Registers
from gridcord.metering.registers import (
    Accumulator,
    PeriodEnergy,
    RegisterBreak,
    RegisterLimits,
    close,
    feed,
)

PAUSE_S = 2.0  # real seconds after a failure, so that a dead meter is not hammered

log = structlog.get_logger()

Finished = Callable[[PeriodEnergy, bool], Awaitable[None]]


class Metering:
    """Reads the cable's meter and counts, while a vehicle is connected.

    Args:
        meter: The calibrated meter.
        clock: Of the node.
        period_s: Length of a period, seconds.
        sample_s: Between two readings, seconds.
        max_gap_s: Readings further apart leave the time between unmeasured, seconds.
        max_power_w: More than cable and outlet can carry.
        finished: Called with each finished part, and whether the session ended with it.
        sampled: Called with each reading; None when the meter did not answer.
        broken: Called when another meter answers or the clock went back.
    """

    def __init__(
        self,
        *,
        meter: CableMeter,
        clock: Clock,
        period_s: int,
        sample_s: float,
        max_gap_s: float,
        max_power_w: int,
        finished: Finished,
        sampled: Callable[[Registers | None], Awaitable[None]],
        broken: Callable[[RegisterBreak], Awaitable[None]],
    ) -> None:
        self._meter = meter
        self._clock = clock
        self._sample_s = sample_s
        self._finished = finished
        self._sampled = sampled
        self._broken = broken
        self._lock = asyncio.Lock()
        self._identity: MeterIdentity | None = None
        self._connected = False
        self._accumulator = Accumulator(
            length_s=period_s,
            limits=RegisterLimits(max_power_w=max_power_w, max_gap_s=max_gap_s),
        )

    async def identify(self) -> MeterIdentity:
        """Say which meter answers; tried until it does."""
        while self._identity is None:
            try:
                self._identity = await self._meter.identify()
            except InstrumentError as error:
                log.warning("meter.unavailable", error=str(error))
                await asyncio.sleep(PAUSE_S)
        return self._identity

    async def connect(self) -> None:
        """A vehicle came: count from the next reading on."""
        async with self._lock:
            self._connected = True

    async def disconnect(self) -> None:
        """The vehicle left: close the running part (S822)."""
        await self._flush(final=True)
        async with self._lock:
            self._connected = False

    async def flush(self) -> None:
        """The session ends: close the running part, count on in a new one (S808, S822)."""
        await self._flush(final=True)

    async def run(self) -> None:
        """Measure for ever."""
        await self.identify()
        due_s = self._clock.now()
        while True:
            await self._sample()
            due_s = max(due_s + self._sample_s, self._clock.now())
            await self._clock.sleep_until(due_s)

    async def _sample(self) -> None:
        try:
            registers = await self._meter.read()
        except InstrumentError as error:
            log.warning("meter.unread", error=str(error))
            await self._sampled(None)
            await asyncio.sleep(PAUSE_S)
            return
        await self._sampled(registers)
        if self._connected:
            await self._count(registers)

    async def _count(self, registers: Registers) -> None:
        serial = self._identity.serial_number if self._identity else None
        async with self._lock:
            self._accumulator, finished = feed(
                accumulator=self._accumulator, sample=registers, meter_id=serial
            )
            for part in finished:
                if part.broken_by is not None:
                    await self._broken(part.broken_by)
                await self._finished(part, False)

    async def _flush(self, *, final: bool) -> None:
        async with self._lock:
            self._accumulator, part = close(accumulator=self._accumulator)
            if part is not None:
                await self._finished(part, final)
