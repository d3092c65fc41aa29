"""The HTTP port for machines that watch, over real sockets."""

from __future__ import annotations

import asyncio

import pytest
from prometheus_client import CollectorRegistry, Counter, Histogram

from gridcord.chassis.endpoint import HttpEndpoint
from gridcord.chassis.metrics import CallMetrics, timed


async def asked(endpoint: HttpEndpoint, request: bytes) -> bytes:
    """What the endpoint answers to raw bytes, all of it."""
    host, _, port = endpoint.address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(request)
    try:
        return await asyncio.wait_for(reader.read(), 30)
    except ConnectionError:
        return b""
    finally:
        writer.close()


def answers(*requests: bytes, healthy: bool = True) -> list[bytes]:
    registry = CollectorRegistry()
    Counter("entries_stored", "Entries stored", registry=registry).inc(7)

    async def scenario() -> list[bytes]:
        endpoint = HttpEndpoint("127.0.0.1:0", healthy=lambda: healthy, registry=registry)
        assert endpoint.address == ""
        await endpoint.start()
        try:
            return [await asked(endpoint, request) for request in requests]
        finally:
            await endpoint.stop()

    return asyncio.run(scenario())


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


def test_metrics_are_shown() -> None:
    (answer,) = answers(get("/metrics"))
    head, _, body = answer.partition(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"Content-Type: text/plain" in head
    assert f"Content-Length: {len(body)}".encode() in head
    assert b"entries_stored_total 7.0" in body


@pytest.mark.parametrize(("healthy", "status"), [(True, b"200 OK"), (False, b"503 ")])
def test_health_is_a_status(healthy: bool, status: bytes) -> None:
    (answer,) = answers(get("/healthz"), healthy=healthy)

    assert answer.startswith(b"HTTP/1.1 " + status)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (get("/"), b"404"),
        (get("/metrics/../etc/passwd"), b"404"),
        (b"POST /metrics HTTP/1.1\r\n\r\n", b"405"),
        (b"\r\n\r\n", b"405"),
        (b"GET /metrics\r\n\r\n", b"405"),
    ],
)
def test_everything_else_is_refused(request_: bytes, status: bytes) -> None:
    (answer,) = answers(request_)

    assert answer.split(b" ")[1] == status


def test_a_request_without_end_is_not_read_for_ever() -> None:
    (answer, good) = answers(b"GET /" + b"x" * 100_000, get("/healthz"))

    assert answer == b""
    assert b"200 OK" in good


def test_calls_are_counted_by_method_and_status() -> None:
    registry = CollectorRegistry()
    metrics = CallMetrics(registry)
    labels = {"grpc_method": "/a.B/C"}
    metrics.started("/a.B/C")
    metrics.started("/a.B/C")
    metrics.ended("/a.B/C", "OK", 0.25)

    def value(name: str, **more: str) -> float | None:
        return registry.get_sample_value(name, {**labels, **more})

    assert value("grpc_server_call_started_total") == 2
    assert value("gridcord_server_calls_open") == 1
    assert value("grpc_server_call_duration_seconds_sum", grpc_status="OK") == 0.25


def test_a_block_is_timed_even_when_it_fails() -> None:
    registry = CollectorRegistry()
    histogram = Histogram("commit_seconds", "Commits", registry=registry)
    with pytest.raises(ZeroDivisionError), timed(histogram):
        _ = 1 / 0

    assert registry.get_sample_value("commit_seconds_count") == 1
