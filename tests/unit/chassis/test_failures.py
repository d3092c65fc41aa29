"""Failures keep code, reason and metadata over the wire, and nothing else does."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status
from hypothesis import given
from hypothesis import strategies as st

from gridcord.chassis.failures import (
    DOMAIN,
    INTERNAL,
    MALFORMED_MESSAGE,
    Failure,
    FailureTable,
    failure_of,
    new_correlation_id,
    translate,
    withheld,
)

codes = st.sampled_from([code for code in grpc.StatusCode if code is not grpc.StatusCode.OK])
reasons = st.from_regex(r"[A-Z][A-Z0-9_]{0,40}", fullmatch=True)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


def received(status: Status, code: grpc.StatusCode | None = None) -> grpc.aio.AioRpcError:
    """The error a client gets for a status."""
    sent: Any = rpc_status.to_status(status)
    return grpc.aio.AioRpcError(
        code or sent.code,
        grpc.aio.Metadata(),
        grpc.aio.Metadata(*sent.trailing_metadata),
        details=sent.details,
    )


names = reasons | st.sampled_from(["self", "code", "reason", "message", "metadata"])


@given(codes, reasons, texts, st.dictionaries(names, texts, max_size=3))
def test_a_failure_arrives_as_it_was_sent(
    code: grpc.StatusCode, reason: str, message: str, metadata: dict[str, str]
) -> None:
    arrived = failure_of(received(Failure(code, reason, message, **metadata).to_status()))

    assert (arrived.code, arrived.reason, arrived.message, arrived.metadata) == (
        code,
        reason,
        message,
        metadata,
    )


def test_a_foreign_error_has_its_codes_name_as_reason() -> None:
    error = grpc.aio.AioRpcError(
        grpc.StatusCode.UNAVAILABLE, grpc.aio.Metadata(), grpc.aio.Metadata(), details="gone"
    )

    failure = failure_of(error)

    assert (failure.reason, failure.message) == ("UNAVAILABLE", "gone")


def test_details_of_another_domain_are_not_ours() -> None:
    status = Status(code=5, message="no")
    status.details.add().Pack(ErrorInfo(reason="OURS", domain=f"not-{DOMAIN}"))

    assert failure_of(received(status)).reason == "NOT_FOUND"


def test_a_status_that_contradicts_itself_is_not_believed() -> None:
    status = Failure(grpc.StatusCode.NOT_FOUND, "SITE_UNKNOWN", "no").to_status()

    failure = failure_of(received(status, grpc.StatusCode.INTERNAL))

    assert (failure.code, failure.reason) == (grpc.StatusCode.INTERNAL, "INTERNAL")


class Blocked(Exception):
    """An anticipated failure."""


class BlockedForGood(Blocked):
    """A special case of it."""


class BlockedToday(Blocked):
    """A special case that the table does not know."""


TABLE = FailureTable(
    {
        Blocked: (grpc.StatusCode.FAILED_PRECONDITION, "BLOCKED"),
        BlockedForGood: (grpc.StatusCode.PERMISSION_DENIED, "BLOCKED_FOR_GOOD"),
    }
)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (Blocked("x"), "BLOCKED"),
        (BlockedForGood("x"), "BLOCKED_FOR_GOOD"),
        (BlockedToday("x"), "BLOCKED"),
        (DecodeError("at byte 17"), MALFORMED_MESSAGE),
        (Failure(grpc.StatusCode.ABORTED, "RACE_LOST", "x"), "RACE_LOST"),
    ],
)
def test_the_nearest_class_decides(error: Exception, reason: str) -> None:
    failure = translate(error, TABLE)

    assert failure is not None
    assert failure.reason == reason
    assert "17" not in failure.message


@pytest.mark.parametrize("error", [ValueError("secret"), KeyError("secret"), Exception("secret")])
def test_everything_else_is_a_bug(error: Exception) -> None:
    assert translate(error, TABLE) is None
    assert FailureTable().failure(Blocked("x")) is None


def test_a_withheld_bug_can_be_asked_about() -> None:
    correlation_id = new_correlation_id()
    failure = withheld(correlation_id)

    assert failure.reason == INTERNAL
    assert failure.metadata == {"correlation_id": correlation_id}
    assert correlation_id in failure.message
    assert correlation_id != new_correlation_id()
