"""Following a Green Button server: each delivery once, over restarts, refusals and pauses."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gridcord.chassis.settings import SettingsError
from gridcord.simulation.espi_server import EspiServer
from tests.unit.utility_adapter.meter_data import ESPI, RECEIVED_S, Sample
from utility_adapter.assembly import espi_subscription
from utility_adapter.settings import EspiSettings
from utility_adapter.sources import EspiSubscription
from utility_adapter.storage.engine import open_engine
from utility_adapter.storage.pulls import cursor_of
from utility_adapter.storage.store import Store
from utility_adapter.subscription import Subscription

SAMPLE = Sample(sites=1, days=1)
EVERY_S = 900.0


class Enough(Exception):
    """The story has seen what it wanted."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    engine = open_engine(tmp_path / "utility.db")
    yield Store(engine)
    engine.dispose()


def subscription(server: EspiServer) -> EspiSubscription:
    return EspiSubscription(
        resource_url=server.resource_url,
        token_url=server.token_url,
        client_id=server.client_id,
        client_secret=server.client_secret,
        subscription_id="7",
    )


async def pauses(server: EspiServer, store: Store, *, count: int) -> list[float]:
    """Follow the server for some questions; returns how long it then rested each time."""
    rested: list[float] = []

    async def sleep(seconds: float) -> None:
        rested.append(seconds)
        if len(rested) == count:
            raise Enough

    following = Subscription(
        subscription(server),
        store=store,
        period_s=1800,
        now=lambda: RECEIVED_S,
        monotonic=lambda: 0.0,
        sleep=sleep,
        every_s=EVERY_S,
    )
    with pytest.raises(Enough):
        await following.run()
    return rested


def play(story: Callable[[EspiServer], Awaitable[None]]) -> None:
    async def run() -> None:
        async with EspiServer() as server:
            server.publish("7", ESPI.text(SAMPLE).encode())
            await story(server)

    asyncio.run(run())


def facts(store: Store) -> int:
    return len(store.readings_after(0, 10_000)[0])


def test_what_is_new_is_taken_in_once_and_a_restart_goes_on(store: Store) -> None:
    async def story(server: EspiServer) -> None:
        assert await pauses(server, store, count=2) == [EVERY_S, EVERY_S]
        assert facts(store) == 48
        kept = cursor_of(store.engine, subscription(server).batch_url)
        assert kept.etag
        asked = len(server.requests)
        await pauses(server, store, count=1)  # as after a restart
        assert len(server.requests) == asked + 2  # a token, and one page: nothing new
        server.publish("7", ESPI.text(replace(SAMPLE, days=2)).encode())
        await pauses(server, store, count=1)
        assert facts(store) == 96
        assert cursor_of(store.engine, subscription(server).batch_url) != kept

    play(story)


@pytest.mark.parametrize(("fault", "pause_s"), [("unavailable", 7.0), ("prepare", 3.0)])
def test_a_server_that_is_not_ready_says_when(store: Store, fault: str, pause_s: float) -> None:
    async def story(server: EspiServer) -> None:
        setattr(server.faults, fault, 1)
        assert await pauses(server, store, count=2) == [pause_s, EVERY_S]
        assert facts(store) == 48

    play(story)


def test_what_is_broken_is_not_taken_in_and_asked_for_again(store: Store) -> None:
    async def story(server: EspiServer) -> None:
        server.faults.cut_page = 1
        assert await pauses(server, store, count=1) == [EVERY_S]
        assert facts(store) == 0
        server.faults.cut_page = 0
        await pauses(server, store, count=1)
        assert facts(store) == 48

    play(story)


def test_a_server_that_is_away_is_asked_again(store: Store) -> None:
    async def story(server: EspiServer) -> None:
        port, server.port = server.port, 1
        assert await pauses(server, store, count=1) == [EVERY_S]
        server.port = port
        await pauses(server, store, count=1)
        assert facts(store) == 48

    play(story)


def test_settings_name_a_server_or_none(tmp_path: Path) -> None:
    assert espi_subscription(EspiSettings()) is None
    (tmp_path / "secret").write_text("hush\nsecond line\n", "utf-8")
    keys: dict[str, Any] = {
        "resource_url": "https://utility.example/espi/1_1/resource",
        "token_url": "https://utility.example/token",
        "client_id": "us",
        "secret_file": tmp_path / "secret",
        "subscription_id": "7",
    }
    found = espi_subscription(EspiSettings(**keys))
    assert found is not None
    assert (found.client_secret, found.page_entries) == ("hush", None)
    for key in ("token_url", "client_id", "secret_file", "subscription_id"):
        less = {name: value for name, value in keys.items() if name != key}
        with pytest.raises(SettingsError, match=rf"espi\.{key}: a server at resource_url needs it"):
            espi_subscription(EspiSettings(**less))
