"""The composition root of the market adapter."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from gridcord.api.market.v1 import market_service_pb2, market_service_pb2_grpc
from gridcord.chassis.clock import Clock
from gridcord.chassis.exit_codes import ExitCode
from gridcord.chassis.lifecycle import Lifecycle, OnFailure
from gridcord.chassis.program import start_server
from gridcord.chassis.server import Service
from gridcord.chassis.settings import SettingsError
from gridcord.simulation.exchange.background import Depth
from market_adapter.domain.profile import MarketProfile, ProfileError
from market_adapter.ports import Venue
from market_adapter.profiles.reader import built_in_profile, read_profile
from market_adapter.service.market import FAILURES, POLICY, MarketServicer
from market_adapter.settings import MarketAdapterSettings, VenueSettings
from market_adapter.storage.store import MarketStore
from market_adapter.usecases.desk import Desk
from market_adapter.venues.jepx.connection import Endpoint, Pool
from market_adapter.venues.jepx.day_ahead import JepxDayAhead
from market_adapter.venues.price_file import Journal, PriceFile, read_price_file


async def run_adapter(settings: MarketAdapterSettings) -> ExitCode:
    """Run the adapter until it is told to stop."""
    clock = settings.clock.clock()
    venues = {venue.profile.market_id: venue for venue in open_venues(settings.venue, clock)}
    store = MarketStore(settings.store.file)
    desk = Desk(store=store, venues=venues, clock=clock)
    servicer = MarketServicer(
        desk=desk,
        store=store,
        profiles={market_id: venue.profile for market_id, venue in venues.items()},
        now=clock.now,
    )
    lifecycle = Lifecycle(clock=clock)
    rounds = partial(desk.run, every_s=settings.venue.round_s)
    lifecycle.add("desk", rounds, on_failure=OnFailure.RESTART)
    await start_server(
        settings,
        lifecycle=lifecycle,
        policy=POLICY,
        services=[
            Service(
                name=market_service_pb2.DESCRIPTOR.services_by_name["MarketService"].full_name,
                register=partial(
                    market_service_pb2_grpc.add_MarketServiceServicer_to_server, servicer
                ),
                failures=FAILURES,
            )
        ],
    )
    try:
        return await lifecycle.run()
    finally:
        for venue in venues.values():
            await venue.close()
        store.close()


def open_venues(settings: VenueSettings, clock: Clock) -> Sequence[Venue]:
    """The venues that settings name.

    Raises:
        SettingsError: Something that the kind of venue needs is missing.
    """
    if settings.kind == "none":
        return []
    profile = _profile(settings)
    if settings.kind == "price_file":
        return [_price_file(settings, profile, clock)]
    if settings.kind == "jepx":
        return [_jepx(settings, profile, clock)]
    raise SettingsError(f"venue.kind: {settings.kind} is not run by this program yet")


def _profile(settings: VenueSettings) -> MarketProfile:
    try:
        if settings.profile_file is not None:
            return read_profile(settings.profile_file)
        return built_in_profile(settings.profile)
    except ProfileError as error:
        raise SettingsError(f"venue.profile: {error}") from error


def _price_file(settings: VenueSettings, profile: MarketProfile, clock: Clock) -> Venue:
    prices = _needed(settings.prices, "prices")
    journal = _needed(settings.journal, "journal")
    depth = Depth(
        step_wh=settings.step_lots * profile.lot_wh,
        step_micros_per_kwh=10 * profile.tick_micros_per_kwh,
    )
    return PriceFile(
        profile=profile,
        prices_of=read_price_file(prices, profile=profile),
        journal=Journal(journal),
        clock=clock,
        depth=depth,
    )


def _jepx(settings: VenueSettings, profile: MarketProfile, clock: Clock) -> Venue:
    roots = _needed(settings.roots, "roots")
    endpoint = Endpoint(
        host=settings.host,
        port=settings.port,
        tls=ssl.create_default_context(cafile=str(roots)),
        member=settings.member,
        timeout_s=settings.timeout_s,
    )
    return JepxDayAhead(
        profile=profile,
        pool=Pool(endpoint=endpoint, clock=clock),
        contract_code=settings.contract_code,
        clock=clock,
        settle_s=settings.settle_s,
    )


def _needed(path: Path | None, key: str) -> Path:
    if path is None:
        message = f"venue.{key}: this kind of venue needs it"
        raise SettingsError(message)
    return path
