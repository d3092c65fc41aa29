"""Pages and cursors: opaque to clients, checked when they come back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import grpc
from google.protobuf.message import Message

from gridcord.chassis.failures import Failure
from gridcord.wire.values import is_number

PAGE_TOKEN_INVALID = "PAGE_TOKEN_INVALID"  # noqa: S105  (a reason code)
PAGE_SIZE_INVALID = "PAGE_SIZE_INVALID"
CURSOR_INVALID = "CURSOR_INVALID"

DEFAULT_SIZE = 100
MOST = 1000
WATCHED = 64  # rows that a watch reads at once: they wait in memory for a peer that does not read
PAGE_BYTES = 128 * 1024  # of a page's items: half of what a client takes
HEARTBEAT_S = 10.0  # real seconds

Item = TypeVar("Item")
Told = TypeVar("Told", bound=Message)


def page_size(asked: int) -> int:
    """The size of a page: 0 means 100.

    Raises:
        Failure: PAGE_SIZE_INVALID outside 0 to 1000.
    """
    if not 0 <= asked <= MOST:
        raise Failure(
            grpc.StatusCode.INVALID_ARGUMENT,
            PAGE_SIZE_INVALID,
            f"page_size is 0 (for {DEFAULT_SIZE}) to {MOST}, not {asked}",
            field="page_size",
        )
    return asked or DEFAULT_SIZE


def number_token(token: str) -> int:
    """The number behind which a page begins; 0 for the first page.

    Raises:
        Failure: PAGE_TOKEN_INVALID for a text that is no token of ours.
    """
    if token and not is_number(token):
        raise token_invalid()
    return int(token or 0)


def token_invalid() -> Failure:
    """PAGE_TOKEN_INVALID: a text is no token of ours."""
    return Failure(
        grpc.StatusCode.INVALID_ARGUMENT,
        PAGE_TOKEN_INVALID,
        "page_token is not one that this service gave",
        field="page_token",
    )


def cursor_number(cursor: str) -> int | None:
    """The number behind which a watch begins; None for "from now on".

    Raises:
        Failure: CURSOR_INVALID for a text that is no cursor of ours.
    """
    if not cursor:
        return None
    if not is_number(cursor):
        raise Failure(
            grpc.StatusCode.INVALID_ARGUMENT,
            CURSOR_INVALID,
            'cursor is not one that this service gave; "0" starts from the first',
            field="cursor",
        )
    return int(cursor)


def fill_page(
    found: Sequence[Item], size: int, tell: Callable[[Item], Told], token: Callable[[Item], str]
) -> tuple[list[Told], str]:
    """The messages of a page, and the token of the next one; empty on the last page.

    A page also ends before it grows too large for one message; it always holds one item, so
    whoever goes on from its token reaches the end.

    Args:
        found: What was read: up to one item more than the page may hold.
        size: Most items of the page, >= 1.
        tell: Makes the message of an item.
        token: Names the place behind an item.
    """
    messages: list[Told] = []
    room = PAGE_BYTES
    for item in found[:size]:
        message = tell(item)
        room -= message.ByteSize()
        if messages and room < 0:
            break
        messages.append(message)
    more = len(messages) < len(found)
    return messages, token(found[len(messages) - 1]) if more else ""
