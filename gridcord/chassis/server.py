"""A hardened grpc.aio server: mutual TLS only, guarded, observable, drained before it stops."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from gridcord.chassis.admission import Admission
from gridcord.chassis.authorization import ANYBODY, VIEWERS, Policy
from gridcord.chassis.calls import OpenCall, OpenCalls
from gridcord.chassis.failures import NO_FAILURES, Failure, FailureTable
from gridcord.chassis.guard import Guard, Refused
from gridcord.chassis.identity import Principal
from gridcord.chassis.limits import SERVER_LIMITS, ServerLimits
from gridcord.chassis.metrics import CallMetrics

SERVER_DRAINING = "SERVER_DRAINING"

HEALTH_POLICY = Policy({f"/{health.SERVICE_NAME}/{m}": ANYBODY for m in ("Check", "List", "Watch")})
REFLECTION_POLICY = Policy({f"/{reflection.SERVICE_NAME}/ServerReflectionInfo": VIEWERS})

_LAST_WORDS_S = 1.0  # of the grace, in which calls that did not end by themselves are ended
_OWNER_ONLY = 0o177

_Status = health_pb2.HealthCheckResponse.ServingStatus


class BindError(OSError):
    """The server cannot listen where it should."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One gRPC service of a server.

    Args:
        name: Full name, such as `pb2.DESCRIPTOR.services_by_name["X"].full_name`.
        register: Adds the servicer, such as `partial(add_XServicer_to_server, servicer)`.
        failures: What the exceptions of its handlers mean to callers.
    """

    name: str
    register: Callable[[Any], None]
    failures: FailureTable = NO_FAILURES


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalSocket:
    """A Unix socket that only the owner of the process can open.

    Args:
        path: Where.
        caller: Whom everybody who can open it is taken for.
    """

    path: Path
    caller: Principal


class Server:
    """One gRPC server of a process.

    It serves health to everybody who is admitted and, unless switched off, reflection to
    operators, besides `services`.

    Args:
        address: "host:port" for mutual TLS, port 0 for any; None for a local socket only.
        credentials: From `credentials.server_credentials`; needed with `address`.
        admission: Who may talk to us now; open calls are put under its review.
        policy: Who may call what.
        services: What is served.
        limits: What a peer can cost.
        metrics: Where calls are counted; None for the process's default registry.
        with_reflection: Whether operators may ask which services there are.
        socket: A second way in for this machine.
        refused: Told of everybody who is not admitted or not permitted.
    """

    def __init__(
        self,
        *,
        address: str | None,
        credentials: grpc.ServerCredentials | None,
        admission: Admission,
        policy: Policy,
        services: Iterable[Service],
        limits: ServerLimits = SERVER_LIMITS,
        metrics: CallMetrics | None = None,
        with_reflection: bool = True,
        socket: LocalSocket | None = None,
        refused: Refused | None = None,
    ) -> None:
        self.draining = asyncio.Event()
        self._listen = address
        self._bound = ""
        self._credentials = credentials
        self._socket = socket
        self._services = tuple(services)
        self._calls = OpenCalls()
        self._health = health.aio.HealthServicer()
        admission.watch(self._calls)
        guard = Guard(
            admission=admission,
            policy=policy | HEALTH_POLICY | REFLECTION_POLICY,
            failures={service.name: service.failures for service in self._services},
            calls=self._calls,
            metrics=metrics or CallMetrics(),
            local=socket.caller if socket else None,
            refused=refused,
        )
        self._server = grpc.aio.server(
            interceptors=[guard],
            options=limits.options(),
            maximum_concurrent_rpcs=limits.concurrent_calls,
        )
        self._register(with_reflection)

    @property
    def address(self) -> str:
        """Where mutual TLS is served, with the real port; empty before `start` or without."""
        return self._bound

    @property
    def open_calls(self) -> int:
        """How many RPCs are being served."""
        return len(self._calls)

    async def start(self) -> None:
        """Listen and serve.

        Raises:
            BindError: The address or the socket is taken or not ours.
        """
        if self._listen is not None:
            self._bound = self._bind(self._listen)
        if self._socket is not None:
            self._bind_socket(self._socket.path)
        await self._server.start()
        await self.set_serving(serving=True)

    async def set_serving(self, *, serving: bool) -> None:
        """Say over the health service whether calls are welcome; nothing else changes."""
        status = _Status.SERVING if serving else _Status.NOT_SERVING
        for name in ("", *(service.name for service in self._services)):
            await self._health.set(name, status)

    async def drain(self, *, grace_s: float, notice_s: float = 0.0) -> None:
        """Stop without breaking what is going on.

        Health says NOT_SERVING first; after `notice_s` new calls are refused and `draining` is
        set, at which long streams should end; what is open at the end of the grace is ended with
        UNAVAILABLE. Cancelled, it stops at once.

        Args:
            grace_s: Real seconds for calls that are open.
            notice_s: Real seconds between NOT_SERVING and the first refusal, for balancers.
        """
        try:
            await self._health.enter_graceful_shutdown()
            await asyncio.sleep(notice_s)
            self.draining.set()
            await self._stop(grace_s)
        except asyncio.CancelledError:
            await self._server.stop(None)
            raise
        finally:
            if self._socket is not None:
                self._socket.path.unlink(missing_ok=True)

    async def _stop(self, grace_s: float) -> None:
        stopped = asyncio.ensure_future(self._server.stop(grace_s))
        self._calls.end(_DRAINING, which=_is_ours)
        done, _ = await asyncio.wait({stopped}, timeout=max(0.0, grace_s - _LAST_WORDS_S))
        if not done:
            self._calls.end(_DRAINING, which=lambda _: True)
        await stopped

    def _register(self, with_reflection: bool) -> None:
        for service in self._services:
            service.register(self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        if with_reflection:
            names = [service.name for service in self._services]
            reflection.enable_server_reflection(
                [*names, health.SERVICE_NAME, reflection.SERVICE_NAME], self._server
            )

    def _bind(self, address: str) -> str:
        if self._credentials is None:
            message = f"no credentials to serve {address} with: there is no service without TLS"
            raise BindError(message)
        try:
            port = self._server.add_secure_port(address, self._credentials)
        except RuntimeError as error:
            message = f"cannot listen on {address}: is it taken, or not of this machine?"
            raise BindError(message) from error
        return f"{address.rpartition(':')[0]}:{port}"

    def _bind_socket(self, path: Path) -> None:
        before = os.umask(_OWNER_ONLY)
        try:
            self._server.add_insecure_port(f"unix:{path}")
        except RuntimeError as error:
            message = f"cannot listen on {path}: does its folder exist, and is the path short?"
            raise BindError(message) from error
        finally:
            os.umask(before)


_DRAINING = Failure(grpc.StatusCode.UNAVAILABLE, SERVER_DRAINING, "this server is stopping")


def _is_ours(call: OpenCall) -> bool:
    """Whether a call watches the server itself and would only hold it up."""
    return call.method.startswith((f"/{health.SERVICE_NAME}/", f"/{reflection.SERVICE_NAME}/"))
