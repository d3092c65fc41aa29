"""Runs the simulated exchange: `python -m gridcord.simulation.exchange --config FILE`."""

from __future__ import annotations

import os
import sys
from datetime import time
from typing import ClassVar

from pydantic import Field, field_validator

from gridcord.chassis.clock import Clock
from gridcord.chassis.exit_codes import ExitCode
from gridcord.chassis.lifecycle import Lifecycle, OnFailure
from gridcord.chassis.program import run_program
from gridcord.chassis.sections import ClockSettings, ListenSettings, LogSettings
from gridcord.chassis.settings import FilePath, ProgramSettings, Section, SettingsError
from gridcord.chassis.supervisor import write_ready_file
from gridcord.protocols.jepx.fields import AREA_CODES
from gridcord.protocols.jepx_csv import JepxCsvError, decoded, parse_spot
from gridcord.simulation.exchange import tls
from gridcord.simulation.exchange.background import Depth
from gridcord.simulation.exchange.faults import Fault, FaultPlan
from gridcord.simulation.exchange.prices import PriceSeries, SyntheticPrices, TablePrices
from gridcord.simulation.exchange.rules import Exchange
from gridcord.simulation.exchange.schedule import AuctionGate
from gridcord.simulation.exchange.server import ExchangeServer, Timing
from gridcord.simulation.exchange.state import State


class MarketSettings(Section):
    """`[market]`: who trades at what prices, and what is kept where."""

    state: FilePath
    tls: FilePath
    members: tuple[str, ...] = ("9999",)
    prices: FilePath | None = None
    seed: int = 1
    shown_areas: tuple[str, ...] = ("tokyo",)
    steps: int = Field(default=20, ge=0)
    step_wh: int = Field(default=500_000, ge=50_000, multiple_of=50_000)
    step_micros_per_kwh: int = Field(default=100_000, ge=10_000, multiple_of=10_000)
    gate_closes: time = time(10, 0)
    gate_days_before: int = Field(default=1, ge=0, le=14)

    @field_validator("shown_areas")
    @classmethod
    def _known(cls, areas: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := set(areas) - set(AREA_CODES):
            message = f"no areas {sorted(unknown)}; there are {', '.join(AREA_CODES)}"
            raise ValueError(message)
        return areas

    def series(self) -> PriceSeries:
        """The public table's prices, or synthetic ones.

        Raises:
            OSError: The file cannot be read.
            SettingsError: It is not the exchange's public table.
        """
        if self.prices is None:
            return SyntheticPrices(seed=self.seed)
        try:
            return TablePrices.of_rows(parse_spot(decoded(self.prices.read_bytes())))
        except JepxCsvError as error:
            message = f"{self.prices}: {error}"
            raise SettingsError(message) from error

    def depth(self) -> Depth:
        """The background's depth."""
        return Depth(
            steps=self.steps,
            step_wh=self.step_wh,
            step_micros_per_kwh=self.step_micros_per_kwh,
        )


class FaultSettings(Section):
    """`[faults]`: probability of each fault per call, and of which calls; none by default."""

    seed: int = 1
    apis: tuple[str, ...] = ()
    chances: dict[Fault, float] = Field(default_factory=dict)

    def plan(self) -> FaultPlan:
        """The plan these settings describe."""
        return FaultPlan(seed=self.seed, chances=self.chances, apis=frozenset(self.apis))


class TimingSettings(Section):
    """`[timing]`: real seconds of the sockets."""

    idle_s: float = Field(default=180.0, gt=0)
    slow_s: float = Field(default=1.0, ge=0)
    heartbeat_s: float = Field(default=20.0, gt=0)


class ExchangeSettings(ProgramSettings):
    """Settings of the simulated exchange."""

    program: ClassVar[str] = "exchange"

    market: MarketSettings
    listen: ListenSettings = ListenSettings()
    faults: FaultSettings = FaultSettings()
    timing: TimingSettings = TimingSettings()
    log: LogSettings = LogSettings()
    clock: ClockSettings = ClockSettings()


async def main(settings: ExchangeSettings) -> ExitCode:
    """Serve until told to end."""
    async with Lifecycle() as lifecycle:
        state = State(settings.market.state)
        server = make_server(settings, state=state, clock=settings.clock.clock())
        host, _, port = settings.listen.address.rpartition(":")
        context = tls.server_context(settings.market.tls)
        bound = await server.start(host=host, port=int(port), tls=context)

        async def drain() -> None:
            await server.stop()
            state.close()

        lifecycle.on_drain(drain)
        lifecycle.add("auctions", server.tick_for_ever, on_failure=OnFailure.STOP)
        if settings.listen.ready_file is not None:
            facts: dict[str, str | int] = {
                "pid": os.getpid(),
                "jepx": f"{host}:{bound}",
                "certificate": str(settings.market.tls / tls.CERTIFICATE),
            }
            write_ready_file(settings.listen.ready_file, facts)
        return await lifecycle.run()


def make_server(settings: ExchangeSettings, *, state: State, clock: Clock) -> ExchangeServer:
    """The server that settings describe."""
    exchange = Exchange(
        state=state,
        prices=settings.market.series(),
        members=frozenset(settings.market.members),
        depth=settings.market.depth(),
        shown_areas=[AREA_CODES[area] for area in settings.market.shown_areas],
        gate=AuctionGate(settings.market.gate_closes, settings.market.gate_days_before),
    )
    timing = Timing(
        idle_s=settings.timing.idle_s,
        slow_s=settings.timing.slow_s,
        heartbeat_s=settings.timing.heartbeat_s,
    )
    return ExchangeServer(
        exchange=exchange, clock=clock, faults=settings.faults.plan(), timing=timing
    )


if __name__ == "__main__":
    sys.exit(run_program(ExchangeSettings, main))
