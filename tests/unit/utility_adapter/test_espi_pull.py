"""Pulling Green Button data from our simulated utility, over real loopback HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import httpx
import pytest

from gridcord.simulation.espi_server import TOKEN_PATH, EspiServer
from tests.unit.utility_adapter.meter_data import ESPI, OPTIONS, Sample
from utility_adapter.sources import (
    Delivery,
    EspiPull,
    EspiSubscription,
    FileRefused,
    Limits,
    NotReady,
    PullCursor,
    PullFailed,
    ReadingSource,
)
from utility_adapter.sources.pull import retry_after_s

SAMPLE = Sample(sites=3, days=2)
BATCH = "/DataCustodian/espi/1_1/resource/Batch/Subscription/7"


@dataclass
class Pulled:
    """A server that publishes the sample, and a pull from it."""

    server: EspiServer
    settings: EspiSubscription
    pull: EspiPull
    http: httpx.AsyncClient
    now_s: float = 0.0

    def another(self, **changes: str) -> EspiPull:
        settings = replace(self.settings, **changes)  # type: ignore[arg-type]
        return EspiPull(settings, self.http, monotonic=lambda: self.now_s)


@asynccontextmanager
async def pulling(**changes: object) -> AsyncIterator[Pulled]:
    async with EspiServer(page_entries=10) as server, httpx.AsyncClient() as http:
        server.publish("7", ESPI.text(SAMPLE).encode())
        settings = EspiSubscription(
            resource_url=server.resource_url,
            token_url=server.token_url,
            client_id=server.client_id,
            client_secret=server.client_secret,
            subscription_id="7",
        )
        settings = replace(settings, **changes)  # type: ignore[arg-type]
        pulled = Pulled(server, settings, None, http)  # type: ignore[arg-type]
        pulled.pull = EspiPull(settings, http, monotonic=lambda: pulled.now_s)
        yield pulled


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(_awaited(scenario), 60))


async def _awaited(scenario: Callable[[], Awaitable[None]]) -> None:
    await scenario()


def values(delivery: Delivery | None) -> dict[tuple[str, int, str], int]:
    assert delivery is not None
    with delivery:
        return {(f.site_id, f.period.start_s, f.register): f.wh for f in delivery.facts()}


EXPECTED = ESPI.expected(SAMPLE)


def test_all_pages_are_one_delivery() -> None:
    async def scenario() -> None:
        async with pulling() as to:
            source: ReadingSource = to.pull
            delivery = await source.fetch(OPTIONS)
            assert delivery is not None
            assert delivery.name == to.settings.batch_url
            assert values(delivery) == EXPECTED
            pages = [line for line in to.server.requests if line.endswith("Subscription/7")]
            assert len(pages) == 3  # 27 entries, ten at once
            assert to.server.requests[0] == f"POST {TOKEN_PATH}"

    run(scenario)


@pytest.mark.parametrize("page_entries", [1, 3, 1000])
def test_a_page_may_hold_any_number_of_entries(page_entries: int) -> None:
    async def scenario() -> None:
        async with pulling(page_entries=page_entries) as to:
            assert values(await to.pull.fetch(OPTIONS)) == EXPECTED

    run(scenario)


def test_what_did_not_change_is_not_sent_again() -> None:
    async def scenario() -> None:
        async with pulling() as to:
            values(await to.pull.fetch(OPTIONS))
            assert await to.pull.fetch(OPTIONS) is None
            assert to.server.requests[-1] == f"GET {BATCH}"
            # A restarted adapter gives the stored cursor back.
            again = EspiPull(to.settings, to.http, monotonic=lambda: 0.0, cursor=to.pull.cursor)
            assert await again.fetch(OPTIONS) is None
            to.server.publish("7", ESPI.text(replace(SAMPLE, sites=1)).encode())
            assert len(values(await to.pull.fetch(OPTIONS))) == 2 * 2 * 48

    run(scenario)


def test_the_window_is_asked_for() -> None:
    async def scenario() -> None:
        async with pulling(page_entries=50) as to:
            url = to.pull._first_url(1_778_803_200)
            assert url.endswith("7?max-results=50&published-min=2026-05-15T00%3A00%3A00Z")
            assert values(await to.pull.fetch(OPTIONS, published_min_s=0)) == EXPECTED

    run(scenario)


def test_a_token_lasts_until_shortly_before_its_end() -> None:
    async def scenario() -> None:
        async with pulling() as to:
            to.pull.cursor = PullCursor()
            for now_s, tokens in ((0.0, 1), (3500.0, 1), (3571.0, 2)):
                to.now_s = now_s
                await to.pull.fetch(OPTIONS)
                asked = [line for line in to.server.requests if line.endswith(TOKEN_PATH)]
                assert len(asked) == tokens

    run(scenario)


def test_a_withdrawn_token_is_renewed_once() -> None:
    async def scenario() -> None:
        async with pulling() as to:
            to.server.faults.expire = 1
            assert values(await to.pull.fetch(OPTIONS)) == EXPECTED
            to.pull.cursor = PullCursor()
            to.server.faults.expire = 2
            with pytest.raises(PullFailed, match="answer 401"):
                await to.pull.fetch(OPTIONS)

    run(scenario)


def test_an_answer_that_is_being_prepared_is_asked_for_later() -> None:
    async def scenario() -> None:
        async with pulling() as to:
            to.server.faults.prepare = 1
            with pytest.raises(NotReady) as not_ready:
                await to.pull.fetch(OPTIONS)
            assert not_ready.value.retry_after_s == 3
            assert values(await to.pull.fetch(OPTIONS)) == EXPECTED

    run(scenario)


def test_a_busy_server_says_when() -> None:
    async def scenario() -> None:
        async with pulling() as to:
            to.server.faults.unavailable = 1
            with pytest.raises(PullFailed, match="answer 503") as failed:
                await to.pull.fetch(OPTIONS)
            assert failed.value.retry_after_s == 7
            assert to.pull.cursor == PullCursor()

    run(scenario)


@pytest.mark.parametrize("at_page", [0, 1, 2])
def test_a_page_that_is_cut_off_refuses_the_whole_pull(at_page: int) -> None:
    async def scenario() -> None:
        async with pulling() as to:
            to.server.faults.cut_page = at_page + 1
            with pytest.raises(FileRefused, match="not well-formed"):
                await to.pull.fetch(OPTIONS)
            to.server.faults.cut_page = 0
            assert to.pull.cursor == PullCursor()
            assert values(await to.pull.fetch(OPTIONS)) == EXPECTED

    run(scenario)


@pytest.mark.parametrize(
    ("link", "reason"),
    [
        ("http://169.254.169.254/latest", "the next page is elsewhere"),
        ("https://127.0.0.1/DataCustodian/espi/1_1/resource/x", "elsewhere"),
        ("/etc/passwd", "elsewhere"),
        ("file:///etc/passwd", "elsewhere"),
        (BATCH, "pages without end"),
    ],
)
def test_a_next_page_that_leads_astray_is_refused(link: str, reason: str) -> None:
    async def scenario() -> None:
        async with pulling() as to:
            to.server.faults.next_url = link
            with pytest.raises(FileRefused, match=reason):
                await to.pull.fetch(OPTIONS)

    run(scenario)


def test_more_bytes_than_a_delivery_may_have_are_refused() -> None:
    async def scenario() -> None:
        async with pulling() as to:
            for file_bytes in (1000, 40_000):  # in the first page, in a later one
                limits = Limits(file_bytes=file_bytes)
                with pytest.raises(FileRefused, match="more bytes than a delivery"):
                    await to.pull.fetch(replace(OPTIONS, limits=limits))

    run(scenario)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"client_secret": "wrong"}, "no token: answer 401"),
        ({"token_url": "http://127.0.0.1:9/oauth/token"}, "no token: ConnectError"),
        ({"token_url": "not an address"}, "no token: "),
        ({"subscription_id": "8"}, "answer 404"),
        ({"resource_url": "http://127.0.0.1:9/espi"}, "ConnectError"),
    ],
)
def test_a_server_that_says_no(changes: dict[str, str], reason: str) -> None:
    async def scenario() -> None:
        async with pulling() as to:
            with pytest.raises(PullFailed, match=reason):
                await to.another(**changes).fetch(OPTIONS)

    run(scenario)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"access_token": 5}',
        b'{"access_token": ""}',
        b'{"access_token": "a\\nb"}',
        b'{"access_token": "a", "token_type": "mac"}',
        b'{"access_token": "a", "expires_in": "soon"}',
        b'{"access_token": "a", "expires_in": -5}',
    ],
)
def test_a_token_answer_that_is_none(body: bytes) -> None:
    async def scenario() -> None:
        transport = httpx.MockTransport(lambda _: httpx.Response(200, content=body))
        async with pulling() as to, httpx.AsyncClient(transport=transport) as http:
            pull = EspiPull(to.settings, http, monotonic=lambda: 0.0)
            with pytest.raises(PullFailed, match="no token: not a"):
                await pull.fetch(OPTIONS)

    run(scenario)


@pytest.mark.parametrize("encoding", ["gzip", "br"])
def test_an_encoding_that_was_not_asked_for_is_refused(encoding: str) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == TOKEN_PATH:
            return httpx.Response(200, json={"access_token": "a"})
        assert request.headers["Accept-Encoding"] == "identity"
        return httpx.Response(
            200, stream=httpx.ByteStream(b"x"), headers={"Content-Encoding": encoding}
        )

    async def scenario() -> None:
        transport = httpx.MockTransport(answer)
        async with pulling() as to, httpx.AsyncClient(transport=transport) as http:
            pull = EspiPull(to.settings, http, monotonic=lambda: 0.0)
            with pytest.raises(FileRefused, match="encoding that was not asked for"):
                await pull.fetch(OPTIONS)

    run(scenario)


def test_a_redirect_is_not_followed() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == TOKEN_PATH:
            return httpx.Response(200, json={"access_token": "a"})
        return httpx.Response(302, headers={"Location": "http://169.254.169.254/"})

    async def scenario() -> None:
        transport = httpx.MockTransport(answer)
        async with (
            pulling() as to,
            httpx.AsyncClient(transport=transport, follow_redirects=True) as http,
        ):
            pull = EspiPull(to.settings, http, monotonic=lambda: 0.0)
            with pytest.raises(PullFailed, match="answer 302"):
                await pull.fetch(OPTIONS)

    run(scenario)


def test_secrets_are_not_shown() -> None:
    async def scenario() -> None:
        async with pulling() as to:
            assert to.server.client_secret not in repr(to.settings)

    run(scenario)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7),
        ("", None),
        ("Wed, 21 Oct 2026 07:28:00 GMT", None),
        ("-1", None),
        ("9" * 9, 86_400),
    ],
)
def test_retry_after(text: str, seconds: int | None) -> None:
    response = httpx.Response(503, headers={"Retry-After": text} if text else {})
    assert retry_after_s(response) == seconds
