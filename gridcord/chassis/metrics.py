"""Figures of RPCs for Prometheus, named after gRFC A66; label by method, never by peer."""

from __future__ import annotations

import time
from collections.abc import Iterator
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


@contextmanager
def timed(histogram: Histogram) -> Iterator[None]:
    """Observe how long a block takes, seconds."""
    begin = time.perf_counter()
    try:
        yield
    finally:
        histogram.observe(time.perf_counter() - begin)
