"""Figure 7: the management server's table of sites whose power transfer is stopped.

A site whose meter does not see what the cable measures is flagged. At the start of the next session
the cable asks for the flag and, where it is set, lets nothing flow (S802, S804, S806). Two softer
policies may stand instead: charging only, or charging up to a state of charge.
"""

from __future__ import annotations

import asyncio

import pytest

from gridcord.api.types.v1 import types_pb2
from gridcord.chassis.identity import Role
from gridcord.metering.reading import Permission
from tests.integration.manager.conftest import (
    ManagerProcess,
    manager,
    module_database_url,
)
from tests.integration.manager.recording import RecordingCable, read_until, tools

__all__ = ["manager", "module_database_url"]  # fixtures

POLICIES = [
    pytest.param(Permission.NONE, types_pb2.PERMISSION_NONE, None, id="stopped"),
    pytest.param(
        Permission.CHARGE_ONLY, types_pb2.PERMISSION_CHARGE_ONLY, None, id="charging only"
    ),
    pytest.param(
        Permission.CHARGE_TO_SOC,
        types_pb2.PERMISSION_CHARGE_TO_SOC,
        50.0,
        id="charging up to a state of charge",
    ),
]


@pytest.mark.parametrize(("policy", "told", "percent"), POLICIES)
def test_the_next_session_at_a_flagged_site_opens_with_the_limit(
    manager: ManagerProcess,
    policy: Permission,
    told: int,
    percent: float | None,
) -> None:
    async def scenario() -> None:
        cable = RecordingCable(manager)
        async with cable.session() as (_, welcome):
            assert welcome.directive.permission == types_pb2.PERMISSION_BIDIRECTIONAL
        async with tools(manager, Role.OPERATOR) as client:
            await client.block(cable.site_id, policy, "the meter does not see what flows")
        async with cable.session() as (_, welcome):
            assert welcome.directive.permission == told
            assert welcome.directive.reason == "OPERATOR"
            known = welcome.directive.HasField("charge_to_percent")
            assert (welcome.directive.charge_to_percent if known else None) == percent

    asyncio.run(scenario())


@pytest.mark.parametrize(("policy", "told", "percent"), POLICIES)
def test_the_flag_is_the_sites_and_holds_for_every_cable_there(
    manager: ManagerProcess,
    policy: Permission,
    told: int,
    percent: float | None,
) -> None:
    async def scenario() -> None:
        here = RecordingCable(manager)
        another = RecordingCable(manager, site_id=here.site_id)
        elsewhere = RecordingCable(manager)
        async with tools(manager, Role.OPERATOR) as client:
            await client.block(here.site_id, policy, "the meter does not see what flows")
        async with another.session() as (_, welcome):
            assert welcome.directive.permission == told
        async with elsewhere.session() as (_, welcome):
            assert welcome.directive.permission == types_pb2.PERMISSION_BIDIRECTIONAL

    asyncio.run(scenario())


def test_a_running_session_is_stopped_too_and_goes_on_when_the_flag_is_lifted(
    manager: ManagerProcess,
) -> None:
    async def scenario() -> None:
        cable = RecordingCable(manager)
        async with cable.session() as (call, _), tools(manager, Role.OPERATOR) as client:
            await client.block(cable.site_id, Permission.NONE, "the meter does not see what flows")
            stopped = await read_until(
                call, lambda m: m.directive.permission == types_pb2.PERMISSION_NONE
            )
            assert stopped.directive.reason == "OPERATOR"
            await client.lift(cable.site_id, "the meter was repaired")
            await read_until(
                call, lambda m: m.directive.permission == types_pb2.PERMISSION_BIDIRECTIONAL
            )
        async with cable.session() as (_, welcome):
            assert welcome.directive.permission == types_pb2.PERMISSION_BIDIRECTIONAL

    asyncio.run(scenario())
