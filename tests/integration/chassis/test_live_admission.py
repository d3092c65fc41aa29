"""Attack A22: a certificate that expires or is revoked while its stream is open."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest

from gridcord.chassis.admission import CERTIFICATE_EXPIRED, CERTIFICATE_REVOKED
from gridcord.chassis.failures import Failure
from gridcord.chassis.identity import Peer, read_peer
from gridcord.testing.clock import ManualClock
from tests.integration.chassis.loopback import (
    CABLE,
    COUNT,
    DOMAIN,
    ECHO,
    HOLD,
    Pki,
    bidirectional,
    failure,
    serving,
    unary,
    until,
)

OTHER = f"spiffe://{DOMAIN}/cable/c-0002"
ACTS_WITHIN_S = 10.0  # the promise of SECURITY.md

ENTRIES: dict[str, Callable[[Peer], str]] = {
    "id": lambda peer: str(peer.principal),
    "serial": lambda peer: f"serial:{peer.serial}",
    "fingerprint": lambda peer: f"sha256:{peer.fingerprint}",
}


async def opened(channel: Any, method: str = ECHO) -> Any:
    """A stream over which one message has come back."""
    call = channel.stream_stream(method)()
    await call.write(b"hello")
    assert await call.read() != grpc.aio.EOF
    return call


@pytest.mark.parametrize("method", [ECHO, HOLD], ids=["waiting for us", "waiting for nobody"])
@pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES)
def test_revocation_ends_a_live_stream_in_time(
    pki: Pki, tmp_path: Path, entry: Callable[[Peer], str], method: str
) -> None:
    deny = tmp_path / "deny"
    deny.write_text("# nobody yet\n")
    clock = ManualClock(time.time())
    revoked = read_peer(pki.files(CABLE).certificate.read_bytes())

    async def scenario() -> tuple[Failure, float]:
        async with (
            serving(pki, clock=clock, deny_list=deny) as served,
            served.channel(CABLE) as channel,
            served.channel(OTHER) as other,
        ):
            watching = asyncio.create_task(served.admission.run())
            call, honest = await opened(channel, method), await opened(other)
            deny.write_text(f"{entry(revoked)}  # stolen\n")
            begin_s = clock.now()
            await clock.advance(ACTS_WITHIN_S)
            refused = await failure(call)
            await honest.write(b"still here")
            assert await honest.read() == b"still here"
            watching.cancel()
            return refused, clock.now() - begin_s

    refused, took_s = asyncio.run(scenario())
    assert (refused.code, refused.reason) == (
        grpc.StatusCode.UNAUTHENTICATED,
        CERTIFICATE_REVOKED,
    )
    assert took_s <= ACTS_WITHIN_S


def test_a_stream_ends_when_its_certificate_does(pki: Pki) -> None:
    clock = ManualClock(time.time())
    not_after_s = read_peer(pki.files(CABLE).certificate.read_bytes()).not_after_s

    async def scenario() -> Failure:
        async with serving(pki, clock=clock) as served, served.channel() as channel:
            watching = asyncio.create_task(served.admission.run())
            call = await opened(channel)
            clock.step(not_after_s - clock.now() - 60)
            await clock.advance(30)
            await call.write(b"still good")
            assert await call.read() == b"still good"
            await clock.advance(30 + ACTS_WITHIN_S)
            watching.cancel()
            return await failure(call)

    refused = asyncio.run(scenario())
    assert (refused.code, refused.reason) == (
        grpc.StatusCode.UNAUTHENTICATED,
        CERTIFICATE_EXPIRED,
    )


def test_a_peer_that_does_not_read_is_ended_too(pki: Pki, tmp_path: Path) -> None:
    """The handler is blocked in a write then, outside its own code."""
    deny = tmp_path / "deny"
    deny.write_text("")
    closed = asyncio.Event()

    async def flood(requests: Any, context: Any) -> Any:
        try:
            while True:
                yield b"x" * 60_000
        finally:
            closed.set()

    async def scenario() -> Failure:
        handlers = {ECHO: bidirectional(flood)}
        async with (
            serving(pki, handlers=handlers, deny_list=deny) as served,
            served.channel() as channel,
        ):
            call = channel.stream_stream(ECHO)()
            await call.read()
            deny.write_text(CABLE)
            served.admission.refresh()
            await asyncio.wait_for(closed.wait(), 30)
            return await failure(call)

    assert asyncio.run(scenario()).reason == CERTIFICATE_REVOKED


def test_a_handler_that_cleans_up_may_do_so(pki: Pki, tmp_path: Path) -> None:
    deny = tmp_path / "deny"
    deny.write_text("")
    done: list[str] = []

    async def careful(requests: Any, context: Any) -> Any:
        try:
            yield b"ready"
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            done.append("cleaned up")

    async def scenario() -> Failure:
        handlers = {ECHO: bidirectional(careful)}
        async with (
            serving(pki, handlers=handlers, deny_list=deny) as served,
            served.channel() as channel,
        ):
            call = await opened(channel)
            deny.write_text(CABLE)
            served.admission.refresh()
            return await failure(call)

    assert asyncio.run(scenario()).reason == CERTIFICATE_REVOKED
    assert done == ["cleaned up"]


@pytest.mark.parametrize("way", ["returns", "raises", "goes on"])
def test_a_handler_that_misbehaves_at_its_end_is_ended_all_the_same(
    pki: Pki, tmp_path: Path, way: str
) -> None:
    deny = tmp_path / "deny"
    deny.write_text("")

    async def stubborn(requests: Any, context: Any) -> Any:
        yield b"ready"
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if way == "raises":
                raise ValueError from None
        if way == "goes on":
            await asyncio.Event().wait()

    async def scenario() -> Failure:
        handlers = {ECHO: bidirectional(stubborn)}
        async with (
            serving(pki, handlers=handlers, deny_list=deny) as served,
            served.channel() as channel,
        ):
            call = await opened(channel)
            deny.write_text(CABLE)
            waiting = asyncio.create_task(failure(call))
            while not waiting.done():
                served.admission.refresh()
                await asyncio.sleep(0.01)
            return waiting.result()

    assert asyncio.run(scenario()).reason == CERTIFICATE_REVOKED


def test_a_call_that_revokes_its_own_caller_ends_after_its_work(pki: Pki, tmp_path: Path) -> None:
    deny = tmp_path / "deny"
    deny.write_text("")
    done: list[str] = []

    async def scenario() -> Failure:
        async def revoke(request: bytes, context: Any) -> bytes:
            deny.write_text(CABLE)
            served.admission.refresh()
            await asyncio.sleep(0)
            done.append("revoked")
            return b""

        handlers = {COUNT: unary(revoke)}
        async with (
            serving(pki, handlers=handlers, deny_list=deny) as served,
            served.channel() as channel,
        ):
            return await failure(channel.unary_unary(COUNT)(b"", timeout=10))

    assert asyncio.run(scenario()).reason == CERTIFICATE_REVOKED
    assert done == ["revoked"]


def test_a_revoked_peer_cannot_begin_anything_on_its_old_connection(
    pki: Pki, tmp_path: Path
) -> None:
    deny = tmp_path / "deny"
    deny.write_text("")

    async def scenario() -> Failure:
        async with serving(pki, deny_list=deny) as served, served.channel() as channel:
            await opened(channel)
            deny.write_text(CABLE)
            served.admission.refresh()
            return await failure(channel.unary_stream(COUNT)(b"1", timeout=10))

    assert asyncio.run(scenario()).reason == CERTIFICATE_REVOKED


def test_a_deny_list_that_became_unreadable_stays_in_force(pki: Pki, tmp_path: Path) -> None:
    deny = tmp_path / "deny"
    deny.write_text(CABLE)

    async def scenario() -> list[str]:
        reasons = []
        async with serving(pki, deny_list=deny) as served, served.channel() as channel:
            for content in (CABLE, "spiffe://typo\n", None):
                deny.write_text(content) if content else deny.unlink()
                served.admission.refresh()
                refused = await failure(channel.unary_stream(COUNT)(b"1", timeout=10))
                reasons.append(refused.reason)
        return reasons

    assert asyncio.run(scenario()) == [CERTIFICATE_REVOKED] * 3


def test_calls_that_ended_are_forgotten(pki: Pki) -> None:
    async def answer(request: bytes, context: Any) -> bytes:
        return request

    async def scenario() -> None:
        handlers = {ECHO: bidirectional(_forever), COUNT: unary(answer)}
        async with serving(pki, handlers=handlers) as served, served.channel() as channel:
            for _ in range(20):
                await channel.unary_unary(COUNT)(b"", timeout=10)
            call = await opened(channel)
            assert served.server.open_calls == 1
            call.cancel()
            await until(lambda: served.server.open_calls == 0)

    asyncio.run(scenario())


async def _forever(requests: Any, context: Any) -> Any:
    yield b"hello"
    await asyncio.Event().wait()
