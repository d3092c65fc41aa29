"""The composition root of the market adapter."""

from __future__ import annotations

from contextlib import AsyncExitStack
from functools import partial

from gridcord.api.market.v1 import market_service_pb2, market_service_pb2_grpc
from gridcord.chassis.clock import Clock
from gridcord.chassis.exit_codes import ExitCode
from gridcord.chassis.lifecycle import Lifecycle, OnFailure
from gridcord.chassis.program import start_server
from gridcord.chassis.server import Service
from market_adapter.connections import open_feed, open_prices, open_profile, open_venues
from market_adapter.domain.profile import MarketProfile
from market_adapter.metrics import BidWatch
from market_adapter.ports import SignalFeed
from market_adapter.service.market import FAILURES, POLICY, MarketServicer
from market_adapter.settings import MarketAdapterSettings, OpenAdrSettings
from market_adapter.storage.store import MarketStore
from market_adapter.usecases.desk import Desk
from market_adapter.usecases.listening import learn_prices, listen

_RESTART = OnFailure.RESTART


async def run_adapter(settings: MarketAdapterSettings) -> ExitCode:
    """Run the adapter until it is told to stop."""
    clock = settings.clock.clock()
    async with AsyncExitStack() as closing:
        store = MarketStore(settings.store.file)  # first: who has it alone may touch the rest
        closing.callback(store.close)
        profile = open_profile(settings.venue)
        venues = open_venues([settings.venue, settings.intraday], clock=clock)
        for venue, _ in venues.values():
            closing.push_async_callback(venue.close)
        feed = open_feed(settings.openadr)
        if feed is not None:
            closing.push_async_callback(feed.close)
        async with Lifecycle(clock=clock) as lifecycle:
            unsettled_s = [
                told.settle_s for market_id, (_, told) in venues.items() if store.unsent(market_id)
            ]
            if unsettled_s:
                # What a process before this one sent may still be on its way inside the venue.
                await clock.sleep(max(unsettled_s))
            markets = {market_id: venue for market_id, (venue, _) in venues.items()}
            desk = Desk(store=store, venues=markets, clock=clock)
            for market_id, (_, told) in venues.items():
                rounds = partial(desk.run, market_id, every_s=told.round_s)
                lifecycle.add(f"desk.{market_id}", rounds, on_failure=_RESTART)
            lifecycle.add("figures", BidWatch(store).run, on_failure=_RESTART)
            if feed is not None:
                _listen(lifecycle, feed, settings.openadr, store, profile, clock)
            source = open_prices(settings.imbalance, clock=clock)
            if source is not None:
                look_s = settings.imbalance.look_s
                learn = partial(
                    learn_prices, source=source, store=store, clock=clock, every_s=look_s
                )
                lifecycle.add("imbalance_prices", learn, on_failure=_RESTART)
            profiles = {market_id: each.profile for market_id, each in markets.items()}
            servicer = MarketServicer(desk=desk, store=store, profiles=profiles, now=clock.now)
            await start_server(
                settings, lifecycle=lifecycle, policy=POLICY, services=[_service(servicer)]
            )
            return await lifecycle.run()


def _listen(
    lifecycle: Lifecycle,
    feed: SignalFeed,
    settings: OpenAdrSettings,
    store: MarketStore,
    profile: MarketProfile,
    clock: Clock,
) -> None:
    listening = partial(
        listen,
        feed=feed,
        store=store,
        clock=clock,
        period_length_s=profile.calendar.length_s,
        horizon=settings.horizon,
        every_s=settings.look_s,
    )
    lifecycle.add("listening", listening, on_failure=_RESTART)


def _service(servicer: MarketServicer) -> Service:
    return Service(
        name=market_service_pb2.DESCRIPTOR.services_by_name["MarketService"].full_name,
        register=partial(market_service_pb2_grpc.add_MarketServiceServicer_to_server, servicer),
        failures=FAILURES,
    )
