"""Figures of RPCs for Prometheus, named after gRFC A66; label by method, never by peer."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

# gRFC A66 (OpenTelemetry metrics), latency buckets, thinned: seconds.
_BUCKETS_S = (0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 600, 3600)

UNKNOWN_METHOD = "other"  # a stranger must not be able to make label values


class CallMetrics:
    """Counts and times the calls of a server.

    Args:
        registry: Where the figures are kept.
    """

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self._started = Counter(
            "grpc_server_call_started", "RPCs begun", ["grpc_method"], registry=registry
        )
        self._duration = Histogram(
            "grpc_server_call_duration_seconds",
            "RPCs ended, with their time from first to last byte",
            ["grpc_method", "grpc_status"],
            buckets=_BUCKETS_S,
            registry=registry,
        )
        self._open = Gauge(
            "gridcord_server_calls_open", "RPCs being served", ["grpc_method"], registry=registry
        )

    def started(self, method: str) -> None:
        """An RPC has begun."""
        self._started.labels(method).inc()
        self._open.labels(method).inc()

    def ended(self, method: str, status: str, duration_s: float) -> None:
        """An RPC has ended with the name of a status code."""
        self._open.labels(method).dec()
        self._duration.labels(method, status).observe(duration_s)


def tell(
    name: str,
    documentation: str,
    value: Callable[[], float],
    *,
    registry: CollectorRegistry = REGISTRY,
) -> None:
    """Have a figure read whenever it is asked for; `value` must not block."""
    Gauge(name, documentation, registry=registry).set_function(value)


def tell_expiry(
    not_after_s: Callable[[], float], *, registry: CollectorRegistry = REGISTRY
) -> None:
    """Tell when the program's own certificate expires, seconds since 1970; NaN when it is damaged.

    Args:
        not_after_s: Reads it from the file, which is what new connections get.
        registry: Where the figure is kept.
    """

    def expiry_s() -> float:
        try:
            return not_after_s()
        except (OSError, ValueError):
            return math.nan

    name = "gridcord_certificate_expiry_timestamp_seconds"
    tell(name, "When the program's own certificate expires", expiry_s, registry=registry)


@contextmanager
def timed(histogram: Histogram) -> Iterator[None]:
    """Observe how long a block takes, seconds."""
    begin = time.perf_counter()
    try:
        yield
    finally:
        histogram.observe(time.perf_counter() - begin)
