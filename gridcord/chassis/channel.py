"""A client's channel: mutual TLS, the expected server or none, a deadline on every call."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import grpc

from gridcord.chassis.identity import Kind
from gridcord.chassis.limits import CHANNEL_LIMITS, ChannelLimits, Options

DEFAULT_DEADLINE_S = 10.0

_RETRY = {
    "maxAttempts": 3,
    "initialBackoff": "0.2s",
    "maxBackoff": "2s",
    "backoffMultiplier": 2,
    "retryableStatusCodes": ["UNAVAILABLE"],
}


def server_name(kind: Kind, domain: str) -> str:
    """The DNS name by which a server of a kind is known in a domain: `manager.grid.example`.

    It is a name in the certificate, not an address: a market adapter that answers on the
    manager's address has another one and is refused.
    """
    return f"{kind.value}.{domain}"


def open_channel(
    target: str,
    *,
    credentials: grpc.ChannelCredentials,
    expect: str | None,
    idempotent: Iterable[str] = (),
    deadline_s: float = DEFAULT_DEADLINE_S,
    limits: ChannelLimits = CHANNEL_LIMITS,
) -> grpc.aio.Channel:
    """Open a channel; it connects at the first call.

    Args:
        target: "host:port".
        credentials: From `credentials.client_credentials`.
        expect: DNS name the server's certificate must carry, usually `server_name(...)`; None for
            the host of `target`.
        idempotent: Full methods without streams that may be tried again when the server is
            unavailable. Nothing else is ever sent twice by itself.
        deadline_s: Of unary calls that give none.
        limits: What the server can cost us.
    """
    retried = tuple(idempotent)
    options = [*limits.options(), ("grpc.enable_retries", int(bool(retried)))]
    if retried:
        options.append(("grpc.service_config", _service_config(retried)))
    if expect is not None:
        options.append(("grpc.ssl_target_name_override", expect))
    return grpc.aio.secure_channel(
        target, credentials, options=options, interceptors=[Deadline(deadline_s)]
    )


def open_local_channel(path: str, *, deadline_s: float = DEFAULT_DEADLINE_S) -> grpc.aio.Channel:
    """Open a channel to a server's Unix socket on this machine."""
    options: Options = CHANNEL_LIMITS.options()
    return grpc.aio.insecure_channel(
        f"unix:{path}", options=options, interceptors=[Deadline(deadline_s)]
    )


class Deadline(grpc.aio.UnaryUnaryClientInterceptor):
    """Gives every unary call a deadline.

    Args:
        deadline_s: Of calls that bring none.
    """

    def __init__(self, deadline_s: float) -> None:
        self._deadline_s = deadline_s

    async def intercept_unary_unary(
        self,
        continuation: Callable[[grpc.aio.ClientCallDetails, Any], Awaitable[Any]],
        client_call_details: grpc.aio.ClientCallDetails,
        request: Any,
    ) -> Any:
        """Send the call on with a deadline."""
        details: Any = client_call_details
        if details.timeout is None:
            details = details._replace(timeout=self._deadline_s)
        return await continuation(details, request)


def _service_config(methods: Iterable[str]) -> str:
    names = [dict(zip(("service", "method"), m[1:].split("/"), strict=True)) for m in methods]
    return json.dumps({"methodConfig": [{"name": names, "retryPolicy": _RETRY}]})
