"""Access tokens by OAuth 2.0 client credentials (RFC 6749, section 4.4)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import httpx

from utility_adapter.sources.pull import PullFailed, retry_after_s

_EARLY_S = 30.0  # a token is renewed this long before it ends
_SHORT_S = 60.0  # assumed where the server does not say how long it lasts
_TIMEOUT_S = 30.0
_MAX_TOKEN = 4096
_OK = 200


class TokenServer(Protocol):
    """Where tokens are given, and who we are."""

    @property
    def token_url(self) -> str:
        """Where."""
        ...

    @property
    def client_id(self) -> str:
        """Our name."""
        ...

    @property
    def client_secret(self) -> str:
        """Our secret."""
        ...

    @property
    def scope(self) -> str:
        """What for; may be empty."""
        ...


class TokenStore:
    """Holds the token in force, in memory only.

    Args:
        server: Who gives it.
        http: A client; it is not closed here.
        monotonic: Seconds of a clock that never steps.
    """

    def __init__(
        self, server: TokenServer, http: httpx.AsyncClient, monotonic: Callable[[], float]
    ) -> None:
        self._server = server
        self._http = http
        self._monotonic = monotonic
        self._token = ""
        self._until_s = 0.0

    def forget(self) -> None:
        """Ask for a new one next time."""
        self._token = ""

    async def token(self) -> str:
        """A token that is in force.

        Raises:
            PullFailed: The server gives none.
        """
        now_s = self._monotonic()
        if not self._token or now_s >= self._until_s:
            self._token, lasts_s = await self._new()
            self._until_s = now_s + max(0.0, lasts_s - _EARLY_S)
        return self._token

    async def _new(self) -> tuple[str, float]:
        form = {"grant_type": "client_credentials"}
        if self._server.scope:
            form["scope"] = self._server.scope
        try:
            response = await self._http.post(
                self._server.token_url,
                data=form,
                auth=(self._server.client_id, self._server.client_secret),
                headers={"Accept": "application/json"},
                follow_redirects=False,
                timeout=_TIMEOUT_S,
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            message = f"no token: {type(error).__name__}: {error}"
            raise PullFailed(message) from error
        if response.status_code != _OK:
            message = f"no token: answer {response.status_code}"
            raise PullFailed(message, retry_after_s=retry_after_s(response))
        return _parsed(response)


def _parsed(response: httpx.Response) -> tuple[str, float]:
    try:
        answer = response.json()
        token, kind = answer["access_token"], answer.get("token_type", "Bearer")
        lasts_s = float(answer.get("expires_in", _SHORT_S))
    except (ValueError, TypeError, KeyError, AttributeError):
        message = "no token: not an answer of RFC 6749"
        raise PullFailed(message) from None
    usable = isinstance(token, str) and 0 < len(token) <= _MAX_TOKEN and token.isprintable()
    if not usable or str(kind).lower() != "bearer" or not lasts_s >= 0:
        message = "no token: not a bearer token"
        raise PullFailed(message)
    return token, lasts_s
