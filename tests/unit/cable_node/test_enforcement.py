"""Discharge ends with its lease, whoever is stuck; the contactor follows what may flow."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from cable_node.enforcement import NO_LEASE, Enforcement, local_policy
from cable_node.reverse_power import ReversePowerTrip
from cable_node.state import Grant, NodeState
from gridcord.metering.reading import Permission
from gridcord.metering.records import CableEvent
from gridcord.testing.clock import ManualClock


class Bench:
    """The enforcement of a cable without a board, on a clock that the test moves."""

    def __init__(self, *, charge_without_lease: bool = True) -> None:
        self.clock = ManualClock()
        local = local_policy(charge_without_lease=charge_without_lease)
        self.state = NodeState(grant=local)
        self.noted: list[CableEvent] = []
        self.enforcement = Enforcement(
            contactor=None,
            state=self.state,
            trip=ReversePowerTrip(),
            clock=self.clock,
            note=self._note,
            local=local,
            loading_limit_percent=100.0,
        )

    async def _note(self, event: CableEvent) -> None:
        self.noted.append(event)

    def permits(self, permission: Permission) -> bool:
        return self.state.grant.permission is permission

    async def grant(self, lease_s: float, version: int = 1) -> None:
        await self.enforcement.obey(
            Grant(
                permission=Permission.BIDIRECTIONAL,
                until_s=self.clock.now() + lease_s,
                version=version,
            )
        )


def play(scenario: Callable[[Bench], Awaitable[None]], **options: bool) -> None:
    async def run() -> None:
        bench = Bench(**options)
        holder = asyncio.ensure_future(bench.enforcement.hold_leases())
        try:
            await scenario(bench)
            assert not holder.done()
        finally:
            holder.cancel()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("charge", "left"), [(True, Permission.CHARGE_ONLY), (False, Permission.NONE)]
)
def test_discharge_ends_with_the_lease_though_nobody_says_so(
    charge: bool, left: Permission
) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.grant(90.0)
        await bench.clock.advance(89.9)
        assert bench.permits(Permission.BIDIRECTIONAL)
        await bench.clock.advance(0.2)
        assert (bench.state.grant.permission, bench.state.grant.reason) == (left, NO_LEASE)

    play(scenario, charge_without_lease=charge)


def test_a_renewed_lease_holds_on() -> None:
    async def scenario(bench: Bench) -> None:
        for version in range(1, 6):
            await bench.grant(90.0, version)
            await bench.clock.advance(89.0)
            assert bench.permits(Permission.BIDIRECTIONAL)
        await bench.clock.advance(2.0)
        assert bench.permits(Permission.CHARGE_ONLY)

    play(scenario)


@pytest.mark.parametrize("step_s", [-86_400.0, 86_400.0])
def test_a_step_of_the_wall_clock_neither_lengthens_nor_ends_a_lease(step_s: float) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.grant(90.0)
        await bench.clock.advance(10.0)
        bench.clock.step(step_s)
        await bench.clock.advance(79.0)
        assert bench.permits(Permission.BIDIRECTIONAL)
        await bench.clock.advance(2.0)
        assert bench.permits(Permission.CHARGE_ONLY)

    play(scenario)


def test_a_lease_that_had_ended_when_it_came_is_not_obeyed() -> None:
    async def scenario(bench: Bench) -> None:
        await bench.grant(-1.0)
        await bench.clock.settle()
        assert bench.permits(Permission.CHARGE_ONLY)

    play(scenario)
