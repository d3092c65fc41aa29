"""What every handler of a stream needs at its start."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TypeVar

import grpc

from gridcord.chassis.failures import Failure

FIRST_MESSAGE_LATE = "FIRST_MESSAGE_LATE"
FIRST_MESSAGE_MISSING = "FIRST_MESSAGE_MISSING"

FIRST_MESSAGE_WITHIN_S = 5.0

Message = TypeVar("Message")


async def first_message(
    requests: AsyncIterator[Message], *, within_s: float = FIRST_MESSAGE_WITHIN_S
) -> Message:
    """The first message of a stream; a peer that opens one and says nothing is not kept.

    Args:
        requests: The handler's request iterator.
        within_s: Real seconds.

    Raises:
        Failure: DEADLINE_EXCEEDED when nothing came in time, INVALID_ARGUMENT when the stream
            ended before its first message.
    """
    try:
        async with asyncio.timeout(within_s):
            async for message in requests:
                return message
    except TimeoutError:
        raise Failure(
            grpc.StatusCode.DEADLINE_EXCEEDED,
            FIRST_MESSAGE_LATE,
            f"no message within {within_s:g} s",
        ) from None
    raise Failure(
        grpc.StatusCode.INVALID_ARGUMENT, FIRST_MESSAGE_MISSING, "the stream ended at once"
    )
