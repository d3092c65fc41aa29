"""A real server on loopback with mutual TLS, and peers to talk to it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from prometheus_client import CollectorRegistry

from gridcord.chassis.admission import Admission
from gridcord.chassis.authorization import ANYBODY, Policy
from gridcord.chassis.channel import open_channel, server_name
from gridcord.chassis.clock import Clock, SystemClock
from gridcord.chassis.credentials import (
    TlsFiles,
    client_credentials,
    load_identity,
    server_credentials,
)
from gridcord.chassis.failures import NO_FAILURES, Failure, FailureTable, failure_of
from gridcord.chassis.identity import Kind, caller, parse_principal
from gridcord.chassis.limits import CHANNEL_LIMITS, SERVER_LIMITS, ChannelLimits, ServerLimits
from gridcord.chassis.metrics import CallMetrics
from gridcord.chassis.pki import PkiFolder
from gridcord.chassis.server import LocalSocket, Server, Service

DOMAIN = "grid.test"
MANAGER = f"spiffe://{DOMAIN}/manager/main"
CABLE = f"spiffe://{DOMAIN}/cable/c-0001"
NAME = server_name(Kind.MANAGER, DOMAIN)

SERVICE = "test.Echo"
WHO = f"/{SERVICE}/Who"
ECHO = f"/{SERVICE}/Echo"
COUNT = f"/{SERVICE}/Count"
HOLD = f"/{SERVICE}/Hold"

DEADLINE_S = 30.0  # of anything in a test; none of them waits for it when all is well

Handlers = Mapping[str, Any]


class Pki:
    """Identities of one test run; each is made once."""

    def __init__(self, path: Path) -> None:
        self.folder = PkiFolder(path)
        self.folder.create(domain=DOMAIN, now_s=time.time())

    def files(self, spiffe: str) -> TlsFiles:
        principal = parse_principal(spiffe)
        files = self.folder.files(principal)
        if not files.certificate.exists():
            self.folder.issue(principal, now_s=time.time())
        return files

    def credentials(self, spiffe: str) -> grpc.ChannelCredentials:
        return client_credentials(load_identity(self.files(spiffe)))


@dataclass
class Served:
    """A running server."""

    server: Server
    pki: Pki
    admission: Admission
    registry: CollectorRegistry

    @property
    def address(self) -> str:
        return self.server.address

    def channel(
        self, spiffe: str = CABLE, *, limits: ChannelLimits = CHANNEL_LIMITS, **options: Any
    ) -> Any:  # the stubs know no call without message types
        return open_channel(
            self.address,
            credentials=options.pop("credentials", None) or self.pki.credentials(spiffe),
            expect=options.pop("expect", NAME),
            limits=limits,
            **options,
        )


@asynccontextmanager
async def serving(
    pki: Pki,
    *,
    handlers: Handlers | None = None,
    policy: Policy | None = None,
    failures: FailureTable = NO_FAILURES,
    limits: ServerLimits = SERVER_LIMITS,
    clock: Clock | None = None,
    deny_list: Path | None = None,
    files: TlsFiles | None = None,
    socket: LocalSocket | None = None,
    with_reflection: bool = True,
    address: str | None = "127.0.0.1:0",
) -> AsyncIterator[Served]:
    """Serve `handlers` (default: an echo service, open to everybody) until the block ends."""
    methods = ECHO_HANDLERS if handlers is None else handlers
    registry = CollectorRegistry()
    admission = Admission(domain=DOMAIN, clock=clock or SystemClock(), deny_list=deny_list)
    server = Server(
        address=address,
        credentials=server_credentials(files or pki.files(MANAGER)),
        admission=admission,
        policy=policy if policy is not None else Policy(dict.fromkeys(methods, ANYBODY)),
        services=[Service(name=SERVICE, register=registration(methods), failures=failures)],
        limits=limits,
        metrics=CallMetrics(registry),
        socket=socket,
        with_reflection=with_reflection,
    )
    await server.start()
    try:
        yield Served(server, pki, admission, registry)
    finally:
        await server.drain(grace_s=0)


class _Generic(grpc.GenericRpcHandler):
    def __init__(self, handlers: Handlers) -> None:
        self._handlers = handlers

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        return self._handlers.get(handler_call_details.method)


def registration(handlers: Handlers) -> Callable[[Any], None]:
    return lambda server: server.add_generic_rpc_handlers((_Generic(handlers),))


async def _who(request: bytes, context: Any) -> bytes:
    return str(caller().principal).encode()


async def _echo(requests: Any, context: Any) -> AsyncIterator[bytes]:
    async for request in requests:
        yield request


async def _count(request: bytes, context: Any) -> AsyncIterator[bytes]:
    for number in range(int(request)):
        yield str(number).encode()


async def _hold(requests: Any, context: Any) -> AsyncIterator[bytes]:
    """Says hello and then neither reads nor writes."""
    yield b"held"
    await asyncio.Event().wait()


def unary(behaviour: Any, **codecs: Any) -> grpc.RpcMethodHandler[Any, Any]:
    return grpc.unary_unary_rpc_method_handler(behaviour, **codecs)


def bidirectional(behaviour: Any, **codecs: Any) -> grpc.RpcMethodHandler[Any, Any]:
    return grpc.stream_stream_rpc_method_handler(behaviour, **codecs)


ECHO_HANDLERS: Handlers = {
    WHO: unary(_who),
    ECHO: bidirectional(_echo),
    COUNT: grpc.unary_stream_rpc_method_handler(_count),
    HOLD: bidirectional(_hold),
}


async def who(channel: Any) -> str:
    """Call the server once; its answer is whom it takes us for."""
    answer: bytes = await channel.unary_unary(WHO)(b"", timeout=DEADLINE_S)
    return answer.decode()


async def failure(call: Any) -> Failure:
    """The failure with which a call ends; it must fail."""
    try:
        if hasattr(call, "__await__"):
            await call
        else:
            while await call.read() is not grpc.aio.EOF:
                pass
    except grpc.aio.AioRpcError as error:
        return failure_of(error)
    message = "the call did not fail"
    raise AssertionError(message)


async def until(condition: Callable[[], bool], within_s: float = DEADLINE_S) -> None:
    """Let the loop turn until `condition` holds; fail when it does not in time."""
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110  (the condition is another thread's or process's)
            await asyncio.sleep(0.01)
