"""A client's channel by its effects."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.hashes import SHA256

from gridcord.chassis.certificates import load_key
from gridcord.chassis.channel import open_channel, server_name
from gridcord.chassis.credentials import (
    CredentialsError,
    TlsFiles,
    client_credentials,
    load_identity,
)
from gridcord.chassis.identity import Kind
from gridcord.chassis.limits import ChannelLimits, ServerLimits
from tests.integration.chassis.links import linked
from tests.integration.chassis.loopback import (
    CABLE,
    DOMAIN,
    HOLD,
    NAME,
    WHO,
    Pki,
    failure,
    serving,
    unary,
    who,
)

SOON_S = 1.0


@pytest.mark.parametrize(
    ("impostor", "expect"),
    [
        (f"spiffe://{DOMAIN}/market/jepx", NAME),
        (f"spiffe://{DOMAIN}/utility/tepco", NAME),
        (f"spiffe://{DOMAIN}/cable/c-0666", NAME),
        (f"spiffe://{DOMAIN}/cable/c-0666", None),
        (f"spiffe://{DOMAIN}/operator/admin/eve", "localhost"),
    ],
)
def test_another_server_on_the_address_is_refused(
    pki: Pki, impostor: str, expect: str | None
) -> None:
    async def scenario() -> grpc.StatusCode:
        async with (
            serving(pki, files=pki.files(impostor)) as served,
            served.channel(expect=expect) as channel,
        ):
            return (await failure(channel.unary_unary(WHO)(b"", timeout=10))).code

    assert asyncio.run(scenario()) is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize("expect", [NAME, "localhost", None])
def test_the_expected_server_is_talked_to(pki: Pki, expect: str | None) -> None:
    async def scenario() -> str:
        async with serving(pki) as served, served.channel(expect=expect) as channel:
            return await who(channel)

    assert asyncio.run(scenario()) == CABLE
    assert server_name(Kind.MANAGER, DOMAIN) == "manager.grid.test"


def test_a_call_without_deadline_gets_one(pki: Pki) -> None:
    async def never(request: bytes, context: Any) -> bytes:
        await asyncio.Event().wait()
        return b""

    async def scenario() -> grpc.StatusCode:
        async with (
            serving(pki, handlers={WHO: unary(never)}) as served,
            served.channel(deadline_s=0.3) as channel,
        ):
            return (await failure(channel.unary_unary(WHO)(b""))).code

    assert asyncio.run(scenario()) is grpc.StatusCode.DEADLINE_EXCEEDED


def test_a_calls_own_deadline_wins(pki: Pki) -> None:
    remaining: list[float] = []

    async def look(request: bytes, context: Any) -> bytes:
        remaining.append(context.time_remaining())
        return b""

    async def scenario() -> None:
        async with (
            serving(pki, handlers={WHO: unary(look)}) as served,
            served.channel(deadline_s=5) as channel,
        ):
            await channel.unary_unary(WHO)(b"", timeout=1000)
            await channel.unary_unary(WHO)(b"")

    asyncio.run(scenario())
    assert remaining[0] > 900
    assert remaining[1] < 10


@pytest.mark.parametrize(("idempotent", "attempts"), [((), 1), ((WHO,), 3)])
def test_only_idempotent_calls_are_tried_again(
    pki: Pki, idempotent: tuple[str, ...], attempts: int
) -> None:
    seen: list[bytes] = []

    async def refuse(request: bytes, context: Any) -> bytes:
        seen.append(request)
        await context.abort(grpc.StatusCode.UNAVAILABLE, "not now")
        return b""

    async def scenario() -> None:
        async with (
            serving(pki, handlers={WHO: unary(refuse)}) as served,
            served.channel(idempotent=idempotent) as channel,
        ):
            await failure(channel.unary_unary(WHO)(b"", timeout=30))

    asyncio.run(scenario())
    assert len(seen) == attempts


def test_a_proxy_of_the_environment_is_not_used(pki: Pki, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "grpc_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")

    async def scenario() -> str:
        async with serving(pki) as served, served.channel() as channel:
            return await who(channel)

    assert asyncio.run(scenario()) == CABLE


@pytest.mark.filterwarnings("ignore::grpc.experimental.ExperimentalApiWarning")
def test_a_key_may_stay_in_a_secure_element(pki: Pki) -> None:
    files = pki.files(CABLE)
    assert files.key is not None
    element = load_key(files.key.read_bytes())
    signed: list[bytes] = []

    def sign(transcript: bytes) -> bytes:
        signed.append(transcript)
        return element.sign(transcript, ECDSA(SHA256()))

    identity = load_identity(TlsFiles(certificate=files.certificate, key=None, roots=files.roots))

    async def scenario() -> str:
        credentials = client_credentials(identity, sign=sign)
        async with serving(pki) as served, served.channel(credentials=credentials) as channel:
            return await who(channel)

    assert asyncio.run(scenario()) == CABLE
    assert len(signed) == 1
    with pytest.raises(CredentialsError, match="signer"):
        client_credentials(identity)


@pytest.mark.slow
def test_a_frozen_link_is_noticed_on_a_silent_stream(pki: Pki) -> None:
    """Half-open link, attack A21; also after more silent pings than the core allows by itself."""
    limits = ChannelLimits(keepalive_s=SOON_S / 2, keepalive_timeout_s=SOON_S)

    async def scenario() -> grpc.StatusCode:
        async with (
            serving(pki, limits=ServerLimits(min_ping_interval_s=0.01)) as served,
            linked(served.address) as link,
            open_channel(
                link.address, credentials=pki.credentials(CABLE), expect=NAME, limits=limits
            ) as channel,
        ):
            hold: Any = channel.stream_stream(HOLD)
            call = hold()
            assert await call.read() == b"held"
            waiting = asyncio.create_task(failure(call))
            done, _ = await asyncio.wait({waiting}, timeout=4 * SOON_S)
            assert not done, "a stream may be silent"
            link.flowing.clear()
            refused = await asyncio.wait_for(waiting, 30)
            return refused.code

    assert asyncio.run(scenario()) is grpc.StatusCode.UNAVAILABLE


def test_a_large_answer_is_not_taken(pki: Pki) -> None:
    async def give(request: bytes, context: Any) -> bytes:
        return b"x" * int(request)

    async def scenario() -> grpc.StatusCode:
        async with (
            serving(pki, handlers={WHO: unary(give)}) as served,
            served.channel(limits=ChannelLimits(message_bytes=1000)) as channel,
        ):
            assert len(await channel.unary_unary(WHO)(b"1000")) == 1000
            return (await failure(channel.unary_unary(WHO)(b"1001"))).code

    assert asyncio.run(scenario()) is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_a_large_request_is_not_sent(pki: Pki) -> None:
    reached: list[bytes] = []

    async def take(request: bytes, context: Any) -> bytes:
        reached.append(request)
        return b""

    async def scenario() -> grpc.StatusCode:
        async with (
            serving(pki, handlers={WHO: unary(take)}) as served,
            served.channel(limits=ChannelLimits(request_bytes=1000)) as channel,
        ):
            return (await failure(channel.unary_unary(WHO)(b"x" * 1001))).code

    assert asyncio.run(scenario()) is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert not reached


@pytest.mark.slow
@pytest.mark.parametrize(
    ("limits", "at_least", "at_most"),
    [
        (ChannelLimits(first_backoff_s=0.1, longest_backoff_s=0.1), 10, 100),
        (ChannelLimits(first_backoff_s=0.1, longest_backoff_s=30), 3, 8),
        (ChannelLimits(first_backoff_s=30, longest_backoff_s=30), 1, 1),
    ],
    ids=["steady", "growing", "seldom"],
)
def test_attempts_to_connect_are_paced(
    pki: Pki, limits: ChannelLimits, at_least: int, at_most: int
) -> None:
    attempts = 0

    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal attempts
        attempts += 1
        writer.close()

    async def scenario() -> None:
        server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
        address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        credentials = pki.credentials(CABLE)
        channel = open_channel(address, credentials=credentials, expect=NAME, limits=limits)
        call: Any = channel.unary_unary(WHO)
        await failure(call(b"", timeout=4, wait_for_ready=True))
        await channel.close()
        server.close()

    asyncio.run(scenario())
    assert at_least <= attempts <= at_most


def test_a_server_that_comes_back_is_found_again(pki: Pki) -> None:
    limits = ChannelLimits(first_backoff_s=0.1, longest_backoff_s=0.2)

    async def scenario() -> str:
        async with serving(pki) as first:
            address = first.address
            channel = first.channel(limits=limits)
            assert await who(channel) == CABLE
        absent = await failure(channel.unary_unary(WHO)(b"", timeout=10))
        assert absent.code is grpc.StatusCode.UNAVAILABLE
        async with serving(pki, address=address):
            answer: bytes = await channel.unary_unary(WHO)(b"", timeout=30, wait_for_ready=True)
            await channel.close()
            return answer.decode()

    assert asyncio.run(scenario()) == CABLE
