"""A cable that is driven by hand and writes believable records; waiting for what follows."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, TypeVar

import grpc

from gridcord.api.manager.v1 import cable_session_service_pb2 as pb
from gridcord.chassis.failures import Failure, failure_of
from gridcord.chassis.identity import Kind, Role
from gridcord.clients.manager import ManagerClient
from gridcord.evidence import ocmf
from gridcord.metering.records import JournalEntry, TransferRecord
from gridcord.units import CableId, Period, SiteId, parse_site_id
from tests.integration.manager.conftest import HandCable, ManagerProcess

WITHIN_S = 30
METER = ocmf.MeterIdentity(vendor="Eastron", model="SDM230", serial="1")
DAY_S = 86_400

Value = TypeVar("Value")
_sites = itertools.count(1)


def new_site() -> SiteId:
    """A site that no other test is at."""
    return parse_site_id(f"obis:45{next(_sites):012d}")


def past_period(number: int = 0) -> Period:
    """A half hour of the day before yesterday."""
    return Period.containing(time.time() - 2 * DAY_S).next(number)


class RecordingCable(HandCable):
    """Counts like a meter and signs what it counted.

    Args:
        manager: Whom it belongs to.
        site_id: Where it is plugged in; a new site if not said.
        driver_id: Whose it is; a new driver if not said.
        rated_power_w: Most it carries.
    """

    def __init__(
        self,
        manager: ManagerProcess,
        *,
        site_id: SiteId | None = None,
        driver_id: str = "",
        rated_power_w: int = 1500,
    ) -> None:
        super().__init__(manager)
        self.site_id = site_id or new_site()
        self.driver_id = driver_id or f"driver-of-{self.name}"
        self.rated_power_w = rated_power_w
        self.sequence = 0
        self.page = 0  # of fiscal records
        self._signer = ocmf.SoftwareSigner(self.key)
        self._charged_wh = self._discharged_wh = 0

    def introduction(self, **changes: object) -> pb.ConnectRequest:
        """A hello of this cable at its site."""
        own = {
            "site_meter_id": self.site_id,
            "driver_id": self.driver_id,
            "rated_power_w": self.rated_power_w,
            "next_sequence_number": self.sequence + 1,
        }
        return self.hello(**(own | changes))

    def counted(
        self,
        period: Period,
        *,
        charged_wh: int = 0,
        discharged_wh: int = 0,
        start_s: int | None = None,
        end_s: int | None = None,
    ) -> TransferRecord:
        """What its meter says of a period; not signed yet."""
        charged, discharged = self._charged_wh, self._discharged_wh
        self._charged_wh += charged_wh
        self._discharged_wh += discharged_wh
        return TransferRecord(
            period=period,
            start_s=period.start_s if start_s is None else start_s,
            end_s=period.end_s if end_s is None else end_s,
            site_to_vehicle_start_wh=charged,
            site_to_vehicle_end_wh=self._charged_wh,
            vehicle_to_site_start_wh=discharged,
            vehicle_to_site_end_wh=self._discharged_wh,
            site_id=self.site_id,
            driver_id=self.driver_id,
            vehicle_id="vehicle-1",
            boot_id="boot-1",
        )

    def signed(
        self, record: TransferRecord, *, signer: ocmf.Signer | None = None
    ) -> TransferRecord:
        """The record with the fiscal record of the next entry.

        Args:
            record: What was counted.
            signer: Of the fiscal record; the cable's own if not said.
        """
        fiscal = ocmf.FiscalRecord(
            cable_id=CableId(self.name),
            pagination=self.page + 1,
            journal_epoch=self.epoch,
            sequence_number=self.sequence + 1,
            meter=METER,
            firmware="0.1",
            transfer=record,
        )
        text = ocmf.sign(ocmf.payload_text(fiscal), signer or self._signer)
        return replace(record, fiscal_record=text)

    def next_entry(self, content: JournalEntry) -> pb.ConnectRequest:
        """The next entry of its journal; a record that bears no fiscal record is signed."""
        if isinstance(content, TransferRecord) and not content.fiscal_record:
            content = self.signed(content)
        self.page += isinstance(content, TransferRecord)
        self.sequence += 1
        return self.entry(self.sequence, content)

    @asynccontextmanager
    async def session(self, **changes: object) -> AsyncIterator[tuple[Any, pb.Welcome]]:
        """A session that is welcomed: its stream and the welcome."""
        async with self.stream() as call:
            await call.write(self.introduction(**changes))
            response: Any = await asyncio.wait_for(call.read(), WITHIN_S)
            assert response.WhichOneof("message") == "welcome"
            yield call, response.welcome

    async def deliver(self, contents: Iterable[JournalEntry]) -> None:
        """Send entries in a session of their own, until they are durable."""
        async with self.session() as (call, _):
            for content in contents:
                await call.write(self.next_entry(content))
            await acked(call, self.sequence)


async def acked(call: Any, sequence: int) -> None:
    """Read until entries are durable."""
    await read_until(call, lambda told: told.ack.committed_sequence_number >= sequence)


async def read_until(call: Any, wanted: Callable[[pb.ConnectResponse], bool]) -> pb.ConnectResponse:
    """The first message of the manager that is wanted."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            told: Any = await call.read()
            assert told is not grpc.aio.EOF, "the manager ended the session"
            if wanted(told):
                return told  # type: ignore[no-any-return]


async def refused(call: Awaitable[Any]) -> Failure:
    """The failure that a call ends with."""
    try:
        async with asyncio.timeout(WITHIN_S):
            answer = await call
    except grpc.aio.AioRpcError as error:
        return failure_of(error)
    raise AssertionError(f"it was not refused: {answer}")


async def eventually(
    look: Callable[[], Awaitable[Value]], wanted: Callable[[Value], bool]
) -> Value:
    """Look again until the answer is as wanted: what follows from the log follows soon."""
    async with asyncio.timeout(WITHIN_S):
        while not wanted(found := await look()):  # noqa: ASYNC110  (another process changes it)
            await asyncio.sleep(0.05)
        return found


@asynccontextmanager
async def tools(
    manager: ManagerProcess, role: Role = Role.ADMIN, *, driver: str = ""
) -> AsyncIterator[ManagerClient]:
    """A client with the certificate of an operator, or of a driver."""
    kind, name = (Kind.DRIVER, driver) if driver else (Kind.OPERATOR, f"{role.value}-1")
    files = manager.identity(kind, name, None if driver else role)
    async with manager.channel(files) as channel:
        yield ManagerClient(channel)


async def listed(rows: AsyncIterator[Value]) -> list[Value]:
    """All rows of all pages."""
    return [row async for row in rows]
