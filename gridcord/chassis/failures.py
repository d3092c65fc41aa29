"""Failures that cross the wire: one exception, one shape, no internals.

A handler raises a `Failure`, or an exception its service's `FailureTable` knows. Everything else
is a bug: the caller gets INTERNAL and a correlation id, the log gets the traceback.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from secrets import token_hex
from typing import TYPE_CHECKING, Any, NoReturn

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import DecodeError, Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status

if TYPE_CHECKING:
    Context = grpc.aio.ServicerContext[Any, Any]

DOMAIN = "gridcord"

INTERNAL = "INTERNAL"
MALFORMED_MESSAGE = "MALFORMED_MESSAGE"


class Failure(Exception):
    """An anticipated failure of one RPC, on either side of it.

    Args:
        code: gRPC status code; tells the caller whether trying again can help.
        reason: UPPER_SNAKE_CASE, stable, part of the API; tells the caller what happened.
        message: For a person; may change at any time.
        metadata: The values that `message` mentions; `field` names the field of the request that
            cannot be used.
    """

    def __init__(
        self, code: grpc.StatusCode, reason: str, message: str, /, **metadata: str
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.metadata = metadata

    def to_status(self) -> Status:
        """The status as it goes over the wire: `google.rpc.ErrorInfo`, for a field `BadRequest`."""
        told: list[Message] = [
            ErrorInfo(reason=self.reason, domain=DOMAIN, metadata=self.metadata),
        ]
        if self.field:
            violation = BadRequest.FieldViolation(field=self.field, description=self.message)
            told.append(BadRequest(field_violations=[violation]))
        details = [AnyMessage() for _ in told]
        for detail, message in zip(details, told, strict=True):
            detail.Pack(message)
        return Status(code=self.code.value[0], message=self.message, details=details)

    @property
    def field(self) -> str:
        """The field of the request that cannot be used; empty when it is not about one."""
        return self.metadata.get("field", "")


@dataclass(frozen=True, slots=True)
class FailureTable:
    """What each anticipated exception of one service means to its callers.

    The nearest class of the exception's ancestry decides. The exception's text is sent, and its
    `metadata` attribute if it has one, so list only exceptions made for callers to read.

    Args:
        entries: Exception type -> (status code, reason).
    """

    entries: Mapping[type[Exception], tuple[grpc.StatusCode, str]] = field(default_factory=dict)

    def failure(self, error: BaseException) -> Failure | None:
        """The failure an exception stands for, None when it is not anticipated."""
        for ancestor in type(error).__mro__:
            if ancestor in self.entries:
                code, reason = self.entries[ancestor]
                return Failure(code, reason, str(error), **getattr(error, "metadata", {}))
        return None


NO_FAILURES = FailureTable()


def translate(error: Exception, table: FailureTable = NO_FAILURES) -> Failure | None:
    """The failure to tell the caller, None for a bug.

    Of a group, as a handler's task group raises, it is the first one's, if all are anticipated.
    """
    told = [_translate(each, table) for each in leaves(error)]
    return None if None in told else told[0]


def leaves(error: BaseException) -> list[BaseException]:
    """The exceptions in a group and the groups within it; one that is no group is itself."""
    if not isinstance(error, BaseExceptionGroup):
        return [error]
    return [leaf for each in error.exceptions for leaf in leaves(each)]


def _translate(error: BaseException, table: FailureTable) -> Failure | None:
    if isinstance(error, Failure):
        return error
    if isinstance(error, DecodeError):
        return Failure(
            grpc.StatusCode.INVALID_ARGUMENT, MALFORMED_MESSAGE, "the message cannot be parsed"
        )
    return table.failure(error)


def withheld(correlation_id: str) -> Failure:
    """What a caller learns about a bug: that there was one, and how to ask about it."""
    return Failure(
        grpc.StatusCode.INTERNAL,
        INTERNAL,
        f"internal error {correlation_id}",
        correlation_id=correlation_id,
    )


def new_correlation_id() -> str:
    """A random id that ties an answer to a log line; 16 hexadecimal digits."""
    return token_hex(8)


async def abort(context: Context, failure: Failure) -> NoReturn:
    """End the RPC with a failure.

    Raises:
        grpc.aio.AbortError: Always; it must not be caught.
    """
    try:
        await context.abort_with_status(rpc_status.to_status(failure.to_status()))
    except grpc.aio.UsageError:  # the handler's own answer is on its way: that one stands
        raise grpc.aio.AbortError from None
    raise AssertionError  # abort does not return


def failure_of(error: grpc.aio.AioRpcError) -> Failure:
    """The failure behind an error of a call, on the client's side.

    A peer that sent no details of ours gets its status code's name as reason.
    """
    for detail in _details(error):
        info = ErrorInfo()
        if detail.Unpack(info) and info.domain == DOMAIN:
            return Failure(error.code(), info.reason, error.details() or "", **dict(info.metadata))
    return Failure(error.code(), error.code().name, error.details() or "")


def _details(error: grpc.aio.AioRpcError) -> list[AnyMessage]:
    try:
        status = rpc_status.from_call(error)  # type: ignore[arg-type]
    except (ValueError, DecodeError):  # a status that contradicts itself: do not trust its details
        return []
    return list(status.details) if status is not None else []
