"""Pages and cursors: opaque to clients, checked when they come back."""

from __future__ import annotations

import grpc

from gridcord.chassis.failures import Failure

PAGE_TOKEN_INVALID = "PAGE_TOKEN_INVALID"  # noqa: S105  (a reason code)
PAGE_SIZE_INVALID = "PAGE_SIZE_INVALID"
CURSOR_INVALID = "CURSOR_INVALID"

DEFAULT_SIZE = 100
MOST = 1000
HEARTBEAT_S = 10.0  # real seconds
LOOK_S = 0.25  # real seconds between two looks at what changed


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
        )
    return asked or DEFAULT_SIZE


def number_token(token: str) -> int:
    """The number behind which a page begins; 0 for the first page.

    Raises:
        Failure: PAGE_TOKEN_INVALID for a text that is no token of ours.
    """
    if token and not token.isdecimal():
        raise Failure(
            grpc.StatusCode.INVALID_ARGUMENT,
            PAGE_TOKEN_INVALID,
            "page_token is not one that this service gave",
        )
    return int(token or 0)


def cursor_number(cursor: str) -> int | None:
    """The number behind which a watch begins; None for "from now on".

    Raises:
        Failure: CURSOR_INVALID for a text that is no cursor of ours.
    """
    if not cursor:
        return None
    if not cursor.isdecimal():
        raise Failure(
            grpc.StatusCode.INVALID_ARGUMENT,
            CURSOR_INVALID,
            'cursor is not one that this service gave; "0" starts from the first',
        )
    return int(cursor)
