"""Sessions, sites and resources, over the tool services of a real manager process."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import grpc
import pytest

from gridcord.api.manager.v1 import cable_session_service_pb2 as cable_pb
from gridcord.api.manager.v1 import fleet_service_pb2 as pb
from gridcord.api.manager.v1 import resource_session_service_pb2 as resource_pb
from gridcord.api.manager.v1.fleet_service_pb2_grpc import FleetServiceStub
from gridcord.api.manager.v1.resource_session_service_pb2_grpc import ResourceSessionServiceStub
from gridcord.api.types.v1 import types_pb2
from gridcord.chassis.identity import Kind, Role
from gridcord.metering.reading import Permission, Verdict
from gridcord.metering.records import SiteObservation
from gridcord.metering.verdict import StatedMatch
from gridcord.wire.values import time_to_proto
from tests.integration.manager.conftest import ManagerProcess
from tests.integration.manager.recording import (
    WITHIN_S,
    RecordingCable,
    acked,
    eventually,
    listed,
    past_period,
    read_until,
    refused,
    tools,
)


def test_a_session_is_told_with_what_the_cable_observes(manager: ManagerProcess) -> None:
    async def scenario() -> None:
        cable = RecordingCable(manager)
        async with cable.session() as (call, welcome), tools(manager, Role.VIEWER) as client:
            observed = cable_pb.Observed(power_w=-1480, permission=types_pb2.PERMISSION_NONE)
            await call.write(cable_pb.ConnectRequest(observed=observed))
            (session,) = await eventually(
                lambda: listed(client.sessions(site_id=cable.site_id)),
                lambda found: found[0].HasField("power_w"),
            )
            assert (session.cable_id, session.driver_id) == (cable.name, cable.driver_id)
            assert (session.fence, session.power_w) == (welcome.fence, -1480)
            assert session.permission == types_pb2.PERMISSION_BIDIRECTIONAL
            assert not session.HasField("end_time")
        async with tools(manager, Role.VIEWER) as client:
            await eventually(
                lambda: listed(client.sessions(site_id=cable.site_id)), lambda found: not found
            )
            (ended,) = await listed(client.sessions(site_id=cable.site_id, include_ended=True))
            assert ended.HasField("end_time")
            assert ended.permission_reason == "NOT_CONNECTED"

    asyncio.run(scenario())


@pytest.mark.parametrize("page_size", [1, 2, 4])
def test_sessions_of_one_second_are_all_told(manager: ManagerProcess, page_size: int) -> None:
    async def scenario() -> None:
        cable = RecordingCable(manager)
        fences = []
        for _ in range(3):  # a cable that comes back at once: all within one second
            async with cable.session() as (_, welcome):
                fences.append(welcome.fence)
        files = manager.identity(Kind.OPERATOR, "viewer-1", Role.VIEWER)
        async with manager.channel(files) as channel:
            stub: Any = FleetServiceStub(channel)
            request = pb.ListCableSessionsRequest(
                site_id=cable.site_id, include_ended=True, page_size=page_size
            )
            told = []
            while True:
                page = await stub.ListCableSessions(request)
                told += [session.fence for session in page.sessions]
                if not page.next_page_token:
                    break
                request.page_token = page.next_page_token
        assert told == sorted(fences, reverse=True)

    asyncio.run(scenario())


def test_ending_a_session_reaches_the_cable_and_is_audited(manager: ManagerProcess) -> None:
    async def scenario() -> None:
        cable = RecordingCable(manager)
        async with cable.session() as (call, _), tools(manager) as client:
            await client.end_session(cable.name, "the host goes to bed")
            told = await read_until(call, lambda m: m.WhichOneof("message") == "end")
            assert told.end.reason == cable_pb.EndSession.REASON_REQUESTED
            # As patent S808 wants it: the running part is sent, then the session is closed.
            await call.write(cable.next_entry(cable.counted(past_period(), discharged_wh=10)))
            await acked(call, 1)
            await call.done_writing()
            async with asyncio.timeout(WITHIN_S):
                while await call.read() is not grpc.aio.EOF:
                    pass
            assert await call.code() is grpc.StatusCode.OK
            entries = await listed(client.audit_entries())
        (noted,) = [e for e in entries if e.subject == f"cable/{cable.name}"]
        assert (noted.action, noted.actor) == ("SESSION_ENDED", "operator/admin/admin-1")
        assert "the host goes to bed" in noted.detail

    asyncio.run(scenario())


def test_a_session_that_is_not_there_cannot_be_ended(manager: ManagerProcess) -> None:
    async def scenario() -> None:
        async with tools(manager, Role.OPERATOR) as client:
            failure = await refused(client.end_session("cable-of-nobody", "why"))
            assert (failure.code, failure.reason) == (
                grpc.StatusCode.NOT_FOUND,
                "SESSION_NOT_FOUND",
            )
            assert (await refused(client.end_session("cable-of-nobody", ""))).reason == (
                "REASON_REQUIRED"
            )

    asyncio.run(scenario())


def test_a_site_adds_up_what_its_cables_moved(manager: ManagerProcess) -> None:
    async def scenario() -> None:
        one = RecordingCable(manager)
        other = RecordingCable(manager, site_id=one.site_id)
        await one.deliver([one.counted(past_period(), charged_wh=300)])
        await other.deliver([other.counted(past_period(), charged_wh=20, discharged_wh=500)])
        async with tools(manager, Role.OPERATOR) as client:
            site = await eventually(
                lambda: first_site(client, one.site_id),
                lambda found: found is not None and found.vehicle_to_site_wh > 0,
            )
            assert site is not None
            assert (site.site_to_vehicle_wh, site.vehicle_to_site_wh) == (320, 500)
            assert site.permission == types_pb2.PERMISSION_BIDIRECTIONAL
            await client.block(one.site_id, Permission.CHARGE_TO_SOC, "a festival")
            blocked = await client.site(one.site_id)
            assert blocked.permission == types_pb2.PERMISSION_CHARGE_TO_SOC
            assert blocked.site_block.reason == "a festival"
            ids = [each.site_id for each in await listed(client.sites())]
            assert ids == sorted(set(ids))
            assert one.site_id in ids
            assert (await refused(client.site("obis:00"))).reason == "SITE_NOT_FOUND"

    async def first_site(client: Any, site_id: str) -> pb.Site | None:
        found = [site for site in await listed(client.sites()) if site.site_id == site_id]
        return found[0] if found else None

    asyncio.run(scenario())


def test_a_mismatch_that_a_cable_states_is_told_to_its_driver_and_blocks_nothing(
    manager: ManagerProcess,
) -> None:
    async def scenario() -> None:
        cable = RecordingCable(manager)
        period = past_period()
        match = StatedMatch(
            verdict=Verdict.MISMATCHED,
            reason="RESIDUAL_TOO_LARGE",
            sentence="the meter saw 0 Wh of 700 Wh",
            expected_change_wh=-700,
            observed_change_wh=0,
            uncertainty_wh=50,
            evidence_nats=12.0,
        )
        observation = SiteObservation(
            period=period,
            site_id=cable.site_id,
            readings=(),
            transferred_wh=-700,
            match=match,
        )
        async with tools(manager, driver=cable.driver_id) as driver, tools(manager) as operator:
            await cable.deliver([cable.counted(period, discharged_wh=700), observation])
            async with asyncio.timeout(WITHIN_S):
                notice = (await anext(driver.watch_notices("0"))).notice
            assert (notice.reason, notice.text) == ("METER_MISMATCH", match.sentence)
            assert notice.period.start_time.seconds == period.start_s
            (transfer,) = await listed(operator.transfers(cable_id=cable.name))
            assert transfer.cable_match.verdict == types_pb2.MATCH_VERDICT_MISMATCHED
            assert transfer.cable_match.expected_change_wh == -700
            assert await listed(operator.blocks(site_id=cable.site_id)) == []

    asyncio.run(scenario())


def test_a_text_that_no_database_takes_stops_nobody(manager: ManagerProcess) -> None:
    """A cable may sign what it likes; NUL in a text must not jam those behind it."""

    async def scenario() -> None:
        cable = RecordingCable(manager)
        poison = SiteObservation(
            period=past_period(),
            site_id=cable.site_id,
            readings=(),
            transferred_wh=0,
            match=StatedMatch(verdict=Verdict.MISMATCHED, reason="R", sentence="a\x00b"),
        )
        await cable.deliver([poison, cable.counted(past_period(1), discharged_wh=5)])
        async with tools(manager) as client:
            await eventually(
                lambda: listed(client.transfers(cable_id=cable.name)),
                lambda found: len(found) == 1,
            )
            entries = await listed(client.audit_entries())
        assert [e.action for e in entries if e.actor == f"cable/{cable.name}"] == ["BODY_INVALID"]

    asyncio.run(scenario())


@pytest.mark.parametrize("cabled", [True, False], ids=["on a cable", "on none"])
def test_a_resource_is_told_with_its_telemetry(manager: ManagerProcess, cabled: bool) -> None:
    async def scenario() -> None:
        cable = RecordingCable(manager)
        resource_id = f"vehicle-at-{cable.name}"
        files = manager.identity(Kind.RESOURCE, resource_id)
        async with (
            cable.session(),
            manager.channel(files) as channel,
            tools(manager, Role.OPERATOR) as client,
        ):
            call: Any = ResourceSessionServiceStub(channel).Dispatch()
            hello = resource_pb.ResourceHello(
                kind=resource_pb.RESOURCE_KIND_VEHICLE,
                cable_id=cable.name if cabled else "",
                site_id="" if cabled else cable.site_id,
                capacity_wh=40_000,
            )
            await call.write(resource_pb.DispatchRequest(hello=hello))
            response = await asyncio.wait_for(call.read(), WITHIN_S)
            assert response.welcome.fence > 0
            telemetry = resource_pb.Telemetry(
                measure_time=time_to_proto(time.time()),
                transfer_permitted=True,
                power_w=-1200,
                charge_limit_w=1500,
                discharge_limit_w=1400,
                state_of_charge_percent=61.5,
            )
            await call.write(resource_pb.DispatchRequest(telemetry=telemetry))
            told = await eventually(
                lambda: own_resource(client, resource_id),
                lambda found: (
                    found is not None
                    and found.HasField("telemetry")
                    and found.permission == types_pb2.PERMISSION_BIDIRECTIONAL
                ),
            )
            assert told is not None
            assert told.telemetry == telemetry
            assert told.kind == resource_pb.RESOURCE_KIND_VEHICLE
            assert told.cable_id == hello.cable_id
            await client.block(cable.site_id, Permission.CHARGE_ONLY, "why")
            await eventually(
                lambda: own_resource(client, resource_id),
                lambda found: (
                    found is not None and found.permission == types_pb2.PERMISSION_CHARGE_ONLY
                ),
            )
            call.cancel()
            await eventually(lambda: own_resource(client, resource_id), lambda found: not found)

    async def own_resource(client: Any, resource_id: str) -> pb.Resource | None:
        found = [
            each for each in await listed(client.resources()) if each.resource_id == resource_id
        ]
        return found[0] if found else None

    asyncio.run(scenario())


def test_demand_of_an_idle_fleet_is_an_empty_list(manager: ManagerProcess) -> None:
    async def scenario() -> None:
        async with tools(manager, Role.VIEWER) as client:
            assert [r for r in await listed(client.demand()) if r.contracted_wh] == []
        files = manager.identity(Kind.OPERATOR, "viewer-1", Role.VIEWER)
        async with manager.channel(files) as channel:
            stub: Any = FleetServiceStub(channel)
            for call in (
                stub.ListDemand(pb.ListDemandRequest(page_token="x/y")),
                stub.ListCableSessions(pb.ListCableSessionsRequest(page_token="1/cable")),
            ):
                assert (await refused(call)).reason == "PAGE_TOKEN_INVALID"

    asyncio.run(scenario())
