"""How asking a server can fail."""

from __future__ import annotations

import httpx

_MAX_RETRY_AFTER_S = 86_400


class PullFailed(Exception):
    """A server could not be reached, or said no; nothing was imported.

    Args:
        message: What happened.
        retry_after_s: When it wants to be asked again, s; None when it did not say.
    """

    def __init__(self, message: str, *, retry_after_s: int | None = None) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(message)


class NotReady(PullFailed):
    """The server took the request and prepares the answer (202 Accepted).

    Args:
        retry_after_s: When it wants to be asked again, s; None when it did not say.
    """

    def __init__(self, retry_after_s: int | None) -> None:
        super().__init__("the answer is being prepared", retry_after_s=retry_after_s)


def retry_after_s(response: httpx.Response) -> int | None:
    """Seconds of a Retry-After header; None without one, or where it names a date."""
    text = response.headers.get("Retry-After", "")
    if not (text.isascii() and text.isdecimal() and len(text) <= 9):
        return None
    return min(int(text), _MAX_RETRY_AFTER_S)
