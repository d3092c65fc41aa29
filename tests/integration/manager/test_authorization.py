"""Who may call what: the tables of all programs, and what a manager answers to everybody else."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import ServiceDescriptor

import gridcord.api
from cable_node.local_service import POLICY as CABLE_NODE
from gridcord.api.cable.v1 import cable_service_pb2
from gridcord.api.manager.v1 import (
    audit_service_pb2,
    cable_session_service_pb2,
    driver_service_pb2,
    evidence_service_pb2,
    fleet_service_pb2,
    resource_session_service_pb2,
    site_block_service_pb2,
    transfer_service_pb2,
)
from gridcord.api.manager.v1.resource_session_service_pb2_grpc import (
    ResourceSessionServiceStub,
)
from gridcord.api.market.v1 import market_service_pb2
from gridcord.api.utility.v1 import utility_service_pb2
from gridcord.chassis.authorization import Policy, methods_of, services_of
from gridcord.chassis.channel import open_channel, server_name
from gridcord.chassis.failures import Failure, failure_of
from gridcord.chassis.identity import Kind, Principal, Role
from gridcord.metering.reading import Permission
from gridcord.units import CableId
from manager.service.policy import POLICY as MANAGER
from market_adapter.service.market import POLICY as MARKET
from tests.integration.manager.conftest import DOMAIN, HandCable, ManagerProcess
from tests.integration.manager.recording import (
    RecordingCable,
    eventually,
    listed,
    new_site,
    past_period,
    refused,
    tools,
)
from utility_adapter.service.utility import POLICY as UTILITY

MANAGER_FILES = (
    audit_service_pb2,
    cable_session_service_pb2,
    driver_service_pb2,
    evidence_service_pb2,
    fleet_service_pb2,
    resource_session_service_pb2,
    site_block_service_pb2,
    transfer_service_pb2,
)
PROGRAMS = {
    "manager": (MANAGER, MANAGER_FILES),
    "market-adapter": (MARKET, (market_service_pb2,)),
    "utility-adapter": (UTILITY, (utility_service_pb2,)),
    "cable-node": (CABLE_NODE, (cable_service_pb2,)),
}


def services(files: Iterable[Any]) -> list[ServiceDescriptor]:
    return services_of(*(file.DESCRIPTOR for file in files))


@pytest.mark.parametrize(("policy", "files"), PROGRAMS.values(), ids=PROGRAMS)
def test_somebody_decided_about_every_method(policy: Policy, files: Iterable[Any]) -> None:
    assert policy.without_policy(services(files)) == []
    assert policy.without_method(services(files)) == []
    assert all(policy.grants.values()), "a method that nobody may call"


def test_every_service_of_the_protos_belongs_to_a_program() -> None:
    """A new proto file with a service fails here until a program's policy names it."""
    declared = set()
    for module in _modules(gridcord.api.__path__[0]):
        declared |= {service.full_name for service in services_of(module.DESCRIPTOR)}
    named = {s.full_name for _, files in PROGRAMS.values() for s in services(files)}
    assert declared == named


def _modules(folder: str) -> list[Any]:
    root = Path(folder)
    files = sorted(root.rglob("*_pb2.py"))
    names = [".".join(file.relative_to(root).with_suffix("").parts) for file in files]
    assert names
    return [import_module(f"gridcord.api.{name}") for name in names]


@dataclass(frozen=True)
class Caller:
    kind: Kind
    role: Role | None = None

    @property
    def name(self) -> str:
        return self.role.value if self.role else self.kind.value


CALLERS = [
    *(Caller(kind) for kind in Kind if kind is not Kind.OPERATOR),
    *(Caller(Kind.OPERATOR, role) for role in Role),
]
METHODS = sorted(methods_of(services(MANAGER_FILES)))
INTERNALS = re.compile(r"Traceback|File \"|\.py\b|sqlalchemy|sqlite|psycopg|SELECT|0x[0-9a-f]{6}")


def assert_tells_nothing(failure: Failure) -> None:
    assert not INTERNALS.search(failure.message), failure.message


async def outcome(channel: grpc.aio.Channel, method: str) -> Failure | None:
    """What an empty call of a method ends with; None when it was answered."""
    stub: Any = channel.unary_stream(method)  # on the wire as any call that sends one message
    call = stub(b"")

    async def first() -> bytes:
        answer: bytes = await call.read()
        return answer

    try:
        return await refused(first())
    except (AssertionError, TimeoutError):
        return None
    finally:
        call.cancel()


UNARY_METHODS = [m for m in METHODS if "Watch" not in m]


@pytest.mark.parametrize("caller", CALLERS, ids=lambda caller: caller.name)
def test_over_the_wire_everybody_may_what_the_table_says_and_nothing_else(
    manager: ManagerProcess, caller: Caller
) -> None:
    """Whoever is not granted a method gets NOT_PERMITTED and is noted; whoever is never gets it."""

    async def scenario() -> None:
        refused_methods = set()
        name = f"probe-{caller.name}"
        principal = Principal(domain=DOMAIN, kind=caller.kind, id=name, role=caller.role)
        files = manager.identity(caller.kind, name, caller.role)
        async with manager.channel(files) as channel:
            for method in METHODS:
                permitted = MANAGER.permits(principal, method)
                if permitted and "Watch" in method:
                    continue  # it would be answered by a heartbeat only
                failure = await outcome(channel, method)
                refusal = failure is not None and failure.reason == "NOT_PERMITTED"
                assert refusal is not permitted, (caller.name, method, failure)
                if refusal:
                    assert failure is not None
                    assert failure.code is grpc.StatusCode.PERMISSION_DENIED
                    assert_tells_nothing(failure)
                    refused_methods.add(method)
        noted = await noted_of(manager, principal, lambda found: len(found) == len(refused_methods))
        assert {(entry.action, entry.subject) for entry in noted} == {
            ("NOT_PERMITTED", method) for method in refused_methods
        }

    asyncio.run(scenario())


async def noted_of(
    manager: ManagerProcess, principal: Principal, wanted: Callable[[list[Any]], bool]
) -> list[Any]:
    """What the audit log says of somebody, once it says enough."""
    async with tools(manager) as admin:

        async def look() -> list[Any]:
            entries = await listed(admin.audit_entries())
            return [entry for entry in entries if entry.actor == principal.path]

        return await eventually(look, wanted)


def test_trying_again_and_again_does_not_fill_the_audit_log(manager: ManagerProcess) -> None:
    async def scenario() -> None:
        principal = Principal(domain=DOMAIN, kind=Kind.CABLE, id="stubborn")
        method = "/gridcord.api.manager.v1.TransferService/ListTransfers"
        async with manager.channel(manager.identity(Kind.CABLE, "stubborn")) as channel:
            for _ in range(50):
                assert (await outcome(channel, method)) is not None
        noted = await noted_of(manager, principal, lambda found: len(found) >= 1)
        assert [(entry.action, entry.subject) for entry in noted] == [("NOT_PERMITTED", method)]

    asyncio.run(scenario())


def test_without_a_certificate_nobody_gets_as_far_as_a_call(manager: ManagerProcess) -> None:
    async def scenario() -> None:
        roots = manager.identity(Kind.OPERATOR, "probe", Role.ADMIN).roots.read_bytes()
        credentials = grpc.ssl_channel_credentials(roots)
        expect = server_name(Kind.MANAGER, DOMAIN)
        async with open_channel(manager.address, credentials=credentials, expect=expect) as channel:
            for method in UNARY_METHODS:
                failure = await outcome(channel, method)
                assert failure is not None
                assert failure.code is grpc.StatusCode.UNAVAILABLE
                assert_tells_nothing(failure)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("act", "role"),
    [
        (lambda c: c.block(new_site(), Permission.NONE, "why"), Role.VIEWER),
        (lambda c: c.lift(new_site(), "why"), Role.VIEWER),
        (lambda c: c.prove(new_site(), "why"), Role.VIEWER),
        (lambda c: c.end_session("cable-1", "why"), Role.VIEWER),
        (lambda c: listed(c.audit_entries()), Role.VIEWER),
        (lambda c: listed(c.audit_entries()), Role.OPERATOR),
    ],
    ids=[
        "viewer-block", "viewer-lift", "viewer-prove", "viewer-end", "viewer-audit",
        "operator-audit",
    ],
)  # fmt: skip
def test_a_role_that_is_too_low_decides_nothing(
    manager: ManagerProcess, act: Callable[[Any], Any], role: Role
) -> None:
    async def scenario() -> None:
        async with tools(manager) as admin, tools(manager, role) as client:
            before = len(await listed(admin.blocks(include_ended=True)))
            failure = await refused(act(client))
            assert failure.reason == "NOT_PERMITTED"
            assert len(await listed(admin.blocks(include_ended=True))) == before

    asyncio.run(scenario())


def test_a_driver_sees_its_own_and_never_anothers(manager: ManagerProcess) -> None:
    async def scenario() -> None:
        mine, other = RecordingCable(manager), RecordingCable(manager)
        for cable in (mine, other):
            await cable.deliver([cable.counted(past_period(), discharged_wh=100)])
        async with tools(manager, Role.VIEWER) as viewer:
            for cable in (mine, other):
                await eventually(
                    lambda name=cable.name: listed(viewer.transfers(cable_id=name)),  # type: ignore[misc]
                    lambda found: len(found) == 1,
                )
            everybody = await listed(viewer.earnings())
            assert {mine.driver_id, other.driver_id} <= {t.driver_id for t in everybody}
        async with tools(manager, driver=mine.driver_id) as driver:
            for asked in ("", mine.driver_id):
                own = await listed(driver.earnings(driver_id=asked))
                assert [t.driver_id for t in own] == [mine.driver_id]
            for call in (
                listed(driver.earnings(driver_id=other.driver_id)),
                anext(driver.watch_notices("0", driver_id=other.driver_id)),
            ):
                failure = await refused(call)
                assert (failure.code, failure.reason) == (
                    grpc.StatusCode.PERMISSION_DENIED,
                    "OTHER_DRIVER",
                )
                assert_tells_nothing(failure)
            assert (await refused(listed(driver.transfers()))).reason == "NOT_PERMITTED"

    asyncio.run(scenario())


def test_a_cable_that_names_another_is_refused_and_noted(manager: ManagerProcess) -> None:
    async def scenario() -> None:
        thief, victim = HandCable(manager), HandCable(manager)
        async with thief.stream() as call:
            await call.write(thief.hello(cable_id=victim.name))
            failure = await refused(call.read())
        assert (failure.code, failure.reason) == (
            grpc.StatusCode.PERMISSION_DENIED,
            "IDENTITY_MISMATCH",
        )
        assert_tells_nothing(failure)
        async with tools(manager) as client:
            entries = await listed(client.audit_entries())
            sessions = await listed(client.sessions(include_ended=True))
        (noted,) = [entry for entry in entries if entry.actor == f"cable/{thief.name}"]
        assert (noted.action, noted.subject) == ("IDENTITY_MISMATCH", victim.name)
        assert not {thief.name, victim.name} & {session.cable_id for session in sessions}

    asyncio.run(scenario())


def test_a_resource_that_names_another_is_refused_and_noted(manager: ManagerProcess) -> None:
    async def scenario() -> None:
        files = manager.identity(Kind.RESOURCE, "thief-of-names")
        async with manager.channel(files) as channel:
            call: Any = ResourceSessionServiceStub(channel).Dispatch()
            hello = resource_session_service_pb2.ResourceHello(
                resource_id="vehicle-of-another",
                kind=resource_session_service_pb2.RESOURCE_KIND_VEHICLE,
                capacity_wh=1,
            )
            await call.write(resource_session_service_pb2.DispatchRequest(hello=hello))
            failure = await refused(call.read())
        assert failure.reason == "IDENTITY_MISMATCH"
        assert_tells_nothing(failure)
        async with tools(manager) as client:
            entries = await listed(client.audit_entries())
        (noted,) = [entry for entry in entries if entry.actor == "resource/thief-of-names"]
        assert (noted.action, noted.subject) == ("IDENTITY_MISMATCH", "vehicle-of-another")

    asyncio.run(scenario())


def test_a_cable_cannot_write_into_anothers_journal(manager: ManagerProcess) -> None:
    """The key of an entry is the session's, whatever a fiscal record says: the lie is set apart."""

    async def scenario() -> None:
        thief, victim = RecordingCable(manager), RecordingCable(manager)
        own_name, thief.name = thief.name, CableId(victim.name)
        stolen = thief.signed(thief.counted(past_period(), discharged_wh=600))
        thief.name = own_name
        await thief.deliver([stolen, thief.counted(past_period(1), discharged_wh=1)])
        async with tools(manager) as client:
            await eventually(
                lambda: listed(client.transfers(cable_id=thief.name)), lambda found: len(found) == 1
            )
            assert await listed(client.transfers(cable_id=victim.name)) == []
            entries = await listed(client.audit_entries())
        (noted,) = [entry for entry in entries if entry.actor == f"cable/{thief.name}"]
        assert noted.action == "FISCAL_RECORD_DIFFERS"

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "ask",
    [
        lambda c: c.site("a\x00b"),
        lambda c: listed(c.transfers(site_id="a\x00b")),
        lambda c: listed(c.transfers(driver_id="\N{SNOWMAN}" * 5000)),
        lambda c: c.end_session("a\x00b", "why"),
        lambda c: c.lift("obis:1'; DROP TABLE audit; --", "why"),
    ],
)
def test_whatever_a_tool_sends_no_internals_come_back(
    manager: ManagerProcess, ask: Callable[[Any], Any]
) -> None:
    async def scenario() -> None:
        async with tools(manager) as client:
            try:
                await asyncio.wait_for(ask(client), 30)
            except grpc.aio.AioRpcError as error:
                assert_tells_nothing(failure_of(error))
            assert await listed(client.audit_entries(limit=1)) is not None

    asyncio.run(scenario())
