"""What cables recorded, read back over the tool services of a real manager process."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import grpc
import pytest

from gridcord.api.manager.v1 import transfer_service_pb2 as pb
from gridcord.api.manager.v1.transfer_service_pb2_grpc import TransferServiceStub
from gridcord.chassis.identity import Kind, Role
from gridcord.clients.manager import FROM_FIRST, ManagerClient, Range
from gridcord.evidence import ocmf
from gridcord.metering.records import TransferRecord
from tests.integration.manager.conftest import ManagerProcess, running_manager
from tests.integration.manager.recording import (
    RecordingCable,
    eventually,
    listed,
    past_period,
    refused,
    tools,
)

USD_FIGURE_4: dict[str, object] = {
    "currency": "USD",
    "availability": "1",
    "proration": "WHOLE_PERIOD",
    "discharge_per_kwh": "0.20",
    "charge_per_kwh": "0.20",
}


PAY_UNREAD: dict[str, object] = {"pay_unread": True}  # the figure knows no meter that explains


@pytest.fixture(scope="module")
def figure_4(
    request: pytest.FixtureRequest,
    module_database_url: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[ManagerProcess]:
    """A manager that pays as the patent's figure 4 does; its ledger is its own."""
    url = request.getfixturevalue("postgres").url() if module_database_url else ""
    folder = tmp_path_factory.mktemp("figure-4")
    with running_manager(folder, url, tariff=USD_FIGURE_4, settlement=PAY_UNREAD) as process:
        yield process


async def transfers_of(client: ManagerClient, cable: RecordingCable) -> list[pb.Transfer]:
    return await listed(client.transfers(cable_id=cable.name))


async def arrived(client: ManagerClient, cable: RecordingCable, count: int) -> list[pb.Transfer]:
    """The transfers of a cable, once there are as many."""
    return await eventually(lambda: transfers_of(client, cable), lambda found: len(found) >= count)


def test_records_become_transfers_that_earn_as_figure_4_says(figure_4: ManagerProcess) -> None:
    rows = [  # Wh through the cable -> reward for being connected and for energy, micro-dollars
        (-750, 1_000_000, 150_000),
        (-1, 1_000_000, 200),
        (0, 1_000_000, 0),
        (450, 1_000_000, -90_000),
        (6000, 1_000_000, -1_200_000),
    ]

    async def scenario() -> None:
        cable = RecordingCable(figure_4, rated_power_w=15_000)
        records = [
            cable.counted(
                past_period(number), charged_wh=max(0, moved), discharged_wh=max(0, -moved)
            )
            for number, (moved, _, _) in enumerate(rows)
        ]
        await cable.deliver(records)
        async with tools(figure_4, Role.VIEWER) as client:
            found = await arrived(client, cable, len(rows))
        told = [
            (t.transferred_wh, t.earning.availability.amount_micros, t.earning.energy.amount_micros)
            for t in found
        ]
        assert told == rows
        assert {t.earning.energy.currency_code for t in found} == {"USD"}
        assert [t.key.sequence_number for t in found] == [1, 2, 3, 4, 5]
        assert {(t.site_id, t.driver_id) for t in found} == {(cable.site_id, cable.driver_id)}
        for transfer in found:  # what is told is what was signed
            key = ocmf.SoftwareSigner(cable.key).public_key_der
            fiscal = ocmf.verify(transfer.fiscal_record, key)
            assert fiscal.transfer.transferred_wh == transfer.transferred_wh

    asyncio.run(scenario())


def test_an_earlier_part_that_comes_late_moves_the_basic_reward_and_watchers_are_told(
    figure_4: ManagerProcess,
) -> None:
    async def scenario() -> None:
        cable = RecordingCable(figure_4)
        period = past_period()
        middle = period.start_s + 900
        late = cable.counted(period, discharged_wh=100, end_s=middle)
        first_to_come = cable.counted(period, discharged_wh=200, start_s=middle)
        async with tools(figure_4, Role.VIEWER) as client:
            watch = client.watch_transfers(FROM_FIRST)
            await cable.deliver([first_to_come])
            assert (await own(watch, cable)).earning.availability.amount_micros == 1_000_000
            await cable.deliver([late])
            told = [await own(watch, cable), await own(watch, cable)]
            paid = {
                t.key.sequence_number: t.earning.availability.amount_micros
                for t in sorted(told, key=lambda t: t.update_time.seconds)
            }
            assert paid == {1: 0, 2: 1_000_000}

    asyncio.run(scenario())


async def own(watch: Any, cable: RecordingCable) -> pb.Transfer:
    """The next transfer of a cable that a watch tells."""
    async with asyncio.timeout(30):
        async for told in watch:
            if told.HasField("transfer") and told.transfer.key.cable_id == cable.name:
                transfer: pb.Transfer = told.transfer
                return transfer
    raise AssertionError("the watch ended")


@pytest.mark.parametrize("page_size", [1, 3, 7, 8])
def test_pages_lose_nothing_and_tell_nothing_twice(manager: ManagerProcess, page_size: int) -> None:
    async def scenario() -> None:
        cable = RecordingCable(manager)
        await cable.deliver([cable.counted(past_period(n), charged_wh=n) for n in range(7)])
        async with tools(manager, Role.VIEWER) as client:
            await arrived(client, cable, 7)
        files = manager.identity(Kind.OPERATOR, "viewer-1", Role.VIEWER)
        async with manager.channel(files) as channel:
            stub: Any = TransferServiceStub(channel)
            request = pb.ListTransfersRequest(cable_id=cable.name, page_size=page_size)
            sizes, sequences = [], []
            while True:
                page = await stub.ListTransfers(request)
                sizes.append(len(page.transfers))
                sequences += [t.key.sequence_number for t in page.transfers]
                if not page.next_page_token:
                    break
                request.page_token = page.next_page_token
        assert sequences == [1, 2, 3, 4, 5, 6, 7]
        assert all(size == page_size for size in sizes[:-1])

    asyncio.run(scenario())


def test_a_page_never_outgrows_a_message(manager: ManagerProcess) -> None:
    count = 300  # with their fiscal records more than a client takes at once

    async def scenario() -> None:
        cable = RecordingCable(manager)
        await cable.deliver([cable.counted(past_period(n - count)) for n in range(count)])
        async with tools(manager, Role.VIEWER) as client:
            found = await arrived(client, cable, count)
        assert [t.key.sequence_number for t in found] == list(range(1, count + 1))
        assert sum(t.ByteSize() for t in found) > 256 * 1024

    asyncio.run(scenario())


def test_filters_hold_together(manager: ManagerProcess) -> None:
    async def scenario() -> None:
        one = RecordingCable(manager)
        other = RecordingCable(manager, site_id=one.site_id)
        await one.deliver([one.counted(past_period(n)) for n in range(4)])
        await other.deliver([other.counted(past_period())])
        async with tools(manager, Role.VIEWER) as client:
            await arrived(client, one, 4)
            await arrived(client, other, 1)
            at_site = await listed(client.transfers(site_id=one.site_id))
            assert {t.key.cable_id for t in at_site} == {one.name, other.name}
            assert len(at_site) == 5
            middle = Range(start_s=past_period(1).start_s, end_s=past_period(3).start_s)
            within = await listed(client.transfers(site_id=one.site_id, within=middle))
            assert [t.key.sequence_number for t in within] == [2, 3]
            driver = await listed(client.transfers(driver_id=other.driver_id))
            assert [t.key.cable_id for t in driver] == [other.name]
            assert len(await listed(client.transfers(site_id=one.site_id, limit=3))) == 3
            nobody = client.transfers(cable_id=one.name, driver_id=other.driver_id)
            assert await listed(nobody) == []

    asyncio.run(scenario())


def test_a_watch_that_lost_its_stream_goes_on_and_misses_nothing(
    manager: ManagerProcess,
) -> None:
    async def scenario() -> None:
        cable = RecordingCable(manager)
        async with tools(manager, Role.VIEWER) as client:
            watch = client.watch_transfers(FROM_FIRST)
            await cable.deliver([cable.counted(past_period(0))])
            first = await next_of(watch, cable)
            await watch.aclose()  # type: ignore[attr-defined]
        await cable.deliver([cable.counted(past_period(n)) for n in (1, 2)])  # meanwhile
        async with tools(manager, Role.VIEWER) as client:
            watch = client.watch_transfers(first.cursor)
            await cable.deliver([cable.counted(past_period(3))])
            told: list[pb.WatchTransfersResponse] = []
            while not {2, 3, 4} <= {each.transfer.key.sequence_number for each in told}:
                told.append(await next_of(watch, cable))  # one that changed is told again
            cursors = [int(each.cursor) for each in (first, *told)]
            assert cursors == sorted(set(cursors))

    asyncio.run(scenario())


async def next_of(watch: Any, cable: RecordingCable) -> pb.WatchTransfersResponse:
    async with asyncio.timeout(30):
        async for told in watch:
            if told.transfer.key.cable_id == cable.name:
                response: pb.WatchTransfersResponse = told
                return response
    raise AssertionError("the watch ended")


def test_a_watch_without_cursor_tells_what_comes_from_now_on(manager: ManagerProcess) -> None:
    async def scenario() -> None:
        cable = RecordingCable(manager)
        await cable.deliver([cable.counted(past_period(0))])
        async with tools(manager, Role.VIEWER) as client:
            await arrived(client, cable, 1)
            watch = client.watch_transfers()
            waiting = asyncio.ensure_future(next_of(watch, cable))
            async with cable.session() as (call, _):
                number = 1
                while not waiting.done():  # whatever is stored after the watch began
                    await call.write(cable.next_entry(cable.counted(past_period(number))))
                    number += 1
                    await asyncio.wait({waiting}, timeout=0.5)
            assert (await waiting).transfer.key.sequence_number > 1

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (pb.ListTransfersRequest(page_size=1001), "PAGE_SIZE_INVALID"),
        (pb.ListTransfersRequest(page_size=-1), "PAGE_SIZE_INVALID"),
        (pb.ListTransfersRequest(page_token="behind"), "PAGE_TOKEN_INVALID"),
        (pb.ListTransfersRequest(page_token="9" * 30), "PAGE_TOKEN_INVALID"),
        (pb.ListTransfersRequest(page_token="\N{ARABIC-INDIC DIGIT ONE}"), "PAGE_TOKEN_INVALID"),
    ],
)
def test_a_list_that_cannot_be_is_refused_with_its_reason(
    manager: ManagerProcess, request_: pb.ListTransfersRequest, reason: str
) -> None:
    async def scenario() -> None:
        files = manager.identity(Kind.OPERATOR, "viewer-1", Role.VIEWER)
        async with manager.channel(files) as channel:
            failure = await refused(TransferServiceStub(channel).ListTransfers(request_))
        assert (failure.code, failure.reason) == (grpc.StatusCode.INVALID_ARGUMENT, reason)

    asyncio.run(scenario())


def test_a_cursor_that_is_none_and_a_transfer_that_is_not_there(manager: ManagerProcess) -> None:
    async def scenario() -> None:
        files = manager.identity(Kind.OPERATOR, "viewer-1", Role.VIEWER)
        async with manager.channel(files) as channel:
            stub: Any = TransferServiceStub(channel)
            failure = await refused(
                stub.WatchTransfers(pb.WatchTransfersRequest(cursor="x")).read()
            )
            assert failure.reason == "CURSOR_INVALID"
            key = pb.TransferKey(cable_id="nobody", journal_epoch=2**64 - 1, sequence_number=1)
            failure = await refused(stub.GetTransfer(pb.GetTransferRequest(key=key)))
            assert failure.reason == "TRANSFER_NOT_FOUND"

    asyncio.run(scenario())


def test_get_and_list_tell_the_same(manager: ManagerProcess) -> None:
    async def scenario() -> None:
        cable = RecordingCable(manager)
        await cable.deliver([cable.counted(past_period(), discharged_wh=700)])
        async with tools(manager, Role.VIEWER) as client:
            (found,) = await arrived(client, cable, 1)
        files = manager.identity(Kind.OPERATOR, "viewer-1", Role.VIEWER)
        async with manager.channel(files) as channel:
            stub: Any = TransferServiceStub(channel)
            got = await stub.GetTransfer(pb.GetTransferRequest(key=found.key))
        assert got.transfer == found

    asyncio.run(scenario())


def forged(cable: RecordingCable, record: TransferRecord) -> TransferRecord:
    return cable.signed(record, signer=ocmf.SoftwareSigner.generate())


def differing(cable: RecordingCable, record: TransferRecord) -> TransferRecord:
    signed = cable.signed(record)
    return replace(signed, vehicle_to_site_end_wh=signed.vehicle_to_site_end_wh + 500)


def impossible(cable: RecordingCable, record: TransferRecord) -> TransferRecord:
    # 1500 W carry 750 Wh in half an hour, and a meter may err by a tenth
    return cable.signed(replace(record, vehicle_to_site_end_wh=1000))


def from_the_future(cable: RecordingCable, record: TransferRecord) -> TransferRecord:
    period = past_period(48 * 4)
    return cable.signed(replace(record, period=period, start_s=period.start_s, end_s=period.end_s))


def of_another_entry(cable: RecordingCable, record: TransferRecord) -> TransferRecord:
    cable.sequence += 1
    signed = cable.signed(record)
    cable.sequence -= 1
    return signed


@pytest.mark.parametrize(
    ("lie", "reason"),
    [
        (forged, "FISCAL_RECORD_INVALID"),
        (differing, "FISCAL_RECORD_DIFFERS"),
        (of_another_entry, "FISCAL_RECORD_DIFFERS"),
        (impossible, "ENERGY_IMPOSSIBLE"),
        (from_the_future, "FROM_THE_FUTURE"),
    ],
)
def test_what_is_not_believable_is_kept_apart_and_never_paid(
    manager: ManagerProcess, lie: Any, reason: str
) -> None:
    async def scenario() -> None:
        cable = RecordingCable(manager)
        lied = lie(cable, cable.counted(past_period(), discharged_wh=1))
        # An honest record behind it shows that the lie was looked at, and that it stops nobody.
        async with cable.session() as (call, _):
            await call.write(cable.next_entry(lied))
            await call.write(cable.next_entry(cable.counted(past_period(1), discharged_wh=9)))
            async with tools(manager) as client:
                (paid,) = await arrived(client, cable, 1)
                assert paid.key.sequence_number == 2
                earned = await listed(client.earnings(driver_id=cable.driver_id))
                assert [each.key.sequence_number for each in earned] == [2]
                noted = await listed(client.audit_entries())
        by_cable = [entry for entry in noted if entry.actor == f"cable/{cable.name}"]
        assert [entry.action for entry in by_cable] == [reason]
        assert by_cable[0].subject == f"{cable.name}/{cable.epoch:x}/1"
        assert by_cable[0].detail != "{}"

    asyncio.run(scenario())
