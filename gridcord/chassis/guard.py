"""What stands around every handler: identity, permission, failures, figures, one log line.

A server interceptor of grpc.aio sees a method's name but not its caller, so the guard wraps each
handler and does its work where the caller is known. It is the outermost interceptor:

- nobody's bytes are parsed before he is known and permitted;
- a bug in a handler, in parsing or in serialising never shows its text;
- a handler's generator is closed when its call ends, also in the middle of a write.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import grpc
import structlog

from gridcord.chassis.admission import Admission
from gridcord.chassis.authorization import Policy
from gridcord.chassis.calls import OpenCalls
from gridcord.chassis.failures import (
    NO_FAILURES,
    Failure,
    FailureTable,
    abort,
    leaves,
    new_correlation_id,
    translate,
    withheld,
)
from gridcord.chassis.identity import IdentityError, Peer, Principal, peer_of, set_caller
from gridcord.chassis.metrics import CallMetrics

UNIDENTIFIED = "unidentified"
IDENTITY_REFUSED = "IDENTITY_REFUSED"
NOT_PERMITTED = "NOT_PERMITTED"
NOT_IMPLEMENTED = "NOT_IMPLEMENTED"

if TYPE_CHECKING:
    Context = grpc.aio.ServicerContext[Any, Any]
    Handler = grpc.RpcMethodHandler[Any, Any]
    Continuation = Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]]

Refused = Callable[[str, str, str], None]
"""Told of each refusal before a handler: (who, reason, full method); must not block."""

_QUIET = ("/grpc.health.v1.Health/", "/grpc.reflection.")  # asked every second by machines

log = structlog.get_logger()


@dataclass(slots=True)
class _Line:
    """The one log line of an RPC."""

    method: str
    status: str = "CANCELLED"
    reason: str = ""
    peer: str = ""
    actor: str = UNIDENTIFIED
    correlation_id: str = ""
    begin_s: float = field(default_factory=time.monotonic)

    @property
    def service(self) -> str:
        return self.method.split("/")[1]

    def write(self, duration_s: float) -> None:
        quiet = self.method.startswith(_QUIET) and self.status in ("OK", "CANCELLED")
        tell = log.debug if quiet else log.info
        extra = {key: getattr(self, key) for key in ("peer", "reason", "correlation_id")}
        tell(
            "rpc.ended",
            method=self.method,
            status=self.status,
            duration_ms=round(duration_s * 1000, 3),
            **{key: value for key, value in extra.items() if value},
        )


class Guard(grpc.aio.ServerInterceptor):
    """Admits, permits, translates, counts and logs every RPC of a server.

    Args:
        admission: Who may talk to us now.
        policy: Who may call what.
        failures: Full service name -> what its anticipated exceptions mean.
        calls: Where open calls are registered.
        metrics: Where they are counted.
        local: Whom callers of the Unix socket are taken for.
        refused: Told of everybody who is not admitted or not permitted.
    """

    def __init__(
        self,
        *,
        admission: Admission,
        policy: Policy,
        failures: Mapping[str, FailureTable],
        calls: OpenCalls,
        metrics: CallMetrics,
        local: Principal | None = None,
        refused: Refused | None = None,
    ) -> None:
        self._refused = refused
        self._admission = admission
        self._policy = policy
        self._failures = failures
        self._calls = calls
        self._metrics = metrics
        self._local = local

    async def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> Handler | None:
        """Wrap the handler of one RPC; None, that is UNIMPLEMENTED, where there is none."""
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        method = handler_call_details.method
        return (self._streaming if handler.response_streaming else self._single)(method, handler)

    def _single(self, method: str, handler: Handler) -> Handler:
        behaviour: Any = handler.stream_unary or handler.unary_unary
        parse = _parser(handler)

        async def guarded(request: Any, context: Context) -> bytes:
            async with self._around(method, context):
                response = await behaviour(parse(request), context)
                return _serialised(handler, response)
            raise AssertionError  # _around never swallows an exception

        if handler.request_streaming:
            return grpc.stream_unary_rpc_method_handler(
                guarded, request_deserializer=handler.request_deserializer
            )
        return grpc.unary_unary_rpc_method_handler(guarded)

    def _streaming(self, method: str, handler: Handler) -> Handler:
        behaviour: Any = handler.stream_stream or handler.unary_stream
        parse = _parser(handler)
        generates = inspect.isasyncgenfunction(behaviour)

        async def guarded(request: Any, context: Context) -> None:
            async with self._around(method, context):
                if not generates:
                    await behaviour(parse(request), context)
                    return
                async with aclosing(behaviour(parse(request), context)) as responses:
                    async for response in responses:
                        await context.write(response)

        if handler.request_streaming:
            return grpc.stream_stream_rpc_method_handler(
                guarded, handler.request_deserializer, handler.response_serializer
            )
        return grpc.unary_stream_rpc_method_handler(
            guarded, response_serializer=handler.response_serializer
        )

    @asynccontextmanager
    async def _around(self, method: str, context: Context) -> AsyncIterator[None]:
        line = _Line(method)
        self._metrics.started(method)
        try:
            with self._calls.opened(method, self._welcome(method, context, line)):
                yield
            line.status = _name(context.code())
        except Exception as error:  # noqa: BLE001  (the last line of defence)
            if (answer := _own_answer(error)) is not None:
                line.status = _name(context.code())
                raise answer from None
            failure = self._told(line, context, error)
            line.status, line.reason = failure.code.name, failure.reason
            await abort(context, failure)
        finally:
            duration_s = time.monotonic() - line.begin_s
            self._metrics.ended(method, line.status, duration_s)
            line.write(duration_s)

    def _welcome(self, method: str, context: Context, line: _Line) -> Peer:
        """The caller; whoever is refused is told of."""
        try:
            return self._known(method, context, line)
        except Failure as failure:
            if self._refused is not None:
                self._refused(line.actor, failure.reason, method)
            raise

    def _known(self, method: str, context: Context, line: _Line) -> Peer:
        """The caller, once admitted and permitted."""
        try:
            peer = peer_of(context, local=self._local)
        except IdentityError as error:
            raise Failure(grpc.StatusCode.UNAUTHENTICATED, IDENTITY_REFUSED, str(error)) from error
        line.peer, line.actor = str(peer.principal), peer.principal.path
        structlog.contextvars.bind_contextvars(method=method, peer=line.peer)
        self._admission.require(peer)
        if not self._policy.permits(peer.principal, method):
            raise Failure(
                grpc.StatusCode.PERMISSION_DENIED, NOT_PERMITTED, f"{peer.principal} may not"
            )
        set_caller(peer)
        return peer

    def _told(self, line: _Line, context: Context, error: Exception) -> Failure:
        """What the caller is told about an exception; re-raises when nobody is left to tell."""
        if isinstance(error, grpc.aio.BaseError) and not isinstance(error, grpc.aio.UsageError):
            raise error  # the connection or the server is gone
        if isinstance(error, NotImplementedError) and _name(context.code()) == "UNIMPLEMENTED":
            return _MISSING  # a generated servicer's method that nobody wrote
        table = self._failures.get(line.service, NO_FAILURES)
        if (failure := translate(error, table)) is not None:
            return failure
        line.correlation_id = new_correlation_id()
        log.error("rpc.broken", exc_info=error, correlation_id=line.correlation_id)
        return withheld(line.correlation_id)


_MISSING = Failure(
    grpc.StatusCode.UNIMPLEMENTED, NOT_IMPLEMENTED, "this server does not have the method"
)


def _own_answer(error: Exception) -> grpc.aio.AbortError | None:
    """What a handler raised by answering with `context.abort`, also in a task of its own."""
    return next((leaf for leaf in leaves(error) if isinstance(leaf, grpc.aio.AbortError)), None)


def _parser(handler: Handler) -> Callable[[Any], Any]:
    """Parses the only request of a call; requests of a stream are parsed as they are read."""
    if handler.request_streaming or handler.request_deserializer is None:
        return _as_is
    return handler.request_deserializer


def _as_is(request: Any) -> Any:
    return request


def _serialised(handler: Handler, response: Any) -> bytes:
    serialise: Any = handler.response_serializer
    return bytes(response) if serialise is None else serialise(response)


def _name(code: Any) -> str:
    """The name of a status code, which grpc.aio keeps as None, number or enumeration."""
    if isinstance(code, grpc.StatusCode):
        return code.name
    return next((each.name for each in grpc.StatusCode if each.value[0] == (code or 0)), "UNKNOWN")
