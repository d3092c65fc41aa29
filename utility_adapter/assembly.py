"""The composition root of the utility adapter."""

from __future__ import annotations

import asyncio
from functools import partial

from gridcord.api.utility.v1 import utility_service_pb2, utility_service_pb2_grpc
from gridcord.chassis.clock import Clock
from gridcord.chassis.exit_codes import ExitCode
from gridcord.chassis.lifecycle import Lifecycle, OnFailure
from gridcord.chassis.program import start_server
from gridcord.chassis.server import Service
from gridcord.chassis.settings import SettingsError
from gridcord.units import CableId, IdentifierError, parse_device_id, parse_site_id
from utility_adapter.domain.site import PrivacyRule
from utility_adapter.inbox import Inbox
from utility_adapter.metrics import tell_files
from utility_adapter.outbox import Outbox
from utility_adapter.service.utility import FAILURES, POLICY, UtilityServicer
from utility_adapter.settings import (
    EspiSettings,
    Nem12Settings,
    OutboxSettings,
    PrivacySettings,
    UtilityAdapterSettings,
)
from utility_adapter.sources.espi.pull import EspiSubscription
from utility_adapter.sources.espi.write import write_espi_transfers
from utility_adapter.sources.nem12.writer import Nem12Names, write_nem12_transfers
from utility_adapter.sources.own_csv.readings import write_csv_transfers
from utility_adapter.sources.source import TransferWriter
from utility_adapter.storage.engine import open_engine
from utility_adapter.storage.store import Store
from utility_adapter.subscription import Subscription

_SUFFIXES = {"csv": ".csv", "espi": ".xml", "nem12": ".csv"}


async def run_adapter(settings: UtilityAdapterSettings) -> ExitCode:
    """Run the adapter until it is told to stop."""
    clock = settings.clock.clock()
    write = transfer_writer(settings.outbox)
    subscription = espi_subscription(settings.espi)
    engine = open_engine(settings.store.file)
    try:
        offset_s = settings.outbox.nem12.offset_s if settings.outbox.format == "nem12" else 0
        store = Store(engine, day_offset_s=offset_s)
        outbox = _outbox(settings.outbox, store, write, clock)
        async with Lifecycle(clock=clock) as lifecycle:
            _take_in(lifecycle, settings, store, clock, subscription, outbox)
            lifecycle.add("outbox", outbox.run, on_failure=OnFailure.RESTART)
            lifecycle.on_drain(outbox.write)
            servicer = UtilityServicer(
                store=store,
                privacy=_privacy(settings.privacy),
                now=clock.now,
                reported=outbox.wake,
            )
            await start_server(
                settings, lifecycle=lifecycle, policy=POLICY, services=[_service(servicer)]
            )
            return await lifecycle.run()
    finally:
        engine.dispose()


def _take_in(
    lifecycle: Lifecycle,
    settings: UtilityAdapterSettings,
    store: Store,
    clock: Clock,
    subscription: EspiSubscription | None,
    outbox: Outbox,
) -> None:
    """Have files taken in, and a server asked where there is one."""
    inbox = Inbox(
        settings.inbox.folder,
        store=store,
        period_s=settings.inbox.period_s,
        now=clock.now,
        sleep=asyncio.sleep,
        look_s=settings.inbox.look_s,
    )
    tell_files(inbox, outbox)
    lifecycle.add("inbox", inbox.run, on_failure=OnFailure.RESTART)
    if subscription is None:
        return
    following = Subscription(
        subscription,
        store=store,
        period_s=settings.inbox.period_s,
        now=clock.now,
        monotonic=clock.monotonic,
        sleep=asyncio.sleep,
        every_s=settings.espi.every_s,
    )
    lifecycle.add("subscription", following.run, on_failure=OnFailure.RESTART)


def _outbox(settings: OutboxSettings, store: Store, write: TransferWriter, clock: Clock) -> Outbox:
    return Outbox(
        store,
        settings.file,
        folder=settings.folder,
        suffix=_SUFFIXES[settings.format],
        write=write,
        now=clock.now,
        sleep=asyncio.sleep,
        write_every_s=settings.write_every_s,
    )


def _privacy(settings: PrivacySettings) -> PrivacyRule | None:
    return None if settings.radius_m is None else PrivacyRule(radius_m=settings.radius_m)


def _service(servicer: UtilityServicer) -> Service:
    return Service(
        name=utility_service_pb2.DESCRIPTOR.services_by_name["UtilityService"].full_name,
        register=partial(utility_service_pb2_grpc.add_UtilityServiceServicer_to_server, servicer),
        failures=FAILURES,
    )


def transfer_writer(settings: OutboxSettings) -> TransferWriter:
    """The format of the outbox.

    Raises:
        SettingsError: A site or cable of `nem12` is none.
    """
    match settings.format:
        case "csv":
            return write_csv_transfers
        case "espi":
            return write_espi_transfers
        case "nem12":
            return partial(write_nem12_transfers, names=_nem12_names(settings.nem12))


def espi_subscription(settings: EspiSettings) -> EspiSubscription | None:
    """The server that is asked; None for none.

    Raises:
        SettingsError: A key is missing.
        OSError: The file of the secret cannot be read.
    """
    if settings.resource_url is None:
        return None
    for key in ("token_url", "client_id", "secret_file", "subscription_id"):
        if not getattr(settings, key):
            message = f"espi.{key}: a server at resource_url needs it"
            raise SettingsError(message)
    assert settings.secret_file is not None
    return EspiSubscription(
        resource_url=settings.resource_url,
        token_url=settings.token_url,
        client_id=settings.client_id,
        client_secret=settings.secret_file.read_text("utf-8").partition("\n")[0].strip(),
        subscription_id=settings.subscription_id,
        scope=settings.scope,
        page_entries=settings.page_entries,
    )


def _nem12_names(settings: Nem12Settings) -> Nem12Names:
    try:
        return Nem12Names(
            nmis={parse_site_id(site): nmi for site, nmi in settings.nmis.items()},
            serials={
                CableId(parse_device_id(cable)): serial
                for cable, serial in settings.serials.items()
            },
            sender=settings.sender,
            receiver=settings.receiver,
            offset_s=settings.offset_s,
        )
    except IdentifierError as error:
        message = f"outbox.nem12: {error}"
        raise SettingsError(message) from error
