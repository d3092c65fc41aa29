"""The life of a process: tasks under supervision, a graceful end, an exit code."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from enum import Enum
from typing import Any, Self

import structlog

from gridcord.chassis.clock import Clock, SystemClock
from gridcord.chassis.exit_codes import ExitCode
from gridcord.chassis.retry import Backoff
from gridcord.chassis.supervisor import READY, STOPPING, feed_watchdog, notify, watchdog_interval_s

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_PROVEN_S = 60.0  # a task that lived this long starts over with short pauses

log = structlog.get_logger()


class OnFailure(Enum):
    """What happens when a task that should run for ever ends or raises."""

    RESTART = "restart"
    """Run it again, after a pause that grows."""
    STOP = "stop"
    """Drain and end the process: without this task it would only pretend to work."""


Run = Callable[[], Coroutine[Any, Any, None]]
Drain = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Duty:
    """A task that runs as long as the process.

    Args:
        name: Noun of the glossary; appears in logs.
        run: Starts it.
        on_failure: What to do when it ends.
    """

    name: str
    run: Run
    on_failure: OnFailure


class Lifecycle:
    """Runs duties until SIGTERM, SIGINT, `stop()` or the failure of one that matters.

    Then drains run in the order opposite to `on_drain`, then duties are cancelled. A second
    signal cancels the drains too.

        async with Lifecycle() as lifecycle:
            ...  # open things, each with its on_drain; signals are heeded already
            return await lifecycle.run()

    When opening fails, what was opened is drained with the block. Without the block `run` alone
    heeds signals, from then on.

    Args:
        clock: Paces restarts.
        grace_s: Real seconds for all drains together.
    """

    def __init__(self, *, clock: Clock | None = None, grace_s: float = 30.0) -> None:
        self._clock = clock or SystemClock()
        self._grace_s = grace_s
        self._duties: list[Duty] = []
        self._drains: list[Drain] = []
        self._stop = asyncio.Event()
        self._hurry = asyncio.Event()
        self._entered = False
        self._drained = False
        self._exit_code = ExitCode.OK

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        for name in _SIGNALS:
            loop.add_signal_handler(name, self._signalled)
        self._entered = True
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._drain()
        loop = asyncio.get_running_loop()
        for name in _SIGNALS:
            loop.remove_signal_handler(name)

    @property
    def stopping(self) -> bool:
        """Whether the end has begun."""
        return self._stop.is_set()

    def add(self, name: str, run: Run, *, on_failure: OnFailure) -> None:
        """Have a task run as long as the process does."""
        self._duties.append(Duty(name=name, run=run, on_failure=on_failure))

    def on_drain(self, drain: Drain) -> None:
        """Have something finish gracefully before the tasks are cancelled; last in, first out."""
        self._drains.append(drain)

    def stop(self, exit_code: ExitCode = ExitCode.OK) -> None:
        """Begin the end; the first caller's exit code counts."""
        if not self.stopping:
            self._exit_code = exit_code
            self._stop.set()

    async def run(self) -> ExitCode:
        """Run until the end and say how it went."""
        if self._entered:
            return await self._live()
        async with self:
            return await self._live()

    async def _live(self) -> ExitCode:
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(self._supervise(duty)) for duty in self._all_duties()]
            notify(READY)
            log.info("process.started", duties=[duty.name for duty in self._duties])
            await self._stop.wait()
            notify(STOPPING)
            log.info("process.stopping")
            await self._drain()
            for task in running:
                task.cancel()
        log.info("process.stopped", exit_code=int(self._exit_code))
        return self._exit_code

    def _all_duties(self) -> list[Duty]:
        if (interval_s := watchdog_interval_s()) is None:
            return self._duties
        real = SystemClock()
        watchdog = Duty(
            name="watchdog",
            run=lambda: feed_watchdog(real, interval_s),
            on_failure=OnFailure.STOP,
        )
        return [*self._duties, watchdog]

    async def _supervise(self, duty: Duty) -> None:
        backoff = Backoff(first_s=0.5, longest_s=30.0)
        while True:
            begin_s = self._clock.monotonic()
            good = await self._attempt(duty)
            drained = self.stopping and good
            if duty.on_failure is OnFailure.STOP and not drained:
                self._fail()
            if self.stopping:
                return
            if self._clock.monotonic() - begin_s >= _PROVEN_S:
                backoff.reset()
            await self._clock.sleep(backoff.next_s())

    async def _attempt(self, duty: Duty) -> bool:
        """Run a duty once; a bug of it reaches the log, not the group."""
        try:
            await duty.run()
        except Exception:
            log.exception("task.failed", task=duty.name, then=duty.on_failure.value)
            return False
        if not self.stopping:
            log.error("task.ended", task=duty.name, then=duty.on_failure.value)
        return True

    def _fail(self) -> None:
        self.stop()
        if self._exit_code is ExitCode.OK:
            self._exit_code = ExitCode.NEGATIVE

    async def _drain(self) -> None:
        if self._drained:
            return
        self._drained = True
        drains = asyncio.ensure_future(self._drain_all())
        hurry = asyncio.ensure_future(self._hurry.wait())
        await asyncio.wait(
            {drains, hurry}, timeout=self._grace_s, return_when=asyncio.FIRST_COMPLETED
        )
        if not drains.done():
            log.warning("drain.abandoned")
        for future in (drains, hurry):
            future.cancel()
        await asyncio.gather(drains, hurry, return_exceptions=True)

    async def _drain_all(self) -> None:
        for drain in reversed(self._drains):
            try:
                await drain()
            except Exception:  # the next one deserves its chance
                log.exception("drain.failed")
                self._fail()

    def _signalled(self) -> None:
        if self.stopping:
            self._hurry.set()
        self.stop()
