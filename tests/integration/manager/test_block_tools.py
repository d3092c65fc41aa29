"""Blocks that people decide, over the tool services of a real manager process."""

from __future__ import annotations

import asyncio
import time
import uuid
from typing import Any

import grpc
import pytest

from gridcord.api.manager.v1 import site_block_service_pb2 as pb
from gridcord.api.manager.v1.site_block_service_pb2_grpc import SiteBlockServiceStub
from gridcord.api.types.v1 import types_pb2
from gridcord.chassis.identity import Kind, Role
from gridcord.evidence.audit_chain import AuditEntry, first_break
from gridcord.metering.reading import Permission
from tests.integration.manager.conftest import ManagerProcess
from tests.integration.manager.recording import (
    RecordingCable,
    eventually,
    listed,
    new_site,
    read_until,
    refused,
    tools,
)

ACTS_WITHIN_S = 2.0  # the promise: a block reaches a connected cable within it


def test_a_block_is_made_listed_lifted_and_stays_on_record(manager: ManagerProcess) -> None:
    async def scenario() -> None:
        site = new_site()
        async with tools(manager, Role.OPERATOR) as client:
            made = await client.block(site, Permission.CHARGE_ONLY, " the host asked for it ")
            assert (made.site_id, made.reason) == (site, "the host asked for it")
            assert made.permission == types_pb2.PERMISSION_CHARGE_ONLY
            assert made.cause == pb.BLOCK_CAUSE_OPERATOR
            assert made.state == pb.BLOCK_STATE_ACTIVE
            assert made.created_by == "operator/operator/operator-1"
            assert await listed(client.blocks(site_id=site)) == [made]
            lifted = await client.lift(site, "the host agrees")
            assert (lifted.block_number, lifted.state) == (
                made.block_number,
                pb.BLOCK_STATE_LIFTED,
            )
            assert lifted.lift_reason == "the host agrees"
            assert await listed(client.blocks(site_id=site)) == []
            assert await listed(client.blocks(site_id=site, include_ended=True)) == [lifted]

    asyncio.run(scenario())


def test_every_refusal_has_its_reason(manager: ManagerProcess) -> None:
    async def scenario() -> None:
        blocked, free = new_site(), new_site()
        async with tools(manager, Role.OPERATOR) as client:
            await client.block(blocked, Permission.NONE, "first")
            calls = {
                "SITE_ALREADY_BLOCKED": client.block(blocked, Permission.CHARGE_ONLY, "again"),
                "PERMISSION_INVALID": client.block(free, Permission.BIDIRECTIONAL, "nothing"),
                "SITE_ID_INVALID": client.block("no site", Permission.NONE, "why"),
                "SITE_NOT_BLOCKED": client.lift(free, "why"),
                "NO_CABLE_CONNECTED": client.prove(free, "why"),
            }
            codes = {reason: await refused(call) for reason, call in calls.items()}
            assert {told.reason for told in codes.values()} == set(calls)
            assert codes["SITE_ALREADY_BLOCKED"].code is grpc.StatusCode.ALREADY_EXISTS
            assert codes["SITE_NOT_BLOCKED"].code is grpc.StatusCode.NOT_FOUND
            assert codes["NO_CABLE_CONNECTED"].code is grpc.StatusCode.FAILED_PRECONDITION
            for nothing in ("", "  \t"):
                for call in (
                    client.block(free, Permission.NONE, nothing),
                    client.lift(blocked, nothing),
                    client.prove(blocked, nothing),
                ):
                    failure = await refused(call)
                    assert failure.reason == "REASON_REQUIRED"
                    assert failure.code is grpc.StatusCode.INVALID_ARGUMENT
            assert await listed(client.blocks(site_id=free)) == []
            other = await refused(client.lift(blocked, "why", cable_id="cable-1"))
            assert other.reason == "SITE_NOT_BLOCKED"  # the block is of the whole site

    asyncio.run(scenario())


def test_a_proof_needs_readings_and_a_vehicle(manager: ManagerProcess) -> None:
    async def scenario() -> None:
        cable = RecordingCable(manager)
        async with cable.session(can_prove_actively=True), tools(manager) as client:
            failure = await refused(client.prove(cable.site_id, "show it"))
        assert failure.reason == "PROOF_NOT_POSSIBLE"
        assert failure.code is grpc.StatusCode.FAILED_PRECONDITION

    asyncio.run(scenario())


def test_the_same_request_twice_makes_one_block(manager: ManagerProcess) -> None:
    async def scenario() -> None:
        site, request_id = new_site(), str(uuid.uuid4())
        async with tools(manager, Role.OPERATOR) as client:
            first = await client.block(site, Permission.NONE, "why", request_id=request_id)
            again = await client.block(site, Permission.NONE, "why", request_id=request_id)
            assert first == again
            assert len(await listed(client.blocks(site_id=site, include_ended=True))) == 1

    asyncio.run(scenario())


def test_a_block_runs_out_by_itself_only_in_time(manager: ManagerProcess) -> None:
    async def scenario() -> None:
        site, until = new_site(), int(time.time()) + 3600
        async with tools(manager, Role.OPERATOR) as client:
            made = await client.block(site, Permission.NONE, "an hour", expire_s=until)
            assert made.expire_time.seconds == until
            assert [b.block_number for b in await listed(client.blocks(site_id=site))] == [
                made.block_number
            ]

    asyncio.run(scenario())


@pytest.mark.parametrize("page_size", [1, 2, 5, 6])
def test_pages_of_blocks_are_complete_and_newest_first(
    manager: ManagerProcess, page_size: int
) -> None:
    async def scenario() -> None:
        site = new_site()
        async with tools(manager, Role.OPERATOR) as client:
            for number in range(5):
                await client.block(site, Permission.NONE, f"number {number}")
                await client.lift(site, "again")
        files = manager.identity(Kind.OPERATOR, "viewer-1", Role.VIEWER)
        async with manager.channel(files) as channel:
            stub: Any = SiteBlockServiceStub(channel)
            request = pb.ListSiteBlocksRequest(
                site_id=site, include_ended=True, page_size=page_size
            )
            reasons = []
            while True:
                page = await stub.ListSiteBlocks(request)
                reasons += [block.reason for block in page.site_blocks]
                if not page.next_page_token:
                    break
                request.page_token = page.next_page_token
        assert reasons == [f"number {number}" for number in (4, 3, 2, 1, 0)]

    asyncio.run(scenario())


def test_blocks_with_long_reasons_come_in_more_pages(manager: ManagerProcess) -> None:
    async def scenario() -> None:
        site = new_site()
        async with tools(manager, Role.OPERATOR) as client:
            for _ in range(10):
                await client.block(site, Permission.NONE, "x" * 16_000)
                await client.lift(site, "again")
            found = await listed(client.blocks(site_id=site, include_ended=True))
            assert len({block.block_number for block in found}) == 10
            failure = await refused(client.block(site, Permission.NONE, "x" * 16_001))
            assert (failure.reason, failure.field) == ("FIELD_INVALID", "reason")

    asyncio.run(scenario())


def test_a_block_and_its_end_reach_a_connected_cable_at_once(manager: ManagerProcess) -> None:
    async def scenario() -> None:
        cable = RecordingCable(manager)
        async with cable.session() as (call, welcome), tools(manager, Role.OPERATOR) as client:
            assert welcome.directive.permission == types_pb2.PERMISSION_BIDIRECTIONAL
            began = time.monotonic()
            await client.block(cable.site_id, Permission.CHARGE_ONLY, "why")
            told = await read_until(
                call,
                lambda m: m.directive.permission == types_pb2.PERMISSION_CHARGE_ONLY,
            )
            assert time.monotonic() - began < ACTS_WITHIN_S
            assert told.directive.reason == "OPERATOR"
            assert told.directive.fence == welcome.fence
            assert told.directive.version > welcome.directive.version
            began = time.monotonic()
            await client.lift(cable.site_id, "enough")
            free = await read_until(
                call,
                lambda m: m.directive.permission == types_pb2.PERMISSION_BIDIRECTIONAL,
            )
            assert time.monotonic() - began < ACTS_WITHIN_S
            assert free.directive.reason == ""

    asyncio.run(scenario())


def test_the_driver_who_is_there_is_told_and_nobody_else(manager: ManagerProcess) -> None:
    async def scenario() -> None:
        cable, elsewhere = RecordingCable(manager), RecordingCable(manager)
        async with (
            cable.session(),
            elsewhere.session(),
            tools(manager, Role.OPERATOR) as operator,
            tools(manager, driver=cable.driver_id) as driver,
            tools(manager, driver=elsewhere.driver_id) as other,
        ):
            await operator.block(cable.site_id, Permission.NONE, "the meter is being changed")
            await operator.lift(cable.site_id, "it was changed")
            watch = driver.watch_notices("0")
            async with asyncio.timeout(30):
                told = [(await anext(watch)).notice for _ in range(2)]
            assert [(n.reason, n.text) for n in told] == [
                ("SITE_BLOCKED", "the meter is being changed"),
                ("BLOCK_LIFTED", "it was changed"),
            ]
            assert {(n.driver_id, n.site_id) for n in told} == {(cable.driver_id, cable.site_id)}
            assert told[0].permission == types_pb2.PERMISSION_NONE
            # The first notice that reaches the other driver is of a later block of its own site.
            await operator.block(elsewhere.site_id, Permission.NONE, "here too")
            async with asyncio.timeout(30):
                theirs = (await anext(other.watch_notices("0"))).notice
            assert theirs.text == "here too"

    asyncio.run(scenario())


def test_the_audit_log_holds_every_decision_and_its_chain_holds(manager: ManagerProcess) -> None:
    async def scenario() -> None:
        site = new_site()
        async with tools(manager) as client:
            await client.block(site, Permission.NONE, "why")
            await client.lift(site, "why not")
            entries = await eventually(
                lambda: listed(client.audit_entries()), lambda found: len(found) > 1
            )
        about = [(e.action, e.actor) for e in entries if e.subject == site]
        assert about == [
            ("SITE_BLOCKED", "operator/admin/admin-1"),
            ("SITE_BLOCK_LIFTED", "operator/admin/admin-1"),
        ]
        chain = [
            AuditEntry(
                number=e.audit_number,
                at_s=e.create_time.seconds,
                actor=e.actor,
                action=e.action,
                subject=e.subject,
                detail=e.detail,
                chain_hash=e.chain_hash,
            )
            for e in entries
        ]
        assert first_break(chain) is None
        assert first_break(chain[:1] + chain[2:]) is not None

    asyncio.run(scenario())
