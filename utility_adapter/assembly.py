"""The composition root of the utility adapter."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

from gridcord.api.utility.v1 import utility_service_pb2, utility_service_pb2_grpc
from gridcord.chassis.exit_codes import ExitCode
from gridcord.chassis.lifecycle import Lifecycle, OnFailure
from gridcord.chassis.program import start_server
from gridcord.chassis.server import Service
from utility_adapter.domain.site import PrivacyRule
from utility_adapter.domain.transfers import period_transfers
from utility_adapter.inbox import Inbox
from utility_adapter.service.utility import FAILURES, POLICY, UtilityServicer
from utility_adapter.settings import UtilityAdapterSettings
from utility_adapter.sources.csv_readings import write_csv_transfers
from utility_adapter.storage.engine import open_engine
from utility_adapter.storage.store import Store


async def run_adapter(settings: UtilityAdapterSettings) -> ExitCode:
    """Run the adapter until it is told to stop."""
    clock = settings.clock.clock()
    engine = open_engine(settings.store.file)
    store = Store(engine)
    inbox = Inbox(
        settings.inbox.folder,
        store=store,
        period_s=settings.inbox.period_s,
        now=clock.now,
        sleep=asyncio.sleep,
        look_s=settings.inbox.look_s,
    )
    outbox = Outbox(store, settings.outbox.file, write_every_s=settings.outbox.write_every_s)
    radius_m = settings.privacy.radius_m
    servicer = UtilityServicer(
        store=store,
        privacy=None if radius_m is None else PrivacyRule(radius_m=radius_m),
        now=clock.now,
        reported=outbox.wake,
    )
    lifecycle = Lifecycle(clock=clock)
    lifecycle.add("inbox", inbox.run, on_failure=OnFailure.RESTART)
    lifecycle.add("outbox", outbox.run, on_failure=OnFailure.RESTART)
    lifecycle.on_drain(outbox.write)
    await start_server(
        settings,
        lifecycle=lifecycle,
        policy=POLICY,
        services=[
            Service(
                name=utility_service_pb2.DESCRIPTOR.services_by_name["UtilityService"].full_name,
                register=partial(
                    utility_service_pb2_grpc.add_UtilityServiceServicer_to_server, servicer
                ),
                failures=FAILURES,
            )
        ],
    )
    try:
        return await lifecycle.run()
    finally:
        engine.dispose()


class Outbox:
    """Writes what cables transferred as a file for the utility, whole or not at all.

    Args:
        store: What was reported.
        file: Where; None for nowhere.
        write_every_s: Not more often than this, real seconds.
    """

    def __init__(self, store: Store, file: Path | None, *, write_every_s: float) -> None:
        self._store = store
        self._file = file
        self._write_every_s = write_every_s
        self._changed = asyncio.Event()

    def wake(self) -> None:
        """Something was reported."""
        self._changed.set()

    async def run(self) -> None:
        """Write after each change, for ever."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            await self.write()
            await asyncio.sleep(self._write_every_s)

    async def write(self) -> None:
        """Write everything that was reported."""
        if self._file is not None:
            await asyncio.to_thread(self._write, self._file)

    def _write(self, file: Path) -> None:
        transfers = period_transfers(reports=self._store.transfers())
        file.parent.mkdir(parents=True, exist_ok=True)
        draft = file.with_name(f".{file.name}")
        with draft.open("wb") as out:
            write_csv_transfers(transfers, out, written_at_s=0)
        draft.replace(file)
